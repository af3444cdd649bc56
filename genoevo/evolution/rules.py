"""The rules of selection and survival, for one population or for islands of equal size at once.

The genotypes of island i are the rows ``i * size`` to ``(i + 1) * size``. The choice for one island never depends
on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_between, check_choice, check_count
from genoevo._types import Floats, Ints
from genoevo.operators import selection
from genoevo.population import Population

Parents = Callable[[Population, int, np.random.Generator], Ints]
Strategy = Literal["generational", "steady", "plus", "comma"]


def _uniform(population: Population, n: int, rng: np.random.Generator) -> Ints:
    return rng.integers(0, len(population), n)


# Functions that choose the rows of n parents, or of n survivors, of one island. Other methods have settings, or
# choose for all islands at once.
PARENTS: dict[str, Parents] = {
    "uniform": _uniform,
    "roulette": selection.roulette,
    "sus": selection.stochastic_universal,
    "ranking": selection.linear_ranking,
    "lexicase": selection.lexicase,
}
SURVIVORS: dict[str, Callable[[Population, int], Ints]] = {"nsga2": selection.nsga2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The selection of parents.

    Parameters
    ----------
    method
        ``tournament`` among *tournament_size* genotypes; ``crowded``: a tournament by non-dominated front and
        crowding distance, for several objectives; ``truncation``: the best *share* of an island, with equal
        probability; ``roulette``, ``sus`` (stochastic universal), ``ranking`` (linear), ``lexicase``: see
        :mod:`genoevo.operators.selection`; ``uniform``: every genotype with equal probability, as in evolution
        strategies and DEAP's ``eaMuPlusLambda``, in which only survival selects.
    tournament_size
        Contenders of a tournament; NSGA-II has 2.
    share
        Share of an island that ``truncation`` selects from, in [0, 1]; at least one genotype.

    """

    method: str = "tournament"
    tournament_size: int = 3
    share: float = 0.5

    def __post_init__(self) -> None:
        check_choice("method", self.method, ["tournament", "crowded", "truncation", *PARENTS])
        check_count("tournament_size", self.tournament_size, 1)
        check_between("share", self.share, 0, 1)

    def check_weights(self, weights: tuple[float, ...]) -> None:
        """Raise ValueError if the method cannot select by objectives of these weights."""
        if self.method in ("roulette", "sus"):
            selection.check_proportional(weights)

    def parents(self, population: Population, n: int, rng: np.random.Generator, islands: int = 1) -> Ints:
        """Return the rows of *n* parents of each island, (islands, n) int64; ValueError if one is unevaluated."""
        size = len(population) // islands
        starts = np.arange(islands) * size
        if size == 1:
            return np.repeat(starts[:, None], n, axis=1)
        if self.method == "tournament":
            merit, first = population.merit(), np.repeat(starts, n)
            return selection.tournament_within(merit, first, size, rng, size=self.tournament_size).reshape(islands, n)
        settled: dict[str, Parents] = {
            "crowded": partial(selection.crowded_tournament, size=self.tournament_size),
            "truncation": self._truncated,
        }
        choose = (PARENTS | settled)[self.method]
        return np.stack([start + choose(population[start : start + size], n, rng) for start in starts])

    def _truncated(self, population: Population, n: int, rng: np.random.Generator) -> Ints:
        best = selection.truncation(population, max(1, round(self.share * len(population))))
        return best[rng.integers(0, len(best), n)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """The number of children, and the survival of parents and children. mu is the size of an island.

    Parameters
    ----------
    strategy
        ``generational``: the *elites* best parents and mu - *elites* children survive. ``steady``: the children
        replace as many worst parents (Whitley 1989). ``plus``: the best mu of parents and children survive.
        ``comma``: the best mu of the children alone (both Schwefel 1977). Of equals, a child goes before a parent,
        so ``plus`` with one parent and one child is the (1+1) EA.
    elites
        Parents that survive, for ``generational`` alone; None for 1.
    offspring
        Children of each island. None for 1 (``steady``), mu (``plus``) or 7 mu (``comma``); given by *elites* in
        ``generational``.
    method
        The order of genotypes: ``best`` by fitness, lexicographic with several objectives, or ``nsga2`` by
        non-dominated rank and crowding distance (Deb et al. 2002; DEAP's ``selNSGA2``).

    """

    strategy: Strategy = "generational"
    elites: int | None = None
    offspring: int | None = None
    method: str = "best"

    def __post_init__(self) -> None:
        check_choice("strategy", self.strategy, get_args(Strategy))
        check_choice("method", self.method, ["best", *SURVIVORS])
        if self.elites is not None:
            check_count("elites", self.elites, 0)
            if self.strategy != "generational":
                raise ValueError(f"elites need the generational strategy, got {self.elites} with {self.strategy!r}")
        if self.offspring is not None:
            check_count("offspring", self.offspring, 1)
            if self.strategy == "generational":
                raise ValueError(f"the generational strategy's offspring follow from elites, got {self.offspring}")

    def children(self, size: int) -> int:
        """Return the children of an island of *size* genotypes; ValueError if the settings do not fit that size."""
        if self.strategy == "generational":
            elites = 1 if self.elites is None else self.elites
            if elites >= size:
                raise ValueError(f"elites must be below the population's {size}, got {elites}")
            return size - elites
        default = {"steady": 1, "plus": size, "comma": 7 * size}[self.strategy]
        count = default if self.offspring is None else self.offspring
        if self.strategy == "steady" and count >= size:
            raise ValueError(f"offspring must be below the population's {size}, got {count}")
        if self.strategy == "comma" and count < size:
            raise ValueError(f"offspring must be at least the population's {size}, got {count}")
        return count

    def survivors(self, children: Population, parents: Population, islands: int = 1) -> Ints:
        """Return the rows of the next generation, island after island, (len(parents),) int64.

        Rows count the children first and then the parents: parent i is row ``len(children) + i``.
        """
        size, n = len(parents) // islands, len(children)
        young = np.arange(n).reshape(islands, -1)
        old = np.arange(n, n + len(parents)).reshape(islands, -1)
        if self.strategy == "plus":
            return self._best(children, parents, np.concatenate([young, old], axis=1), size).reshape(-1)
        if self.strategy == "comma":
            return self._best(children, parents, young, size).reshape(-1)
        kept = self._best(children, parents, old, size - young.shape[1])
        return np.concatenate([kept, young], axis=1).reshape(-1)

    def succession(self, children: Population, parents: Population, islands: int = 1) -> tuple[Ints, Ints]:
        """Return the rows of the parents that stay, and the next generation's rows in these and all children."""
        order, n = self.survivors(children, parents, islands), len(children)
        old = order >= n
        stay = order[old] - n
        order += len(stay)
        order[old] = np.arange(len(stay))
        return stay, order

    def _best(self, children: Population, parents: Population, rows: Ints, count: int) -> Ints:
        if self.method == "best":
            merit = _merit(children, parents)[rows]
            if count == 1:
                return np.asarray(rows[np.arange(len(rows)), merit.argmax(axis=1)][:, None])
            return np.take_along_axis(rows, np.argsort(-merit, axis=1, kind="stable")[:, :count], axis=1)
        pool, choose = Population.concatenate([children, parents]), SURVIVORS[self.method]
        return np.stack([island[choose(pool[island], count)] for island in rows])


def _merit(children: Population, parents: Population) -> Floats:
    if len(parents.weights) == 1:
        return np.concatenate([children.merit(), parents.merit()])
    return Population.concatenate([children, parents]).merit()  # ranks of all together
