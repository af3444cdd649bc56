"""How children are made from pairs of parents (MEGA's Algorithm 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from genoevo._check import check_at_least, check_between, check_choice
from genoevo.layout import Layout
from genoevo.operators import crossover, mutation
from genoevo.population import Population

Kind = Literal["points", "uniform", "segments"]


class Origin(IntEnum):
    """How a child was made."""

    CROSSOVER = 0
    MUTATION = 1
    FRESH = 2


class Brood(NamedTuple):
    """Children and how each was made: *origins* is (n,) int8 of :class:`Origin`."""

    population: Population
    origins: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """One draw u ~ U(0, 1) per child against two thresholds (that they exist [P], their meaning [O]).

    ``u < crossover_threshold``: crossover, then mutation. Else ``u < mutation_threshold``: mutation of the first
    parent. Otherwise a fresh random genotype of the first parent's length.

    Parameters
    ----------
    crossover_threshold, mutation_threshold
        In [0, 1], the first not above the second.
    crossover
        ``points``, ``uniform`` or ``segments``, see :mod:`genoevo.operators.crossover`.
    points
        Cuts of ``points``.
    mutation_rate
        Flips per bit in [0, 1]; None for 1 / length.

    """

    crossover_threshold: float = 0.9
    mutation_threshold: float = 1.0
    crossover: Kind = "points"
    points: int = 2
    mutation_rate: float | None = None

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_between("mutation_threshold", self.mutation_threshold, 0, 1)
        check_between("crossover_threshold", self.crossover_threshold, 0, self.mutation_threshold)
        check_choice("crossover", self.crossover, get_args(Kind))
        check_at_least("points", self.points, 1)
        if self.mutation_rate is not None:
            check_between("mutation_rate", self.mutation_rate, 0, 1)

    def children(
        self, first: Population, second: Population, rng: np.random.Generator, layout: Layout | None = None
    ) -> Brood:
        """One child per pair of rows, of the first parent's length; parents are left untouched.

        *layout* is needed for ``segments`` alone.
        """
        u = rng.random(len(first))
        mate = u < self.crossover_threshold
        fresh = u >= self.mutation_threshold
        words = first.words.copy()
        if mate.any():
            words[mate] = self._cross(first[mate], second[mate], rng, layout).words
        bred = Population(words, first.lengths.copy(), weights=first.weights)
        rates = 1 / bred.lengths if self.mutation_rate is None else np.full(len(bred), self.mutation_rate)
        children = mutation.flip(bred, rng, rate=np.where(fresh, 0.0, rates))
        if fresh.any():
            random = Population.random(int(fresh.sum()), first.lengths[fresh], rng)
            children.words[fresh, : random.words.shape[1]] = random.words
        origins = np.where(mate, Origin.CROSSOVER, np.where(fresh, Origin.FRESH, Origin.MUTATION))
        return Brood(children, origins.astype(np.int8))

    def _cross(
        self, first: Population, second: Population, rng: np.random.Generator, layout: Layout | None
    ) -> Population:
        if self.crossover == "points":
            return crossover.n_point(first, second, rng, points=self.points)[0]
        if self.crossover == "uniform":
            return crossover.uniform(first, second, rng)[0]
        if layout is None:
            raise ValueError("crossover by segments needs a layout")
        return crossover.segments(first, second, rng, layout=layout)[0]
