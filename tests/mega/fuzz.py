"""Whatever is read ends in one of the documented errors, and takes little memory.

    python tests/mega/fuzz.py [--inputs 20000]

Hypothesis makes the inputs: configs and ``--set`` strings; checkpoints of this version and of version 2 with bits
flipped, ends cut off, parts repeated and headers edited, with their manifest made to fit and not; states, manifests,
populations, networks and replay segments whose values are others, not finite, or of another type or size, with
checksums that fit; metrics. What is read without an error is used: it is summarised, batches are drawn, weights are
decoded, the agent acts and learns. Each input must end well or in a UserError or RunError of one line. The process
may take 2 GB of address space beyond what it has, and of every twentieth input all memory is traced: at most 64 MB at
its peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_inputs import SCALARS, YAML_PARTS, arrays_like, attempts, edited, spoilt
from hypothesis import strategies as st
from safetensors.numpy import save_file

from genoevo import state as engine_state
from genoevo_mega.config.run import build_config, dump_config, preset, setting_names
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT, FORMAT, ROWS, ROWS_VERSION, VERSION
from genoevo_mega.training.digest import digest
from genoevo_runs import files, manifest, metrics
from genoevo_runs.errors import RunError, UserError
from genoevo_runs.settings import merge, parse_setting, read_config

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = ("state.json", "manifest.json", "community.npz", "arrays.safetensors", "agent.safetensors", "replay")
PEAK, ADDRESSES, TRACED = 64 * 2**20, 2 * 2**30, 20

RECORD: dict[str, Any] = {
    "suite": "point,car",
    "steps": 300,
    "environment": {"episode_length": 10, "goals": 2},
    "selection": {"rule": "record"},
    "candidates": {"children": 2, "first_generations": 1},
    "decoding": {"kind": "sparse"},
    "frontier": {"size": 2, "trial_rounds": 1},
    "growth": {"patience": 1, "warmup_rounds": 1, "fill": "explore", "unused_patience": 2},
    "sac": {"updates_per_step": 0.1},
    "evaluation": {"at_end": False},
    "schedule": {"action_lag": 2},
}


class Fuzzer:
    """The runs whose files are spoilt, and the count of what was tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.largest = 0
        config = {"evaluation": {"at_end": False}, "checkpoints": {"every": 10}, "steps": 46}
        old = shutil.copytree(FIXTURES / "run_v2", folder / "old")
        self.config = build_config(runs.open_config(old).model_dump(), config)
        self.text = dump_config(self.config)
        self.new = folder / "new"
        runs.create(self.new, self.config, ["fuzz"], lambda status: None).run(46)
        self.old = old
        self.record = folder / "record"
        runs.create(self.record, build_config(preset("smoke"), RECORD), ["fuzz"], lambda status: None).run(300)
        tried = self.new, self.old, self.record
        self.trainers = {run: runs.Trainer(runs.open_config(run), run) for run in tried}

    @contextmanager
    def input(self, target: str) -> Iterator[None]:
        """One input: it ends well or in a UserError of one line, within the memory allowed."""
        self.tried[target] += 1
        traced = self.tried.total() % TRACED == 1
        if traced:  # it takes three times as long
            tracemalloc.start(1)
        message = "none"
        try:
            yield
        except (UserError, RunError) as error:
            message = str(error)
            self.refused[target] += 1
        assert len(message.splitlines()) == 1, f"more than a line: {message}"
        assert len(message) < 20_000, "an endless message"
        if traced:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.largest = max(self.largest, peak)
            assert peak < PEAK, f"{target} took {peak / 2**20:.0f} MB"

    @contextmanager
    def replaced(self, path: Path, content: bytes) -> Iterator[None]:
        """A file with other content; its manifest as it was."""
        before = path.read_bytes()
        path.write_bytes(content)
        try:
            yield
        finally:
            path.write_bytes(before)

    def use(self, run: Path, path: Path) -> None:
        """Everything that is done with a checkpoint."""
        trainer = self.trainers[run]
        digest(path)
        checkpoint.load_one(trainer.state, run, path, trainer.config, trainer.suite)
        rng = np.random.default_rng(0)
        batch = trainer.state.replay.sample(8, rng, gamma=0.9, steps=3)
        trainer.state.evolver.acting_routing()
        trainer.state.evolver.elite_routing()
        trainer.state.evolver.update_routing(batch.genotypes, rng)
        trainer.state.evolver.community.effective_modules()
        self._learn(trainer.state, batch, rng)
        checkpoint.snapshot(trainer.state)
        if run != self.old:
            runs.info(run)

    def _learn(self, state: Any, batch: Any, rng: np.random.Generator) -> None:
        state.check_gradients(10**6)
        state.agent.act(batch.observations[:, 0], state.evolver.acting_routing())
        routing = state.evolver.update_routing(batch.genotypes, rng)
        state.losses.add(state.agent.update(batch, routing, state.evolver.critic_routing(routing)))
        state.check_gradients(10**6)

    # ------------------------------------------------------------------------------------------------- targets

    def config_text(self, draw: st.DrawFn) -> None:
        text = draw(
            st.one_of(
                st.text(max_size=200),
                spoilt(self.text.encode()).map(lambda data: data.decode("utf-8", "surrogateescape")),
                st.lists(st.one_of(YAML_PARTS, st.sampled_from(self.text.splitlines(keepends=True)))).map("".join),
            )
        )
        path = self.folder / "config.yaml"
        path.write_bytes(text.encode("utf-8", "surrogateescape" if text.isprintable() else "replace"))
        with self.input("config files"):
            build_config(read_config(path))

    def config_values(self, draw: st.DrawFn) -> None:
        content = edited(draw, self.config.model_dump(mode="json"))
        with self.input("config values"):
            build_config(preset("mt10"), content if isinstance(content, dict) else {"steps": content})

    def set_strings(self, draw: st.DrawFn) -> None:
        names = st.one_of(st.sampled_from(setting_names()), st.text(max_size=12), st.just("a." * 5000 + "b"))
        values = st.one_of(st.text(max_size=30), YAML_PARTS, SCALARS.map(lambda value: repr(value)[:5000]))
        text = draw(st.one_of(st.text(max_size=40), st.tuples(names, values).map("=".join)))
        with self.input("--set strings"):
            build_config(merge(preset("smoke"), parse_setting(text)))

    def new_files(self, draw: st.DrawFn) -> None:
        path = manifest.newest_first(self.new)[0]
        own = [path / name for name in ("agent.safetensors", "arrays.safetensors", "community.npz", "state.json")]
        segments = [self.new / "replay" / segment.name for segment in manifest.read(path, CHECKPOINT).replay]
        others = [path / "manifest.json", self.new / "run.json", self.new / "config.yaml", self.new / "metrics.jsonl"]
        file = draw(st.sampled_from([*own, *segments, *others]))
        content = draw(st.one_of(spoilt(file.read_bytes()), st.binary(max_size=64)))
        sealed = draw(st.booleans())
        before = (path / "manifest.json").read_bytes()
        with self.replaced(file, content), self.replaced(path / "manifest.json", before):
            if file == path / "manifest.json":
                file.write_bytes(content)
            elif sealed and file in (*own, *segments):
                self._reseal(self.new, path)
            with self.input("checkpoint files"):
                runs.open_config(self.new)
                self.use(self.new, path)

    def _reseal(self, run: Path, path: Path) -> None:
        content = json.loads((path / "manifest.json").read_text())
        del content["checksum"]
        for folder, entries in ((path, content["files"]), (run / "replay", content["replay"])):
            for entry in entries:
                file = folder / entry["name"]
                entry |= {"size": file.stat().st_size, "sha256": files.sha256(file)}
        (path / "manifest.json").write_text(json.dumps({**content, "checksum": manifest.checksum(content)}))

    def new_values(self, draw: st.DrawFn) -> None:
        self._values(draw, self.new, draw(st.sampled_from(NAMES)), "checkpoint values")

    def record_values(self, draw: st.DrawFn) -> None:
        name = draw(st.sampled_from([name for name in NAMES if name != "manifest.json"]))
        self._values(draw, self.record, name, "values of genotypes with records")

    def _values(self, draw: st.DrawFn, run: Path, name: str, target: str) -> None:
        path = manifest.newest_first(run)[0]
        before = (path / "manifest.json").read_bytes()
        file = path / name
        if name == "replay":
            file = run / name / draw(st.sampled_from([one.name for one in manifest.read(path, CHECKPOINT).replay]))
        with self.replaced(file, file.read_bytes()), self.replaced(path / "manifest.json", before):
            if name == "community.npz":
                content = edited(draw, engine_state.load(file))
                engine_state.save(file, content)
            elif file.suffix == ".safetensors":
                what, version = (ROWS, ROWS_VERSION) if name == "replay" else (FORMAT, VERSION)
                content = files.read_arrays(file, what, version)
                key = draw(st.sampled_from(sorted(content)))
                marks = {"format": what, "version": str(version)}
                save_file({**content, key: np.array(draw(arrays_like(content[key])), order="C")}, file, marks)
            else:
                content = json.loads(file.read_text())
                content.pop("checksum", None)
                content = edited(draw, content)
                if name == "manifest.json" and isinstance(content, dict):
                    content["checksum"] = manifest.checksum(content)
                file.write_text(json.dumps(content))
            if name != "manifest.json":
                self._reseal(run, path)
            with self.input(target):
                self.use(run, path)

    def old_files(self, draw: st.DrawFn) -> None:
        path = self.old / "checkpoint"
        file = draw(st.sampled_from(sorted(entry for entry in path.rglob("*") if entry.is_file())))
        content = draw(st.one_of(spoilt(file.read_bytes()), st.binary(max_size=64)))
        with self.replaced(file, content), self.input("checkpoints of version 2"):
            self.use(self.old, path)

    def metrics_lines(self, draw: st.DrawFn) -> None:
        whole = (self.new / "metrics.jsonl").read_bytes()
        path = self.folder / "metrics.jsonl"
        path.write_bytes(draw(st.one_of(spoilt(whole), st.binary(max_size=200), st.text().map(str.encode))))
        with self.input("metrics"):
            metrics.read(path)


