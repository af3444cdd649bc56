"""Runs beside one another: what each method reached, how fast, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_runs import metrics
from genoevo_runs.errors import UserError, nearest
from genoevo_runs.rundir import is_run
from genoevo_runs.settings import comparable, flat
from genoevo_runs.statistics import (
    FEW_SEEDS,
    LEAST_SEEDS,
    Interval,
    Scores,
    iqm_interval,
    probability_of_improvement,
)

POINTS = 20
"""Of a sample-efficiency curve."""
_WINDOW = 0.1
"""Share of a run's steps that training success is averaged over."""


@dataclass(frozen=True)
class Result:
    """What one run reached.

    ``success`` per task is that of its last greedy evaluation, or (``source`` tells) of the last tenth of training.
    ``curve`` (n, tasks) is the success at the environment steps ``steps`` (n,): of the evaluations where there are
    three or more, else of training.
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
    total_steps: int


@dataclass(frozen=True)
class Method:
    """All runs of a method: ``scores`` (seeds, tasks), and ``curve`` as (steps, interval) pairs."""

    name: str
    results: tuple[Result, ...]
    scores: Scores
    iqm: Interval
    iqm_whole_runs: Interval
    curve: tuple[tuple[float, Interval], ...]

    @property
    def mean(self) -> float:
        """Over all seeds and tasks."""
        return float(self.scores.mean())


@dataclass(frozen=True)
class Comparison:
    """Methods in the order they were given, their probability of improvement over ``reference``, and warnings."""

    methods: tuple[Method, ...]
    reference: str
    improvement: dict[str, Interval | None]
    warnings: tuple[str, ...]


def collect(paths: Sequence[Path], tell: Callable[[str], None] = lambda line: None) -> list[Result]:
    """The runs that *paths* name or hold; UserError where there is none, or one is not readable.

    A run below a directory that holds no checkpoint yet is left out, and *tell* gets a line that says so.
    A run in a sweep's directory, or in a method's there, belongs to the method that its directory is named after; one
    that is named itself, to its architecture and the settings by which the runs named so differ.
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
            raise UserError(f"{path} is no run and holds none")
        begun = [directory for directory in below if checkpoint.candidates(directory)]
        for directory in below:
            if directory not in begun:
                tell(f"{directory} is left out: it holds no checkpoint yet")
        several = sum(other not in labels for other in paths) > 1
        own = _own_name(path, [*labels.values(), *(other.resolve().name for other in paths)])
        found += [(_method_name(path, own, directory, several), directory) for directory in begun]
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: no run holds a checkpoint yet")
    return [_read(method, directory) for method, directory in found]


def _own_name(path: Path, names: list[str]) -> str:
    """The directory's name, its parent's before it where another of *names* is the same."""
    whole = path.resolve()
    return whole.name if names.count(whole.name) == 1 else f"{whole.parent.name}/{whole.name}"


def _method_name(path: Path, own: str, run: Path, several: bool) -> str:
    below = run.parent.relative_to(path)
    if below == Path():  # the path is a method's own
        return own
    return f"{own}/{below}" if several else str(below)


def compare(results: Sequence[Result], against: str | None = None, seed: int = 0) -> Comparison:
    """Summaries by method; UserError where a method's runs do not fit together or *against* is no method.

    *against* is the method that others are to improve on, the best one by default; *seed* is the bootstrap's.
    """
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.method, []).append(result)
    rng = np.random.default_rng(seed)
    methods = tuple(_summarise(name, tuple(group), rng) for name, group in grouped.items())
    best = max(methods, key=lambda method: method.iqm.value).name
    reference = best if against is None else against
    if reference not in grouped:
        raise UserError(
            f"against = {against!r}: must be one of {', '.join(grouped)}{nearest(reference, list(grouped))}"
        )
    other = next(method for method in methods if method.name == reference)
    improvement = {
        method.name: probability_of_improvement(method.scores, other.scores, rng)
        if method.results[0].tasks == other.results[0].tasks
        else None
        for method in methods
        if method is not other
    }
    return Comparison(methods, reference, improvement, tuple(_warnings(methods)))


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything, each run's numbers too, as JSON values."""
    return {
        "reference": comparison.reference,
        "warnings": list(comparison.warnings),
        "methods": {
            method.name: {
                "seeds": [result.seed for result in method.results],
                "iqm": asdict(method.iqm),
                "iqm_whole_runs": asdict(method.iqm_whole_runs),
                "mean": method.mean,
                "probability_of_improvement": _optional(comparison.improvement.get(method.name)),
                "curve": [{"steps": steps, **asdict(interval)} for steps, interval in method.curve],
                "runs": [_run_as_json(result) for result in method.results],
            }
            for method in comparison.methods
        },
    }


