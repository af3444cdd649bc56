"""Runs that are killed again and again, and end as if they had not been.

    python tests/mega/torture.py [--runs 100] [--jobs 2] [--seed 1]

One run of a tiny configuration (two Meta-World tasks that grow, a checkpoint at every third step) is never killed.
Every other run is a process that gets SIGKILL one to three times: half of the kills at a moment drawn uniformly over
the time that a run takes, half just before one of the calls that change the disk, most of which are of checkpoints.
Each is resumed until it ends; weights, optimiser state, populations, fitness, generators and ``metrics.jsonl`` must
then be those of the first.

A server that has imported everything forks the processes, and they fork their rollout workers, so that a start costs
no imports. Nothing in genoevo knows of this.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SUITE = "reach-v3,drawer-close-v3"
SETTINGS = {
    "steps": 96,
    "environment": {"episode_length": 8, "goals": 2},
    "genotypes": {"update_with": "stored"},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 0, "buffer_size": 60},
    "evaluation": {"every": 50, "episodes": 1, "at_end": True},
    "checkpoints": {"every": 6},
}
# What changes the disk; a checkpoint is as good as what is there between any two of them.
CALLS = ("fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "open")


class Forking:
    """A context of multiprocessing whose workers are forked, and end with the trainer.

    A forked worker has the trainer's ends of the pipes, too; unless it closes them it never hears of their end.
    """

    def __init__(self) -> None:
        self._context, self._trainers_ends = multiprocessing.get_context("fork"), []
        os.register_at_fork(after_in_child=lambda: [end.close() for end in self._trainers_ends])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Pipe(self, *arguments: Any) -> Any:  # noqa: N802
        pipe = self._context.Pipe(*arguments)
        self._trainers_ends.append(pipe[0])
        return pipe


def run_process(directory: Path, suite: str, die_at: int | None, count_file: Path | None) -> None:
    """Train or resume in *directory*, in a process of its own; dies before the call number *die_at* to the disk."""
    import torch

    from genoevo_mega.config.run import build_config, preset
    from genoevo_mega.envs import rollout, worker
    from genoevo_mega.experiments import runs
    from genoevo_mega.training import trainer as training

    os.setsid()
    torch.set_num_threads(1)
    rollout.SPAWN = worker.SPAWN = Forking()
    training.measure_matrix_rate = lambda device: 1.0  # takes a third of a second and changes nothing
    calls = _count_calls(directory, die_at)
    lines: list[str] = []
    if (directory / "run.json").exists() and not (directory / ".begun").exists():
        trainer = runs.resume(directory, tell=lines.append)
    else:
        config = build_config(preset("smoke"), SETTINGS, {"suite": suite})
        trainer = runs.create(directory, config, ["torture"], lambda status: None)
    trainer.run(trainer.config.steps)
    if count_file is not None:
        count_file.write_text(str(calls[0]))


def _count_calls(directory: Path, die_at: int | None) -> list[int]:
    calls, lock, inside = [0], threading.Lock(), str(directory)

    def watched(call: Any) -> Any:
        def wrapper(path: Any, *rest: Any, **named: Any) -> Any:
            if isinstance(path, int) or str(path).startswith(inside):
                with lock:
                    calls[0] += 1
                    if calls[0] == die_at:
                        os.kill(os.getpid(), signal.SIGKILL)
            return call(path, *rest, **named)

        return wrapper

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))
    return calls


def _in_process(
    directory: Path, suite: str, *, die_at: int | None = None, after: float | None = None, log: Path
) -> int:
    """Exit code of one process, -9 where it was killed; *after* seconds it is."""
    process = multiprocessing.get_context("forkserver").Process(target=_guarded, args=(directory, suite, die_at, log))
    process.start()
    process.join(after)
    if after is not None and process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)  # the trainer alone: its workers must end by themselves
    process.join()
    return int(process.exitcode)


def _guarded(directory: Path, suite: str, die_at: int | None, log: Path) -> None:
    try:
        run_process(directory, suite, die_at, log.with_suffix(".calls"))
    except BaseException as error:
        log.write_text(f"{type(error).__name__}: {error}")
        raise


def outcome(directory: Path) -> dict[str, Any]:
    """What must be the same for every run."""
    from genoevo_mega.experiments import runs
    from genoevo_mega.training import checkpoint

    state = checkpoint.read_state(checkpoint.find(directory))
    same = {name: state[name] for name in ("steps", "updates", "rngs", "losses", "evaluated", "success")}
    metrics = (directory / "metrics.jsonl").read_bytes().decode()
    return {"digest": runs.info(directory)["digest"], "metrics": metrics, **same}


def torture(runs: int, jobs: int, seed: int, folder: Path, suite: str = SUITE) -> dict[str, Any]:
    """Kill and resume so many runs; how many ended as the one that was never killed, how many refused to resume."""
    multiprocessing.set_forkserver_preload(
        [
            "torch",
            "torch.utils.tensorboard",
            "metaworld.env_dict",
            "scipy.spatial.transform",
            "genoevo_mega.experiments.runs",
        ]
    )
    began = time.monotonic()
    if code := _in_process(folder / "whole", suite, log=folder / "whole.log"):
        raise RuntimeError(f"the run that nobody kills ended with {code}: {(folder / 'whole.log').read_text()}")
    warm = time.monotonic()
    _in_process(folder / "again", suite, log=folder / "again.log")
    lasts, calls = time.monotonic() - warm, int((folder / "whole.calls").read_text())
    expected = outcome(folder / "whole")
    print(
        f"a run takes {lasts:.1f} s (the first {warm - began:.1f} s) and {calls} calls to the disk", file=sys.stderr
    )
    assert outcome(folder / "again") == expected, "two runs that nobody kills differ"

    def one(number: int) -> dict[str, Any]:
        rng, directory, log = random.Random(seed * 1_000_003 + number), folder / str(number), folder / f"{number}.log"
        killed: Counter[str] = Counter()
        wanted, code = rng.randint(1, 3), -signal.SIGKILL
        while code == -signal.SIGKILL:
            how: dict[str, Any] = {}
            if killed.total() < wanted:
                share = rng.random() if killed.total() == 0 else rng.random() ** 2  # what is left is shorter
                within = rng.random() < 0.5
                how = {"die_at": 1 + int(share * calls)} if within else {"after": share * lasts}
            code = _in_process(directory, suite, **how, log=log)
            if code == -signal.SIGKILL:
                killed["in a checkpoint" if "die_at" in how else "at any moment"] += 1
            elif killed.total() == 0 and code == 0:  # it was done before it was to be killed
                shutil.rmtree(directory)
                code = -signal.SIGKILL
        result = {"killed": killed, "refused": log.read_text() if code else None}
        result["identical"] = not code and outcome(directory) == expected
        if result["identical"]:
            shutil.rmtree(directory)
        else:
            print(f"run {number} {dict(killed)}: {result['refused'] or 'differs'}", file=sys.stderr)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, range(runs)))
    killed = sum((result["killed"] for result in results), Counter())
    return {
        "runs": runs,
        "identical": sum(result["identical"] for result in results),
        "refused": sum(result["refused"] is not None for result in results),
        "kills": dict(killed),
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--seed", type=int, default=1, help="of when to kill")
    parser.add_argument("--keep", type=Path, help="where to keep runs that differ  [default: nowhere]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        result = torture(arguments.runs, arguments.jobs, arguments.seed, folder)
    print(json.dumps(result))
    print(f"{result['identical']} of {result['runs']} identical, {result['refused']} refused")
    sys.exit(result["identical"] != result["runs"])


if __name__ == "__main__":
    main()
