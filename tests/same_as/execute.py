"""One run or search on one side: its processes, and the facts that they leave."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.same_as.facts import Facts, of_run, of_state
from tests.same_as.runs import Search, Training, nested
from tests.same_as.sides import FailedError, Side, fresh, last_line

WORKER = Path(__file__).parent / "searches.py"
_LONGEST = 300  # seconds until a run must have come to where it is interrupted


def begin(side: Side, run: Training, settings: dict[str, object], directory: Path) -> None:
    """Train the first half of *run*, which another process goes on with."""
    side.genoevo(_train(side, run, {**settings, "steps": run.steps // 2}, directory))


def train(side: Side, run: Training, settings: dict[str, object], begun: Path | None) -> Facts:
    """The facts of *run* with these *settings*, in the names of that side; *begun*: what it goes on from."""
    directory = fresh(side.scratch / run.name)
    if begun is not None:
        shutil.copytree(begun, directory)
        command: list[str | Path] = ["mega", "resume", directory, "--steps", str(run.steps)]
    elif run.how == "whole":
        command = _train(side, run, settings, directory)
    else:
        _interrupt(side, run, settings, directory)
        command = ["mega", "resume", directory]
    info = json.loads(side.genoevo(command, _info(directory)))
    if info["steps"] < run.steps:
        raise FailedError(f"{directory} ended at {info['steps']} of {run.steps} steps")
    # Into how many files the replay is divided tells when a run was interrupted.
    return of_run(directory, info, replay=run.how in ("whole", "begun"))


def _train(side: Side, run: Training, settings: dict[str, object], directory: Path) -> list[str | Path]:
    side.scratch.mkdir(parents=True, exist_ok=True)
    file = side.scratch / f"{run.name}.yaml"
    file.write_text(yaml.safe_dump(nested(settings)), encoding="utf-8")
    return ["mega", "train", "--preset", "smoke", "--config", file, "--run-dir", directory]


def _info(directory: Path) -> list[str | Path]:
    return ["mega", "info", directory, "--json"]


def _interrupt(side: Side, run: Training, settings: dict[str, object], directory: Path) -> None:
    """Start *run* and end its process on the way, with SIGINT after some rounds or SIGKILL after a checkpoint."""

    def some_rounds() -> bool:
        metrics = directory / "metrics.jsonl"
        return metrics.exists() and metrics.read_bytes().count(b"\n") >= 5

    def a_checkpoint() -> bool:
        folder = directory / "checkpoints"
        return folder.exists() and any(path.name.isdigit() for path in folder.iterdir())

    command, how = side.command("-m", "genoevo_cli", *_train(side, run, settings, directory))
    with (side.scratch / f"{run.name}.log").open("w") as log:
        process = subprocess.Popen(command, **how, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, some_rounds if run.how == "stopped" else a_checkpoint)
            process.send_signal(signal.SIGINT if run.how == "stopped" else signal.SIGKILL)
            code = process.wait(_LONGEST)
        finally:
            process.kill()
            process.wait()
    if code != (0 if run.how == "stopped" else -signal.SIGKILL):
        raise FailedError(f"interrupted, it ended with {code}: {last_line(Path(log.name).read_text())}")
    if not 0 < (steps := json.loads(side.genoevo(_info(directory)))["steps"]) < run.steps:
        raise FailedError(f"it was to be interrupted on the way to {run.steps} steps, and had {steps}")


def _wait(process: subprocess.Popen[str], come: Callable[[], bool]) -> None:
    until = time.monotonic() + _LONGEST
    while not come():
        if process.poll() is not None or time.monotonic() > until:
            raise FailedError(f"it could not be interrupted: it had ended with {process.poll()}")
        time.sleep(0.005)


def half_of(side: Side, run: Search) -> Path:
    """Where a search leaves its state after half of its generations."""
    return side.scratch / run.name / "half.npz"


def search(side: Side, run: Search, half: Path | None) -> Facts:
    """The facts of a search, whole, and resumed from its own half and, where there is one, from another's *half*."""
    directory = fresh(side.scratch / run.name)
    directory.mkdir()
    side.python(WORKER, "run", run.name, directory)
    own = half_of(side, run)
    side.python(WORKER, "resume", run.name, own, directory / "rest.npz")
    side.python(WORKER, "resume", run.name, half or own, directory / "migrated.npz")
    return {
        name: value
        for part in ("whole", "half", "rest", "migrated")
        for name, value in of_state(part, directory / f"{part}.npz").items()
    }
