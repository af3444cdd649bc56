"""The evaluation of a search's genotypes, here or elsewhere, and what the command prints at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rich_click as click

from genoevo import Genotype, Population
from genoevo.pools import ProcessPool, RayPool
from genoevo_cli.evolve.algorithms import ALGORITHMS
from genoevo_cli.evolve.problems import Posed
from genoevo_cli.evolve.search import Search
from genoevo_cli.terminal import console
from genoevo_runs import user_code
from genoevo_runs.report.evolution import decoded
from genoevo_runs.report.front import front_of

_FRONT = "solutions"
ROWS = 5
"""Solutions of a front that are printed for people."""


@contextmanager
def spread(settings: Search, workers: int | None, on_ray: bool) -> Iterator[Any]:
    """Have worker processes or Ray evaluate a search's genotypes, if they are asked for."""
    evaluate, algorithm, at_once = settings.posed.evaluate, settings.algorithm, settings.at_once
    if "at_once" in ALGORITHMS[algorithm].options and at_once < (workers or (2 if on_ray else 1)):
        console.note(
            f"{algorithm} evaluates {at_once} at a time, work for {at_once} of the workers; a new search with "
            "--at-once N evaluates N"
        )
    if not on_ray and workers is None:
        yield evaluate
        return
    try:
        pool = (RayPool if on_ray else ProcessPool)(evaluate, workers=workers)
    except (ImportError, TypeError) as error:  # TypeError: a function that does not travel
        raise click.ClickException(str(error)) from None
    with pool:
        yield pool


def _decoded(posed: Posed, genotypes: Sequence[Genotype]) -> list[dict[str, Any]]:
    """Return what the problem says that each genotype means, if it says so: as JSON value, or as text."""
    if posed.decode is None:
        return [{} for _ in genotypes]
    found, failures = [], []
    for genotype in genotypes:
        value = None
        try:
            value = decoded(posed.decode(genotype))
        except Exception as error:  # of the user's own method; the search is complete all the same
            failures.append(user_code.line(error))
        found.append({"decoded": value})
    if failures:
        console.note(f"decode failed: {failures[0]}")
    return found


def _front(evolution: Any, objectives: Sequence[float]) -> Population:
    """Return the front that a search has found, one genotype for each point, the best of the first objective first.

    It is that of the population, and of the whole search if that is recorded.
    """
    every, rows = front_of(evolution)
    found = every[rows]
    return found[np.lexsort((-found.fitness[:, : len(objectives)] * objectives).T[::-1])]


def ended_within(evolution: Any) -> bool:
    """Return whether a search ended within a generation, which then has no record in the log."""
    log = evolution.logbook
    return bool(evolution.evaluations > (log[-1]["evaluations"] if log else 0))


def result_of(
    settings: Search, evolution: Any, ended: str, seconds: float, rows: int | None = None
) -> dict[str, Any]:
    """Return what the command prints of a search that has *ended*, as JSON values.

    Of a front it has *rows* solutions; None for all.
    """
    if ended == "exhausted":
        console.note(f"Nothing is left to evaluate: all populations of {settings.algorithm} have ended.")
    values, objectives = evolution.best.fitness.values, settings.posed.objectives
    points = list(_front(evolution, objectives)) if len(objectives) > 1 else []
    best, *meanings = _decoded(settings.posed, [evolution.best, *points[:rows]])
    solutions = [
        {"fitness": list(point.fitness.values), "genotype": str(point), **meaning}
        for point, meaning in zip(points, meanings, strict=False)
    ]
    return {
        "problem": settings.problem,
        "size": settings.size,
        "seed": settings.seed,
        **({} if settings.algorithm == "ga" else {"algorithm": settings.algorithm}),
        "best": values[0],
        **({"fitness": list(values)} if len(values) > 1 else {}),
        **({"front": len(points)} if len(objectives) > 1 else {}),
        "optimum": settings.posed.optimum,
        "solved": ended == "target",
        "generations": evolution.generation,
        "evaluations": evolution.evaluations,
        "length": len(evolution.best),
        "genotype": str(evolution.best),
        **best,
        "seconds": round(seconds, 3),
        **({_FRONT: solutions} if len(objectives) > 1 else {}),
    }


def without_front(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result for a page, which shows the front by itself."""
    return {name: value for name, value in result.items() if name != _FRONT}


def lines_of(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show a result to people; of a front, the first solutions."""
    for name, value in without_front(result).items():
        yield f"{name:>12}  {value}"
    solutions = result.get(_FRONT, [])
    for row, solution in enumerate(solutions):
        yield f"{'' if row else _FRONT:>12}  {'  '.join(map(str, solution.values()))}"
    if solutions and result["front"] > len(solutions):
        yield f"{'':>12}  and {result['front'] - len(solutions)} more, which --json prints"