# Of a hundred inputs.
SHARES = {
    "config_text": 12,
    "config_values": 15,
    "set_strings": 15,
    "new_files": 17,
    "new_values": 15,
    "record_values": 8,
    "old_files": 8,
    "metrics_lines": 10,
}


def fuzz(inputs: int, folder: Path, base: int = 1) -> dict[str, Any]:
    """Try so many inputs; AssertionError, or what was raised, for one that ends otherwise than it may."""
    began = time.monotonic()
    fuzzer = Fuzzer(folder)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits = resource.getrlimit(resource.RLIMIT_AS)
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + ADDRESSES, limits[1]))
    try:
        for name, share in SHARES.items():
            attempts(getattr(fuzzer, name), max(inputs * share // 100, 1), base)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    return {
        "inputs": fuzzer.tried.total(),
        "tried": dict(fuzzer.tried),
        "refused": dict(fuzzer.refused),
        "largest peak MB": round(fuzzer.largest / 2**20, 1),
        "resident memory grew MB": round(grown / 1024, 1),
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(result := fuzz(arguments.inputs, Path(scratch), arguments.seed)))
    print(f"{result['inputs']} inputs, {sum(result['refused'].values())} refused, none ended otherwise")


if __name__ == "__main__":
    sys.exit(main())
