"""The rules of selection and survival, for one population or for islands of equal size at once.

The genotypes of island i are the rows ``i * size`` to ``(i + 1) * size``. The choice for one island never depends
on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_at_least, check_between, check_choice, check_count
from genoevo._types import Floats, Ints
from genoevo.operators import selection
from genoevo.population import Population
from genoevo.state import LATER

Parents = Callable[[Population, int, np.random.Generator], Ints]
Survivors = Callable[[Population, int], Ints]
Strategy = Literal["generational", "steady", "plus", "comma"]


def _uniform(population: Population, n: int, rng: np.random.Generator) -> Ints:
    return rng.integers(0, len(population), n)


# Functions that choose the rows of n parents, or of n survivors, of one island. Other methods have settings, or
# choose for all islands at once.
PARENTS: dict[str, Parents] = {
    "uniform": _uniform,
    "roulette": selection.roulette,
    "sus": selection.stochastic_universal,
}
SURVIVORS: dict[str, Survivors] = {"nsga2": selection.nsga2}
_SETTLED = ("tournament", "crowded", "truncation", "ranking", "lexicase")


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
    pressure
        Of ``ranking``, in [1, 2]: the expected number of times that the best is drawn, see
        :func:`~genoevo.operators.selection.linear_ranking`.
    epsilon
        Of ``lexicase``: the difference to the best of an objective up to which a genotype stays too.

    """

    method: str = "tournament"
    tournament_size: int = 3
    share: float = 0.5
    pressure: float = field(default=1.5, metadata=LATER)
    epsilon: float = field(default=0.0, metadata=LATER)

    def __post_init__(self) -> None:
        check_choice("method", self.method, [*_SETTLED, *PARENTS])
        check_count("tournament_size", self.tournament_size, 1)
        check_between("share", self.share, 0, 1)
        check_between("pressure", self.pressure, 1, 2)
        check_at_least("epsilon", self.epsilon, 0)

    @property
    def is_proportional(self) -> bool:
        """Whether parents are chosen in proportion to their fitness."""
        return self.method in ("roulette", "sus")

    def check_weights(self, weights: tuple[float, ...]) -> None:
        """Raise ValueError if the method cannot select by objectives of these weights."""
        if self.is_proportional:
            selection.check_proportional(weights)

    def parents(
        self, population: Population, n: int, rng: np.random.Generator, islands: int = 1, own: Parents | None = None
    ) -> Ints:
        """Return the rows of *n* parents of each island, (islands, n) int64; ValueError if one is unevaluated.

        *own* chooses from one island at a time, instead of the method.
        """
        size = len(population) // islands
        starts = np.arange(islands) * size
        if size == 1:
            return np.repeat(starts[:, None], n, axis=1)
        if self.method == "tournament" and own is None:
            merit, first = population.merit(), np.repeat(starts, n)
            return selection.tournament_within(merit, first, size, rng, size=self.tournament_size).reshape(islands, n)
        settled: dict[str, Parents] = {
            "crowded": partial(selection.crowded_tournament, size=self.tournament_size),
            "truncation": self._truncated,
            "ranking": partial(selection.linear_ranking, pressure=self.pressure),
            "lexicase": partial(selection.lexicase, epsilon=self.epsilon),
        }
        choose = own or (PARENTS | settled)[self.method]
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

    @property
    def keeps_parents(self) -> bool:
        """Whether a parent survives if no child is better."""
        return self.strategy != "comma" and self.elites != 0

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

    def staying(self, parents: Population, islands: int = 1) -> Ints:
        """Return the rows of the parents that survive if no child is better, island after island, by the method."""
        size, rows = len(parents) // islands, np.arange(len(parents))
        count = {"plus": size, "comma": 0}.get(self.strategy, size - self.children(size))
        if count in (0, size):
            return rows[: islands * count]
        return self._kept(parents, count, islands).reshape(-1)

    def survivors(
        self, children: Population, parents: Population, islands: int = 1, own: Survivors | None = None
    ) -> Ints:
        """Return the rows of the next generation, island after island, (len(parents),) int64.

        Rows count the children first and then the parents: parent i is row ``len(children) + i``. *own* chooses from
        one island at a time, instead of the method.
        """
        size, n = len(parents) // islands, len(children)
        young = np.arange(n).reshape(islands, -1)
        old = np.arange(n, n + len(parents)).reshape(islands, -1)
        if self.strategy == "plus":
            return self._best(children, parents, np.concatenate([young, old], axis=1), size, own).reshape(-1)
        if self.strategy == "comma":
            return self._best(children, parents, young, size, own).reshape(-1)
        kept = self._kept(parents, size - young.shape[1], islands, own)
        return np.concatenate([kept + n, young], axis=1).reshape(-1)

    def _kept(self, parents: Population, count: int, islands: int, own: Survivors | None = None) -> Ints:
        # The *count* best parents of each island, (islands, count).
        return self._best(None, parents, np.arange(len(parents)).reshape(islands, -1), count, own)

    def succession(
        self, children: Population, parents: Population, islands: int = 1, own: Survivors | None = None
    ) -> tuple[Ints, Ints | None]:
        """Return the rows of the parents that stay, and the next generation's rows in these and all children.

        The latter are None if all are in their order already, as with one island, generational or steady.
        """
        if islands == 1 and self.strategy in ("generational", "steady"):
            return self._kept(parents, len(parents) - len(children), 1, own)[0], None
        order, n = self.survivors(children, parents, islands, own), len(children)
        old = order >= n
        stay = order[old] - n
        order += len(stay)
        order[old] = np.arange(len(stay))
        return stay, order

    def _best(
        self, children: Population | None, parents: Population, rows: Ints, count: int, own: Survivors | None = None
    ) -> Ints:
        # Rows count the children first, if there are any, and then the parents.
        if not count:
            return rows[:, :0]
        if own is None and self.method == "best":
            merit = (parents.merit() if children is None else _merit(children, parents)).take(rows)
            if count == 1:
                return np.asarray(rows[np.arange(len(rows)), merit.argmax(axis=1)][:, None])
            return np.take_along_axis(rows, np.argsort(-merit, axis=1, kind="stable")[:, :count], axis=1)
        pool = parents if children is None else Population.concatenate([children, parents])
        choose = own or SURVIVORS[self.method]
        return np.stack([island[choose(pool[island], count)] for island in rows])


def _merit(children: Population, parents: Population) -> Floats:
    if len(parents.weights) == 1:
        return np.concatenate([children.merit(), parents.merit()])
    return Population.concatenate([children, parents]).merit()  # ranks of all together
