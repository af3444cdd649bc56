"""The evaluation of a search's genotypes, here or elsewhere, and what the command prints at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rich_click as click

from genoevo import Genotype
from genoevo.evaluation import InProcess, Vectorised
from genoevo.pools import ProcessPool, RayPool
from genoevo_cli.evolve.problems import Posed
from genoevo_cli.evolve.search import Search
from genoevo_cli.terminal import console
from genoevo_runs import user_code
from genoevo_runs.report.evolution import decoded
from genoevo_runs.report.front import front_data


@contextmanager
def spread(evaluate: InProcess | Vectorised, workers: int | None, on_ray: bool) -> Iterator[Any]:
    """Have worker processes or Ray evaluate, if they are asked for."""
    if not on_ray and workers is None:
        yield evaluate
        return
    try:
        pool = (RayPool if on_ray else ProcessPool)(evaluate, workers=workers)
    except (ImportError, TypeError) as error:  # TypeError: a function that does not travel
        raise click.ClickException(str(error)) from None
    with pool:
        yield pool


def _decoded(posed: Posed, genotype: Genotype) -> dict[str, Any]:
    """Return what the problem says that a genotype means, if it says so: as JSON value, or as text."""
    if posed.decode is None:
        return {}
    try:
        value = posed.decode(genotype)
    except Exception as error:  # of the user's own method; the search is complete all the same
        console.note(f"decode failed: {user_code.line(error)}")
        return {"decoded": None}
    return {"decoded": decoded(value)}


def ended_within(evolution: Any) -> bool:
    """Return whether a search ended within a generation, which then has no record in the log."""
    log = evolution.logbook
    return bool(evolution.evaluations > (log[-1]["evaluations"] if log else 0))


def result_of(settings: Search, evolution: Any, ended: str, seconds: float) -> dict[str, Any]:
    """Return what the command prints of a search that has *ended*, as JSON values."""
    values, front = evolution.best.fitness.values, front_data(evolution, None)
    return {
        "problem": settings.problem,
        "size": settings.size,
        "seed": settings.seed,
        **({} if settings.algorithm == "ga" else {"algorithm": settings.algorithm}),
        "best": values[0],
        **({"fitness": list(values)} if len(values) > 1 else {}),
        **({} if front is None else {"front": front["found"]}),
        "optimum": settings.posed.optimum,
        "solved": ended == "target",
        "generations": evolution.generation,
        "evaluations": evolution.evaluations,
        "length": len(evolution.best),
        "genotype": str(evolution.best),
        **_decoded(settings.posed, evolution.best),
        "seconds": round(seconds, 3),
    }
