"""Heavy-tailed mutation, whose rate is drawn anew for each genotype from a power law."""

from __future__ import annotations

import functools

import numpy as np

from genoevo._check import check_generator, check_number
from genoevo._types import Floats, Ints
from genoevo.operators.mutation import flip
from genoevo.population import Population


def heavy_tailed(population: Population, rng: np.random.Generator, *, beta: float = 1.5) -> Population:
    """Flip each bit of a genotype of n bits with probability a / n, where a follows a power law on 1..n/2.

    The probability of a is proportional to a to the power of -*beta*: most genotypes change in one bit or two, and
    any larger change stays likely enough to leave a local optimum.

    Parameters
    ----------
    population
        The genotypes. They are not changed.
    rng
        The source of all randomness.
    beta : > 1
        The exponent.

    Returns
    -------
    A new, unevaluated population.

    Raises
    ------
    ValueError
        If *beta* is not above 1.

    Notes
    -----
    Source: Doerr, Le, Makhmara and Nguyen 2017, Fast genetic algorithms.

    """
    check_generator(rng)
    return flip(population, rng, expected=power_law(np.maximum(population.lengths // 2, 1), rng, beta).astype(float))


def power_law(most: Ints, rng: np.random.Generator, beta: float) -> Ints:
    """Draw a whole number from 1 to *most*, (n,), each with probability proportional to its power of -*beta*."""
    check_beta(beta)
    drawn, uniform = np.ones(len(most), dtype=np.int64), rng.random(len(most))
    for limit in set(most.tolist()):
        rows, upto = most == limit, _cumulated(limit, beta)
        drawn[rows] += np.minimum(np.searchsorted(upto, uniform[rows] * upto[-1], side="right"), limit - 1)
    return drawn


@functools.lru_cache(maxsize=16)
def _cumulated(most: int, beta: float) -> Floats:
    return np.cumsum(np.arange(1, most + 1, dtype=np.float64) ** -beta)


def check_beta(beta: float) -> None:
    """Raise ValueError unless *beta* is a finite number above 1."""
    check_number("beta", beta)
    if not 1 < beta < np.inf:
        raise ValueError(f"beta must be above 1 and finite, got {beta}")
