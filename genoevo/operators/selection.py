"""Selection of the genotypes that become parents or survive.

Every function returns (n,) int64 row indices and respects the fitness weights: an objective with a negative weight
is minimised. If a function needs one value per genotype, it compares several objectives lexicographically, as DEAP
does. :func:`lexicase`, :func:`nsga2` and :func:`crowded_tournament` treat all objectives alike. Every function
raises ValueError if a genotype is unevaluated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from deap.tools import selNSGA2, sortLogNondominated
from deap.tools.emo import assignCrowdingDist

from genoevo._check import check_at_least, check_between, check_count, check_generator
from genoevo._numbers import as_floats
from genoevo._types import Floats, Ints
from genoevo.genotype import Fitness
from genoevo.population import Population

_BLOCK = 1 << 20  # elements of the largest temporary array of lexicase selection


def tournament(population: Population, n: int, rng: np.random.Generator, *, size: int = 3) -> Ints:
    """Select *n* winners of tournaments among *size* genotypes drawn with replacement; ties go to the first drawn.

    Source: Brindle 1981; DEAP's ``selTournament``.
    """
    return tournament_within(population.merit(), np.zeros(n, np.int64), len(population), rng, size=size)


def tournament_within(merit: Floats, first: Ints, count: int, rng: np.random.Generator, *, size: int) -> Ints:
    """Select the winner of a tournament per element of *first*, among the *count* rows that begin there.

    ``merit`` is (rows,) float64, higher is better. Returns (len(first),) int64 rows.
    """
    check_generator(rng)
    check_count("size", size, 1)
    # Small integers are drawn several from one random word.
    kind = np.uint16 if count <= 1 << 16 else np.int64
    entrants = rng.integers(0, count, (size, len(first)), dtype=kind).astype(np.int64, copy=False)
    entrants += first
    merits = merit.take(entrants)
    winner, best = entrants[0], merits[0]
    for entrant, its in zip(entrants[1:], merits[1:], strict=True):
        entrant -= winner  # arithmetic alone: a choice for each element would often be mispredicted
        entrant *= its > best
        winner += entrant
        np.maximum(best, its, out=best)
    return np.asarray(winner)


def truncation(population: Population, n: int) -> Ints:
    """Select the *n* best genotypes, best first, of equals the first rows; *n* is at most the number of genotypes.

    Source: Mühlenbein and Schlierkamp-Voosen 1993; DEAP's ``selBest``.
    """
    check_between("n", n, 0, len(population))
    merit = population.merit()
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    # Only those that reach the n-th best value need sorting.
    able = np.flatnonzero(merit >= np.partition(merit, len(merit) - n)[len(merit) - n])
    return np.asarray(able[np.argsort(-merit[able], kind="stable")[:n]])


def roulette(population: Population, n: int, rng: np.random.Generator) -> Ints:
    """Draw *n* genotypes independently, each with a probability proportional to its fitness.

    If all are zero, all are equally likely. Raises ValueError for more than one objective, a negative weight, or a
    fitness that is negative or infinite: shift it, or use :func:`linear_ranking`. Source: Holland 1975.
    """
    check_generator(rng)
    return _spun(_proportional(population), rng.random(n))


def stochastic_universal(population: Population, n: int, rng: np.random.Generator) -> Ints:
    """Draw by *n* equally spaced pointers on one turn of the wheel of :func:`roulette`, in random order.

    Each genotype is drawn its expected number of times, rounded up or down. Raises what :func:`roulette` raises.
    Source: Baker 1987.
    """
    check_generator(rng)
    pointers = (np.arange(n) + rng.random()) / max(n, 1)
    return rng.permutation(_spun(_proportional(population), pointers))


def linear_ranking(population: Population, n: int, rng: np.random.Generator, *, pressure: float = 1.5) -> Ints:
    """Draw *n* genotypes independently, with a probability that grows linearly in the rank.

    In as many draws as there are genotypes, the best is expected *pressure* times, the median once and the worst
    2 - *pressure* times. Equals share their mean rank. The fitness may be any. Source: Baker 1985.

    Raises ValueError for a pressure outside [1, 2].
    """
    check_generator(rng)
    check_between("pressure", pressure, 1, 2)
    _, inverse, counts = np.unique(population.merit(), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts + 1) / 2
    spread = mean_rank[inverse] / max(len(population) - 1, 1) if len(population) > 1 else np.full(1, 0.5)
    return _spun(2 - pressure + 2 * (pressure - 1) * spread, rng.random(n))


def lexicase(
    population: Population,
    n: int,
    rng: np.random.Generator,
    *,
    cases: npt.ArrayLike | None = None,
    epsilon: float = 0.0,
) -> Ints:
    """Select *n* genotypes, each by going through all cases in a random order and keeping only the best in each.

    Parameters
    ----------
    population
        The genotypes. If *cases* is None, the objectives are the cases, and all must be evaluated.
    n
        Number of selections.
    rng
        The generator that orders the cases, and draws among the genotypes left after the last.
    cases
        (rows, m) float64, higher is better: the result of each genotype in each case.
    epsilon
        Difference to the best of a case up to which a genotype stays too.

    Notes
    -----
    Source: Spector 2012; La Cava, Spector and Danai 2016 for *epsilon* (given, not estimated).

    """
    check_generator(rng)
    check_at_least("epsilon", epsilon, 0)
    scores = _cases(population, cases)
    rows = len(scores)
    chosen = np.empty(n, dtype=np.int64)
    block = max(_BLOCK // rows, 1)
    for begin in range(0, n, block):
        count = min(block, n - begin)
        orders = rng.permuted(np.tile(np.arange(scores.shape[1]), (count, 1)), axis=1)
        left = np.ones((count, rows), dtype=np.bool_)
        undecided = np.arange(count)
        for case in orders.T:
            values = np.where(left[undecided], scores.T[case[undecided]], -np.inf)
            left[undecided] = (values >= values.max(axis=1, keepdims=True) - epsilon) & left[undecided]
            undecided = undecided[left[undecided].sum(axis=1) > 1]
            if not undecided.size:
                break
        # Of the genotypes that are left, the one with the highest random number.
        chosen[begin : begin + count] = np.where(left, rng.random(left.shape), -1).argmax(axis=1)
    return chosen


def nsga2(population: Population, n: int) -> Ints:
    """Select the *n* survivors of NSGA-II: front after front, the last front by crowding distance.

    DEAP's ``selNSGA2`` does the work. With one objective this is :func:`truncation`. *n* is at most the number of
    genotypes. Source: Deb et al. 2002.
    """
    check_between("n", n, 0, len(population))
    if len(population.weights) == 1:
        return truncation(population, n)  # DEAP's quick sort knows two objectives and more
    return np.array([row.index for row in selNSGA2(_rows(population), n, nd="log")], dtype=np.int64)


def crowded_tournament(population: Population, n: int, rng: np.random.Generator, *, size: int = 2) -> Ints:
    """Select the parents of NSGA-II: *n* winners of tournaments among *size* genotypes drawn with replacement.

    The lower non-dominated front wins, in the same front the higher crowding distance. Ties go to the first drawn.
    With one objective this is :func:`tournament`. Source: Deb et al. 2002.
    """
    merit = population.merit() if len(population.weights) == 1 else _crowded_merit(population)
    return tournament_within(merit, np.zeros(n, np.int64), len(population), rng, size=size)


def _crowded_merit(population: Population) -> Floats:
    keys = np.empty((len(population), 2))
    for rank, front in enumerate(sortLogNondominated(_rows(population), len(population))):
        assignCrowdingDist(front)
        for row in front:
            keys[row.index] = -rank, row.fitness.crowding_dist
    # Infinite fitness can make a distance NaN, which must not win.
    _, merit = np.unique(np.where(np.isnan(keys), 0, keys), axis=0, return_inverse=True)
    return merit.reshape(-1).astype(np.float64)


def _rows(population: Population) -> list[_Row]:
    values = _objectives(population).tolist()
    return [_Row(i, Fitness.unchecked(row, population.weights)) for i, row in enumerate(values)]


class _Row:
    __slots__ = ("fitness", "index")

    def __init__(self, index: int, fitness: Fitness) -> None:
        self.index, self.fitness = index, fitness


def _objectives(population: Population) -> Floats:
    population.check_evaluated()
    return population.fitness.reshape(len(population), -1)


def _cases(population: Population, cases: npt.ArrayLike | None) -> Floats:
    if cases is None:
        return np.asarray(_objectives(population) * population.weights)
    scores = as_floats("cases", cases)
    if scores.ndim != 2 or len(scores) != len(population) or not scores.shape[1]:
        raise ValueError(f"cases must have shape ({len(population)}, m) with m at least 1, got {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"cases cannot be NaN, got one for genotype {int(np.isnan(scores).any(axis=1).argmax())}")
    return scores


def check_proportional(weights: tuple[float, ...]) -> None:
    """Raise ValueError unless :func:`roulette` can select under *weights*."""
    if len(weights) > 1 or weights[0] <= 0:
        raise ValueError(
            f"proportional selection needs one maximised objective, got weights {weights}; linear_ranking takes any"
        )


def _proportional(population: Population) -> Floats:
    check_proportional(population.weights)
    merit = population.merit()
    if not (np.isfinite(merit) & (merit >= 0)).all():
        row = int((~(np.isfinite(merit) & (merit >= 0))).argmax())
        raise ValueError(
            f"proportional selection needs a finite fitness of at least 0, got {merit[row]} for genotype {row}; "
            "linear_ranking takes any"
        )
    return merit if merit.any() else np.ones_like(merit)


def _spun(shares: Floats, pointers: Floats) -> Ints:
    # The row whose stretch of the wheel each pointer in [0, 1) hits; a share of zero is never hit.
    ends = np.cumsum(shares / shares.max())
    found = np.searchsorted(ends, pointers * ends[-1], side="right")
    return np.asarray(np.minimum(found, np.flatnonzero(shares)[-1]))
