"""The results of runs, read from their directories, each with the method that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genoevo_mega.experiments import runs, sizes
from genoevo_mega.experiments.logged import rounds_and_evaluations
from genoevo_mega.training import checkpoint
from genoevo_runs import metrics
from genoevo_runs.errors import UserError
from genoevo_runs.rundir import is_run
from genoevo_runs.settings import comparable, flat
from genoevo_runs.statistics import Scores

_WINDOW = 0.1
"""Share of a run's steps over which training success is averaged."""


@dataclass(frozen=True)
class RunResult:
    """The result of one run.

    ``success`` (tasks,) comes from the last greedy evaluation, or from the last tenth of training; ``source`` says
    which. ``curve`` (n, tasks) is the success at the environment steps ``steps`` (n,): in evaluations if there are
    three or more, else in training. ``sizes`` is what :func:`~genoevo_mega.experiments.sizes.of_run` returns.
    """

    method: str
    directory: Path
    seed: int
    tasks: tuple[str, ...]
    source: str
    success: Scores
    steps: Scores
    curve: Scores
    wall_seconds: float
    parameters: dict[str, int]
    sizes: dict[str, Any]
    total_steps: int


def collect(paths: Sequence[Path], tell: Callable[[str], None] = lambda line: None) -> list[RunResult]:
    """Return the results of the runs at or below *paths*; UserError if there are none or one cannot be read.

    A run below a directory is left out while it has no checkpoint, and *tell* is called with a line that says so. The
    method of a run in a sweep's or a method's directory is the name of its directory. The method of a run that
    *paths* names directly is its architecture, with the settings in which these runs differ.
    """
    named = [path for path in paths if is_run(path)]
    labels = _differences(named)
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path in labels:
            found.append((labels[path], path))
            continue
        below = sorted((origin.parent for origin in path.glob("**/run.json") if is_run(origin.parent)), key=_natural)
        if not below:
            raise UserError(f"{path} is not a run directory and contains none")
        begun = [directory for directory in below if checkpoint.candidates(directory)]
        for directory in below:
            if directory not in begun:
                tell(f"{directory} is left out: it has no checkpoint yet")
        several = sum(other not in labels for other in paths) > 1
        own = _own_name(path, [*labels.values(), *(other.resolve().name for other in paths)])
        found += [(_method_name(path, own, directory, several), directory) for directory in begun]
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: no run has a checkpoint yet")
    return [_read(method, directory) for method, directory in found]


def _own_name(path: Path, names: list[str]) -> str:
    """Return the directory's name, with its parent's name if another of *names* is the same."""
    whole = path.resolve()
    return whole.name if names.count(whole.name) == 1 else f"{whole.parent.name}/{whole.name}"


def _method_name(path: Path, own: str, run: Path, several: bool) -> str:
    below = run.parent.relative_to(path)
    if below == Path():  # the path is the directory of a method
        return own
    return f"{own}/{below}" if several else str(below)


def _read(method: str, directory: Path) -> RunResult:
    config = runs.open_config(directory, runs_code=False)
    latest = checkpoint.find(directory)
    state = checkpoint.read_state(latest)
    structure = checkpoint.read_evolver(latest, config, tasks=None)
    path = directory / metrics.METRICS
    rounds, evaluations = rounds_and_evaluations(path, metrics.read(path))
    if not evaluations and not rounds:
        raise UserError(f"{directory} has no finished round and no evaluation yet")
    tasks = tuple((evaluations or rounds)[0]["greedy_success" if evaluations else "success"])
    if evaluations:
        table = np.array([[record["greedy_success"][task] for task in tasks] for record in evaluations])
        success, source = table[-1], "greedy evaluation"
    if len(evaluations) >= 3:
        steps, curve = np.array([record["step"] for record in evaluations], float), table
    elif rounds:
        steps, curve = _smoothed(rounds, tasks)
    else:
        steps, curve = np.array([evaluations[-1]["step"]], float), table[-1:]
    if not evaluations:
        success, source = curve[-1], "last tenth of training"
    return RunResult(
        method,
        directory,
        config.seed,
        tasks,
        source,
        success,
        steps,
        curve,
        sum(state["time"].values()),
        state["parameters"],
        sizes.of_run(directory, runs.read_origin(directory), config, state["parameters"], structure),
        state["steps"],
    )


def _smoothed(rounds: list[dict[str, Any]], tasks: tuple[str, ...]) -> tuple[Scores, Scores]:
    steps = np.array([record["step"] for record in rounds], float)
    table = np.array([[record["success"][task] for task in tasks] for record in rounds], float)
    width = _WINDOW * steps[-1]
    return steps, np.array([table[(steps > step - width) & (steps <= step)].mean(axis=0) for step in steps])


def _differences(directories: list[Path]) -> dict[Path, str]:
    configs = {path: runs.open_config(path, runs_code=False) for path in directories}
    settings = {path: flat(comparable(config)) for path, config in configs.items()}
    names = {name for flat in settings.values() for name in flat}
    differing = sorted(
        name
        for name in names
        if len({repr(flat.get(name)) for flat in settings.values()}) > 1 and name not in ("architecture", "seed")
    )
    return {
        path: ",".join([flat["architecture"], *(f"{name.rpartition('.')[2]}={flat.get(name)}" for name in differing)])
        for path, flat in settings.items()
    }


def _natural(path: Path) -> tuple[str, int, str]:
    return str(path.parent), int(path.name) if path.name.isdigit() else 0, path.name