def _run_as_json(result: Result) -> dict[str, Any]:
    return {
        "seed": result.seed,
        "steps": result.total_steps,
        "source": result.source,
        "success": dict(zip(result.tasks, result.success.tolist(), strict=True)),
        "wall_seconds": round(result.wall_seconds, 1),
        "parameters": result.parameters,
        "curve": {
            "steps": [round(step) for step in result.steps.tolist()],
            "mean_success": [round(value, 4) for value in result.curve.mean(axis=1).tolist()],
        },
    }


def _optional(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else asdict(interval)


def _read(method: str, directory: Path) -> Result:
    config = runs.open_config(directory, runs_code=False)
    state = checkpoint.read_state(checkpoint.find(directory))
    records = metrics.read(directory / metrics.METRICS)
    evaluations = [record for record in records if record.get("kind") == "evaluation"]
    rounds = [record for record in records if record.get("kind") == "round"]
    if not evaluations and not rounds:
        raise UserError(f"{directory} has no round and no evaluation yet")
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
    return Result(
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
        state["steps"],
    )


def _smoothed(rounds: list[dict[str, Any]], tasks: tuple[str, ...]) -> tuple[Scores, Scores]:
    steps = np.array([record["step"] for record in rounds], float)
    table = np.array([[record["success"][task] for task in tasks] for record in rounds], float)
    width = _WINDOW * steps[-1]
    return steps, np.array([table[(steps > step - width) & (steps <= step)].mean(axis=0) for step in steps])


def _summarise(name: str, results: tuple[Result, ...], rng: np.random.Generator) -> Method:
    seeds = [result.seed for result in results]
    for seed in seeds:
        if seeds.count(seed) > 1:
            same = ", ".join(str(result.directory) for result in results if result.seed == seed)
            raise UserError(f"{name}: seed {seed} is there more than once: {same}")
    if len({result.tasks for result in results}) > 1:
        raise UserError(f"{name}: its runs have different tasks; compare them as methods of their own")
    scores = np.stack([result.success for result in results])
    return Method(
        name,
        results,
        scores,
        iqm_interval(scores, rng),
        iqm_interval(scores, rng, whole_runs=True),
        tuple(_curve(results, rng)),
    )


def _curve(results: tuple[Result, ...], rng: np.random.Generator) -> list[tuple[float, Interval]]:
    first = max(result.steps[0] for result in results)
    last = min(result.steps[-1] for result in results)
    if first >= last:
        return []
    points = np.linspace(first, last, POINTS)
    at = [result.curve[np.searchsorted(result.steps, points, side="right") - 1] for result in results]
    return [
        (float(step), iqm_interval(scores, rng)) for step, scores in zip(points, np.stack(at, axis=1), strict=True)
    ]


def _warnings(methods: tuple[Method, ...]) -> list[str]:
    warnings = []
    for method in methods:
        count = len(method.results)
        if count < LEAST_SEEDS:
            warnings.append(
                f"{method.name}: {count} seeds are too few for an interval; at least {LEAST_SEEDS} are needed"
            )
    few = [len(method.results) for method in methods if LEAST_SEEDS <= len(method.results) < FEW_SEEDS]
    if few:
        warnings.append(f"intervals of fewer than {FEW_SEEDS} seeds are rough and tend to be too narrow")
    if len({result.source for method in methods for result in method.results}) > 1:
        warnings.append(
            "some runs were evaluated greedily and others were not; their success is not of the same kind"
        )
    if len({result.total_steps for method in methods for result in method.results}) > 1:
        warnings.append("the runs have different numbers of steps")
    if len({method.results[0].tasks for method in methods}) > 1:
        warnings.append(
            "not all methods have the same tasks: where they differ there is no probability of improvement"
        )
    return warnings


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
