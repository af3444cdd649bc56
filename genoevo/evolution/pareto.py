"""The genotypes that no other dominates, and the hypervolume that they dominate, by moocore."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np

from genoevo._check import check_type, shown
from genoevo._numbers import as_floats
from genoevo._types import Flags, Floats, Ints
from genoevo.evolution.constraints import Constraints
from genoevo.population import Population

_NONE = Constraints()


def front(population: Population, *, constraints: Constraints = _NONE) -> Ints:
    """Return the rows of *population* that no other genotype dominates, in their order, (m,) int64.

    Parameters
    ----------
    population
        Evaluated genotypes. An objective of weight 0 does not count.
    constraints
        How many of the last values are violations. Genotypes that miss a constraint, and those whose evaluation
        failed, are left out, so m may be 0.

    Raises
    ------
    ValueError
        If a genotype has no fitness.

    """
    rows, values, maximise, _ = _compared(population, constraints)
    if not len(rows):
        return rows
    kept = moocore.is_nondominated(values, maximise=maximise.tolist(), keep_weakly=True)
    return np.asarray(rows[kept])


def hypervolume(population: Population, reference: Sequence[float], *, constraints: Constraints = _NONE) -> float:
    """Return the volume of what *population* dominates and what itself dominates *reference*.

    It grows when a genotype dominates another part of that space, so it measures both how good and how wide a front
    is. It is in the product of the objectives' units: bring them to one scale, or compare ratios. A genotype that
    does not dominate *reference* adds nothing.

    Parameters
    ----------
    population
        Evaluated genotypes, dominated ones among them or not. An objective of weight 0 does not count.
    reference
        (k,) finite values of the k objectives, somewhat worse than all that matters.
    constraints
        How many of the last values are violations. Genotypes that miss a constraint add nothing.

    Raises
    ------
    ValueError
        If a genotype has no fitness, or *reference* does not have one finite number for each objective.

    Notes
    -----
    Source: Zitzler and Thiele 1998, Multiobjective optimization using evolutionary algorithms. moocore's algorithms
    take O(n log n) for two and three objectives.

    Examples
    --------
    >>> import numpy as np
    >>> from genoevo import Population
    >>> values = np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 1.0]])
    >>> population = Population.from_genotypes(["00", "01", "10"], weights=(1.0, 1.0))
    >>> population.fitness = values
    >>> hypervolume(population, (0, 0))
    5.0

    """
    _, values, maximise, counted = _compared(population, constraints)
    limit = as_reference(reference, len(constraints.objectives(population.weights)))[counted]
    better = np.where(maximise, values > limit, values < limit).all(axis=1)
    if not better.any():
        return 0.0
    return float(moocore.hypervolume(values[better], ref=limit, maximise=maximise.tolist()))


def as_reference(reference: object, objectives: int) -> Floats:
    """Return a reference point as (objectives,) float64; ValueError unless it is as many finite numbers."""
    point = as_floats("reference", reference)
    if point.shape != (objectives,) or not np.isfinite(point).all():
        raise ValueError(
            f"reference must be {objectives} finite numbers, one for each objective, got {shown(reference)}"
        )
    return point


def _compared(population: Population, constraints: Constraints) -> tuple[Ints, Floats, Flags, Flags]:
    """Return the rows that take part, their values, which objectives are maximised, and which count at all."""
    check_type("population", population, Population)
    population.check_evaluated()
    constraints.check_weights(population.weights)
    weights = np.array(constraints.objectives(population.weights))
    counted = weights != 0
    if not counted.any():
        raise ValueError(f"at least one objective needs a weight other than 0, got {tuple(weights.tolist())}")
    values = population.fitness.reshape(len(population), -1)[:, : len(weights)][:, counted]
    rows = np.flatnonzero(constraints.feasible(population) & np.isfinite(values).all(axis=1))
    return rows, np.ascontiguousarray(values[rows]), weights[counted] > 0, counted
