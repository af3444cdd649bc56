"""Runs that are killed again and again, and end as if they had not been.

    python tests/mega/torture.py [--runs 100] [--jobs 2] [--seed 1]

Two runs of a tiny configuration (two Meta-World tasks that grow, a checkpoint at every third step) are never killed:
one selects by round, one by record with frontiers and with candidates that a critic judges, and keeps statistics of
rewards and observations. Every other run is a process that gets SIGKILL one to three times: half of the kills at a
moment drawn uniformly over the time that a run takes, half just before one of the calls that change the disk, most
of which are of checkpoints. Each is resumed until it ends; weights, optimiser state, populations, fitness,
generators and ``metrics.jsonl`` must then be those of the run of its kind that nobody killed.

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
from typing import Any, NamedTuple

SUITE = "reach-v3,drawer-close-v3"
SETTINGS = {
    "steps": 96,
    "environment": {"episode_length": 8, "goals": 2},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 0, "buffer_size": 60},
    "evaluation": {"every": 50, "episodes": 1, "at_end": True},
    "checkpoints": {"every": 6},
}
RULES: dict[str, dict[str, Any]] = {
    "round": {"genotypes": {"update_with": "stored"}},
    "record": {
        "steps": 144,  # two rounds, of four episodes a task
        "genotypes": {"population_size": 3, "shared_goals": True, "surrogate_states": 4},
        "selection": {"rule": "record"},
        "decoding": {"kind": "sparse"},
        "candidates": {"children": 3, "first_generations": 2, "surrogate": 1.0, "inertia": 1.0, "distinct": True},
        "frontier": {"size": 2, "trial_rounds": 1},
        "growth": {"fill": "explore", "unused_patience": 1},
        "critic": {"kind": "residual", "width": 8, "blocks": 1, "task_embedding": 2},
        "value": {"loss": "hl-gauss", "bins": 5},
        "normalise": {"observations": True, "rewards": True},
        "sac": {"n_step": 3, "weight_decay": 0.01, "simultaneous": True},
        "compute": {"kernels": "compiled", "threads": 2},
    },
}
"""What the runs of each kind have of their own."""
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


def run_process(directory: Path, suite: str, kind: str, die_at: int | None, count_file: Path | None) -> None:
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
        config = build_config(preset("smoke"), SETTINGS, RULES[kind], {"suite": suite})
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
    directory: Path, suite: str, kind: str, *, die_at: int | None = None, after: float | None = None, log: Path
) -> int:
    """Exit code of one process, -9 where it was killed; *after* seconds it is."""
    given = directory, suite, kind, die_at, log
    process = multiprocessing.get_context("forkserver").Process(target=_guarded, args=given)
    process.start()
    process.join(after)
    if after is not None and process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)  # the trainer alone: its workers must end by themselves
    process.join()
    return int(process.exitcode)


def _guarded(directory: Path, suite: str, kind: str, die_at: int | None, log: Path) -> None:
    try:
        run_process(directory, suite, kind, die_at, log.with_suffix(".calls"))
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


class Unkilled(NamedTuple):
    """A run of one kind that nobody kills: how it ends, how long it takes, how often it calls the disk."""

    outcome: dict[str, Any]
    seconds: float
    calls: int


def unkilled(kind: str, folder: Path, suite: str) -> Unkilled:
    """Make it, twice: the second one is timed, because all imports are there."""
    whole, again = folder / f"{kind}-whole", folder / f"{kind}-again"
    if code := _in_process(whole, suite, kind, log=whole.with_suffix(".log")):
        raise RuntimeError(f"the run that nobody kills ended with {code}: {whole.with_suffix('.log').read_text()}")
    began = time.monotonic()
    _in_process(again, suite, kind, log=again.with_suffix(".log"))
    found = Unkilled(outcome(whole), time.monotonic() - began, int(whole.with_suffix(".calls").read_text()))
    print(f"a run by {kind} takes {found.seconds:.1f} s and {found.calls} calls to the disk", file=sys.stderr)
    assert outcome(again) == found.outcome, "two runs that nobody kills differ"
    return found


def torture(runs: int, jobs: int, seed: int, folder: Path, suite: str = SUITE) -> dict[str, Any]:
    """Kill and resume so many runs, of each kind in turn.

    Returns how many ended as the one of their kind that was never killed, and how many refused to resume.
    """
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
    whole = {kind: unkilled(kind, folder, suite) for kind in RULES}

    def one(number: int) -> dict[str, Any]:
        kind = list(RULES)[number % len(RULES)]
        expected, lasts, calls = whole[kind]
        rng, directory, log = random.Random(seed * 1_000_003 + number), folder / str(number), folder / f"{number}.log"
        killed: Counter[str] = Counter()
        wanted, code = rng.randint(1, 3), -signal.SIGKILL
        while code == -signal.SIGKILL:
            how: dict[str, Any] = {}
            if killed.total() < wanted:
                share = rng.random() if killed.total() == 0 else rng.random() ** 2  # what is left is shorter
                within = rng.random() < 0.5
                how = {"die_at": 1 + int(share * calls)} if within else {"after": share * lasts}
            code = _in_process(directory, suite, kind, **how, log=log)
            if code == -signal.SIGKILL:
                killed["in a checkpoint" if "die_at" in how else "at any moment"] += 1
            elif killed.total() == 0 and code == 0:  # it was done before it was to be killed
                shutil.rmtree(directory)
                code = -signal.SIGKILL
        told = log.read_text() if log.exists() else f"exit code {code}"
        result = {"killed": killed, "refused": told if code else None}
        result["identical"] = not code and outcome(directory) == expected
        if result["identical"]:
            shutil.rmtree(directory)
        else:
            print(f"run {number} by {kind} {dict(killed)}: {result['refused'] or 'differs'}", file=sys.stderr)
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
