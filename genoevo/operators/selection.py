"""Selection: which genotypes become parents. All functions return row indices."""

from __future__ import annotations

import numpy as np

from genoevo._bits import Ints
from genoevo._check import check_at_least, check_generator
from genoevo.population import Floats, Population


def tournament(population: Population, n: int, rng: np.random.Generator, *, size: int = 3) -> Ints:
    """*n* winners of tournaments among *size* genotypes drawn with replacement; ties go to the first drawn.

    Source: Brindle 1981; DEAP's ``selTournament``. Returns (n,) int64 rows. Raises ValueError where a genotype
    is unevaluated.
    """
    return tournament_within(population.merit(), np.zeros(n, np.int64), len(population), rng, size=size)


def tournament_within(merit: Floats, first: Ints, count: int, rng: np.random.Generator, *, size: int) -> Ints:
    """One tournament per element of *first*, among the *count* rows that begin there; (len(first),) int64 rows.

    ``merit`` is (rows,) float64, higher is better.
    """
    check_generator(rng)
    check_at_least("size", size, 1)
    entrants = first[:, None] + rng.integers(0, count, (len(first), size))
    winner = merit[entrants].argmax(axis=1)
    return np.asarray(entrants[np.arange(len(first)), winner])
