"""The front of a search with several objectives, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genoevo import Evolution, Population
from genoevo.evolution import Constraints
from genoevo.pareto import front
from genoevo_runs.arrays import Ints

POINTS = 400
"""The most solutions of the front that a page shows, evenly spaced by the first objective, and the most others."""

BITS = 1_000_000
"""The most characters of genotypes on a page."""


def objectives(evolution: Evolution) -> tuple[float, ...]:
    """Return the weights of the objectives of *evolution*, without its constraints."""
    return evolution.constraints.objectives(evolution.population.weights)


def worst(population: Population, constraints: Constraints) -> list[float]:
    """Return the worst value of each objective in *population*, of feasible and finite genotypes; empty for none."""
    weights = np.array(constraints.objectives(population.weights))
    values = population.fitness.reshape(len(population), -1)[:, : len(weights)]
    values = values[constraints.feasible(population) & np.isfinite(values).all(axis=1)]
    if not len(values):
        return []
    return [
        float(column.min() if weight > 0 else column.max()) for column, weight in zip(values.T, weights, strict=True)
    ]


def front_of(evolution: Evolution) -> tuple[Population, Ints]:
    """Return the population and the Pareto front, if that is recorded, and the rows of the front of both together.

    The rows have one genotype for each point, and rise in the first objective.
    """
    found = evolution.population
    if evolution.pareto_front:
        found = Population.concatenate([Population.from_genotypes(evolution.pareto_front, found.weights), found])
    best = front(found, constraints=evolution.constraints)
    values = found.fitness[best, : len(objectives(evolution))]
    return found, best[np.unique(values, axis=0, return_index=True)[1]]


def front_data(evolution: Evolution, names: Sequence[str] | None) -> dict[str, Any] | None:
    """Return the front that *evolution* has found, for its page; None with one objective.

    It is the front of the population, and of the Pareto front if that is recorded. *names* are the objectives'.
    """
    weights = objectives(evolution)
    if len(weights) < 2 or evolution.best is None:
        return None
    found, best = front_of(evolution)
    values = found.fitness[:, : len(weights)]
    rest = np.flatnonzero(np.isfinite(values).all(axis=1) & evolution.constraints.feasible(found))
    others = np.unique(values[np.setdiff1d(rest, best)], axis=0)
    shown = best[_spaced(len(best))]
    in_full = int(found.lengths[shown].sum()) <= BITS
    return {
        "objectives": [
            {"name": name, "more": weight > 0}
            for name, weight in zip(names or _numbered(len(weights)), weights, strict=True)
        ],
        "found": len(best),
        "front": values[shown].tolist(),
        "genotypes": [str(genotype) for genotype in found[shown]] if in_full else None,
        "others": others[_spaced(len(others))].tolist(),
    }


def _numbered(count: int) -> list[str]:
    return [f"objective {place + 1}" for place in range(count)]


def _spaced(count: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int).tolist()))
