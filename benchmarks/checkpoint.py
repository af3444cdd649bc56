"""Measure the cost of checkpoints in a run of the preset mt10 with a full replay.

    python benchmarks/checkpoint.py [--quick] [--json]

The replay of one million transitions is filled with random rows. Three checkpoints are written: the first holds the
whole replay, later ones as many new rows as the default interval has (``checkpoints.every``).

``stalled_share`` is the time for which a later checkpoint delays training, over the wall time of an interval. The
delay is the wait for the copy, plus the slowdown of updates and steps by the thread that writes; both are timed with
and without it. The wall time of an interval is its number of steps, at the rate of steps, updates and sampling
measured here without a checkpoint.

``resume s`` is the time from reading the newest checkpoint's manifest to a trainer that could continue, with all
checksums. It excludes imports and the start of the environments, which a new run needs too.
"""

from __future__ import annotations

import os

# As the command line sets it: a spinning thread takes the core from the thread that it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from reporting import Measured, report

from genoevo_mega.agents.replay import Replay
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_runs.checkpoint_store import CheckpointStore
from genoevo_runs.metrics import MetricsWriter

CORES = os.cpu_count() or 1


def fill(replay: Replay, rows: int, rng: np.random.Generator) -> None:
    """Append *rows* random rows of every task to the replay, as :meth:`Replay.add` would."""
    first, last = replay.written.copy(), replay.written + rows
    count = int((last - first).sum())
    content: dict[str, Any] = {
        name: rng.random((count, *ring.shape[2:]), np.float32)
        for name, ring in (
            ("observations", replay.observations),
            ("actions", replay.actions),
            ("rewards", replay.rewards),
        )
    }
    content["terminated"] = np.zeros(count, np.bool_)
    content["genotypes"] = rng.integers(0, 30, count, dtype=np.int32)
    content["valid"] = np.arange(count) % 201 != 200
    replay.load_rows(first, last, content)
    replay.written[:] = last
    replay.filled[:] = np.minimum(last, replay.valid.shape[1])
    replay.head[:] = last % replay.valid.shape[1]


def turn(trainer: runs.Trainer, pool: RolloutPool, rng: np.random.Generator) -> None:
    """Make a vector step of training: steps of all tasks, beside an update from a batch of the replay."""
    sac = trainer.config.sac
    pool.begin_step(rng.uniform(-1, 1, (10, 4)).astype(np.float32))
    batch = trainer.state.replay.sample(sac.batch_size, rng, gamma=sac.gamma)
    routing = trainer.state.evolver.elite_routing()
    trainer.state.agent.update(batch, routing, routing)
    pool.finish_step()


def per_turn(turns: int, trainer: runs.Trainer, pool: RolloutPool, rng: np.random.Generator) -> float:
    """Return the median seconds of a turn without a checkpoint; the noise of a shared machine comes in spells."""
    taken = []
    for _ in range(turns):
        began = time.perf_counter()
        turn(trainer, pool, rng)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def size_of(folder: Path) -> int:
    """Return the bytes of all files in *folder*."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def written_by(writer: CheckpointStore, directory: Path, before: set[Path]) -> int:
    """Return the bytes of the files that are not in *before*, and add them to it."""
    writer.wait()
    found = {path for name in ("checkpoints", "replay") for path in (directory / name).rglob("*") if path.is_file()}
    new = sum(path.stat().st_size for path in found - before)
    before.clear()
    before.update(found)
    return new


def settings() -> Config:
    """Return the preset on all cores."""
    compute = {"workers": CORES, "threads": CORES}
    return build_config(preset("mt10"), {"evaluation": {"at_end": False}, "compute": compute})


def measure(quick: bool) -> Measured:
    """Measure the checkpoints of one run."""
    config, rng, turns = settings(), np.random.default_rng(1), 8 if quick else 60
    interval = config.checkpoints.every // 10  # steps of each task
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        trainer = runs.create(directory, config, ["benchmark"], lambda status: None)
        fill(trainer.state.replay, trainer.state.replay.valid.shape[1], rng)
        with (
            RolloutPool(trainer.suite, config.compute.workers) as pool,
            MetricsWriter(directory, config.loggers, {}, resume="") as trainer.metrics,
            CheckpointStore(directory, CHECKPOINT, config.checkpoints.keep, trainer.state.loaded, "") as writer,
        ):
            pool.reset(np.zeros(10, np.int64))
            trainer.checkpoints = writer
            turn(trainer, pool, rng)
            plain = per_turn(turns, trainer, pool, rng)
            trainer.save()
            files: set[Path] = set()
            first = written_by(writer, directory, files)
            copies, beside, seconds, later = [], [], [], []
            for _ in range(2):
                fill(trainer.state.replay, interval + interval // 200, rng)
                trainer.state.steps += 10 * interval
                began = time.perf_counter()
                trainer.save()
                copies.append(time.perf_counter() - began)
                slower, done = 0.0, 0
                while writer.busy:
                    since = time.perf_counter()
                    turn(trainer, pool, rng)
                    slower, done = slower + time.perf_counter() - since, done + 1
                beside.append(max(slower - done * plain, 0.0))
                seconds.append(time.perf_counter() - began)
                later.append(written_by(writer, directory, files))
        again = runs.Trainer(config, directory)
        began = time.perf_counter()
        checkpoint.load(again.state, directory, config, again.suite)
        resumed = time.perf_counter() - began
        assert len(again.state.replay) == len(trainer.state.replay)
        on_disk = size_of(directory)
    stalled, wall = float(np.mean(copies) + np.mean(beside)), interval * plain
    figures = {
        "transitions": float(len(trainer.state.replay)),
        "vector step s": plain,
        "interval s": wall,
        "first checkpoint MB": first / 1e6,
        "later checkpoint MB": float(np.mean(later)) / 1e6,
        "run directory MB": on_disk / 1e6,
        "stalled s": stalled,
        "of it copying s": float(np.mean(copies)),
        "written in s": float(np.mean(seconds)),
        "resume s": resumed,
    }
    return {"stalled_share": stalled / (wall + stalled)}, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
