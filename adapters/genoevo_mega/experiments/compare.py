"""The comparison of methods: success, speed and size, with intervals over seeds and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genoevo_mega.agents.sizing import TOLERANCE
from genoevo_mega.experiments.results import RunResult
from genoevo_runs.errors import UserError, nearest
from genoevo_runs.statistics import (
    FEW_SEEDS,
    LEAST_SEEDS,
    Interval,
    Mean,
    Scores,
    iqm_interval,
    mean_of_runs,
    probability_of_improvement,
)

POINTS = 20
"""Number of points of a sample-efficiency curve."""


@dataclass(frozen=True)
class MeanSizes:
    """The means over a method's runs, None if one of them is not known.

    Parameters of the ``actor`` when the run ended and of each ``critic``, and multiply-adds for one action of a
    task's exported policy.
    """

    actor: float
    critic: float
    multiply_adds: float | None

    @classmethod
    def of(cls, results: Sequence[RunResult]) -> MeanSizes:
        """Return the means over *results*."""
        policies = [result.sizes["policy"] for result in results]
        return cls(
            actor=float(np.mean([result.sizes["actor"]["now"] for result in results])),
            critic=float(np.mean([result.sizes["critic"]["now"] for result in results])),
            multiply_adds=float(np.mean([policy["multiply_adds"] for policy in policies])) if all(policies) else None,
        )


@dataclass(frozen=True)
class Method:
    """All runs of a method: their ``scores`` (seeds, tasks), and a ``curve`` of (steps, interval) pairs."""

    name: str
    results: tuple[RunResult, ...]
    scores: Scores
    iqm: Interval
    iqm_whole_runs: Interval
    curve: tuple[tuple[float, Interval], ...]

    @property
    def mean(self) -> Mean:
        """The mean success over tasks, averaged over runs."""
        return mean_of_runs(self.scores.mean(axis=1))

    @property
    def worst_task(self) -> float:
        """The mean success of the task that has the lowest."""
        return float(self.scores.mean(axis=0).min())

    @property
    def sizes(self) -> MeanSizes:
        """The mean sizes of its runs."""
        return MeanSizes.of(self.results)


@dataclass(frozen=True)
class Comparison:
    """Methods in the given order, how each compares with the method ``reference``, and warnings.

    ``improvement`` is the probability of improvement over the reference, None if the tasks differ. ``difference`` is
    the mean success over tasks minus the reference's, paired by seed; None if the tasks differ or no seed is shared.
    """

    methods: tuple[Method, ...]
    reference: str
    improvement: dict[str, Interval | None]
    difference: dict[str, Mean | None]
    warnings: tuple[str, ...]


def compare(results: Sequence[RunResult], against: str | None = None, seed: int = 0) -> Comparison:
    """Summarise *results* by method; UserError if a method's runs do not fit together or *against* is not a method.

    *against* is the reference method, by default the best one; *seed* seeds the bootstrap.
    """
    grouped: dict[str, list[RunResult]] = {}
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
    difference = {method.name: _difference(method, other) for method in methods if method is not other}
    return Comparison(methods, reference, improvement, difference, tuple(_warnings(methods)))


def _difference(method: Method, reference: Method) -> Mean | None:
    of_seed = {result.seed: result.success.mean() for result in reference.results}
    pairs = [one.success.mean() - of_seed[one.seed] for one in method.results if one.seed in of_seed]
    same_tasks = method.results[0].tasks == reference.results[0].tasks
    return mean_of_runs(np.array(pairs)) if pairs and same_tasks else None


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison, with the numbers of each run, as JSON values."""
    return {
        "reference": comparison.reference,
        "warnings": list(comparison.warnings),
        "methods": {
            method.name: {
                "seeds": [result.seed for result in method.results],
                "iqm": asdict(method.iqm),
                "iqm_whole_runs": asdict(method.iqm_whole_runs),
                "mean": method.mean.value,
                "mean_error": method.mean.error,
                "worst_task": method.worst_task,
                "sizes": asdict(method.sizes),
                "probability_of_improvement": _optional(comparison.improvement.get(method.name)),
                "paired_difference": _optional(comparison.difference.get(method.name)),
                "curve": [{"steps": steps, **asdict(interval)} for steps, interval in method.curve],
                "runs": [_run_as_json(result) for result in method.results],
            }
            for method in comparison.methods
        },
    }


def _run_as_json(result: RunResult) -> dict[str, Any]:
    return {
        "seed": result.seed,
        "steps": result.total_steps,
        "source": result.source,
        "success": dict(zip(result.tasks, result.success.tolist(), strict=True)),
        "wall_seconds": round(result.wall_seconds, 1),
        "parameters": result.parameters,
        "sizes": result.sizes,
        "curve": {
            "steps": [round(step) for step in result.steps.tolist()],
            "mean_success": [round(value, 4) for value in result.curve.mean(axis=1).tolist()],
        },
    }


def _optional(interval: Interval | Mean | None) -> dict[str, Any] | None:
    return None if interval is None else asdict(interval)


def _summarise(name: str, results: tuple[RunResult, ...], rng: np.random.Generator) -> Method:
    seeds = [result.seed for result in results]
    for seed in seeds:
        if seeds.count(seed) > 1:
            same = ", ".join(str(result.directory) for result in results if result.seed == seed)
            raise UserError(f"{name}: seed {seed} occurs more than once: {same}")
    if len({result.tasks for result in results}) > 1:
        raise UserError(f"{name}: its runs have different tasks; compare them as separate methods")
    scores = np.stack([result.success for result in results])
    return Method(
        name,
        results,
        scores,
        iqm_interval(scores, rng),
        iqm_interval(scores, rng, whole_runs=True),
        tuple(_curve(results, rng)),
    )


def _curve(results: tuple[RunResult, ...], rng: np.random.Generator) -> list[tuple[float, Interval]]:
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
            "some runs were evaluated greedily and others were not: their success rates are not comparable"
        )
    if len({result.total_steps for method in methods for result in method.results}) > 1:
        warnings.append("the runs have different numbers of steps")
    if len({method.results[0].tasks for method in methods}) > 1:
        warnings.append("not all methods have the same tasks; if they differ, there is no probability of improvement")
    first = methods[0].sizes.actor
    unequal = [
        f"{method.name} {method.sizes.actor:,.0f} ({method.sizes.actor / first - 1:+.0%})"
        for method in methods
        if abs(method.sizes.actor / first - 1) > TOLERANCE
    ]
    if unequal:
        warnings.append(
            f"not of equal size: the trained actor of {methods[0].name} has {first:,.0f} parameters at the end, that "
            f"of {', '.join(unequal)}"
        )
    return warnings
