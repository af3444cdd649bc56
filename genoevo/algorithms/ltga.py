"""The linkage tree genetic algorithm."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

import numpy as np

from genoevo._check import check_flag, check_whole
from genoevo._rows import Bitstring
from genoevo.algorithms.linkage import LinkageLearner
from genoevo.algorithms.mixing import mix
from genoevo.algorithms.options import Course, Options
from genoevo.algorithms.solutions import Answer, Solutions, fresh, keys
from genoevo.evaluation import Evaluator, FitnessFunction
from genoevo.evolution.pending import Pending
from genoevo.population import Population
from genoevo.state import State, check_state

LARGEST = 65_536
"""The default limit on the genotypes of a population that is begun by itself."""

INTERVAL = 4
"""Generations of a population from one generation of the next larger one to the next."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """A population of LTGA: its solutions, its generations so far, and whether it has ended."""

    solutions: Solutions
    generations: int
    ended: bool = False


class LTGA(LinkageLearner):
    """The linkage tree genetic algorithm, the GOMEA of a linkage tree.

    A generation learns a linkage tree from the winners of binary tournaments, and mixes each solution of a population
    with the others: cluster by cluster, the least linked first, it copies the bits of a random solution, and keeps
    them unless that is worse. All solutions of the population are mixed side by side, so ``ask`` returns up
    to as many genotypes as the population has.

    Parameters
    ----------
    evaluate, population, seed, record, statistics, callbacks, reevaluate
        As for :class:`~genoevo.algorithms.Algorithm`. *population* is the first population, of at least 2 genotypes.
    interleaved
        True: nobody needs to know a good size. A population that has had four generations lets the next one, twice as
        large, have one, and so on. A population ends when it no longer changes, or when a larger one has the higher
        mean fitness. False: there is one population of the size of *population*. When it no longer changes, another
        random one of the same size takes its place.
    largest
        The most genotypes of a population, at least those of *population*; None for 65,536, or for those of
        *population* if they are more. No larger population is begun. When all have ended then, nothing is left to
        evaluate, and ``run`` returns ``exhausted`` [O]. To learn and to mix takes 1.5 bytes for each
        bit of a population, measured with 512 bits.

    Attributes
    ----------
    populations : tuple of Mixed
        All populations, from the smallest. ``population`` is the one that had the last generation.

    Notes
    -----
    Source: Thierens 2010, The linkage tree genetic algorithm; Thierens and Bosman 2011, Optimal mixing evolutionary
    algorithms; tournaments, order of the clusters and end of a population: Goldman and Punch 2014; interleaved
    populations: Bosman, Luong and Thierens 2016, Expanding from discrete Cartesian to permutation gene-pool optimal
    mixing evolutionary algorithms. With mixed lengths, linkage is learned and bits are copied inside the common
    prefix, the length of the shortest genotype of *population* [O].

    """

    KIND = "ltga"
    SETTINGS = ("interleaved", "largest")
    LATER: ClassVar[dict[str, Any]] = {"largest": None}

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        interleaved: bool = True,
        largest: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_flag("interleaved", interleaved)
        self.interleaved = bool(interleaved)
        self.populations: tuple[Mixed, ...] = ()
        self._last = 0
        super().__init__(evaluate, population, seed=seed, **options)
        size = len(self.start)
        check_whole("the size of LTGA's population", size, 2)
        if largest is not None:
            check_whole("largest", largest, size)
        self.largest = int(max(LARGEST, size) if largest is None else largest)

    def _generation(self) -> Course:
        populations, last, before = list(self.populations), self._last, self.evaluations
        while self.evaluations == before:  # a population that has converged asks for nothing
            turn = self._turn(populations, last)
            if turn is None:
                return
            last = turn
            if last == len(populations) or (populations[last].ended and not self.interleaved):
                begun = self._begun(last)
                answer = yield begun
                populations[last:] = [Mixed(Solutions.of(begun.population, *answer), 1)]
            else:
                populations[last] = yield from self._mixed(populations[last])
                self._end_smaller(populations)
        self.populations, self._last = tuple(populations), last
        self._show(populations[last].solutions)

    def _turn(self, populations: list[Mixed], last: int) -> int | None:
        """Return the number of the population whose turn it is after *last*'s; None if all have ended for good."""
        if not populations or not self.interleaved:
            return 0
        if populations[last].generations % INTERVAL == 0 or all(it.ended for it in populations):
            left = (i for i in range(last + 1, len(populations)) if not populations[i].ended)
            larger = next(left, len(populations))
            if larger < len(populations) or self._size(larger) <= self.largest:
                return larger
        return next((i for i, it in enumerate(populations) if not it.ended), None)

    def _begun(self, number: int) -> Pending:
        if not self.populations and number == 0:
            return Pending.given(self.start)
        return fresh(self._random(self._size(number)))

    def _size(self, number: int) -> int:
        return len(self.start) << number if self.interleaved else len(self.start)

    def _mixed(self, population: Mixed) -> Generator[Pending, Answer, Mixed]:
        solutions = population.solutions
        order = self.rng.permutation(len(solutions))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        winners = second.copy()  # with an odd number, the last one has no opponent
        better = solutions.merit[first] >= solutions.merit[second[: len(first)]]
        winners[: len(first)][better] = first[better]
        clusters = self._learned(solutions[winners]).least_linked_first(self.rng)
        mixed = yield from mix(solutions, solutions, clusters, self.rng, until_different=False)
        unchanged = set(keys(mixed)) == set(keys(solutions))
        return Mixed(mixed, population.generations + 1, unchanged)

    def _end_smaller(self, populations: list[Mixed]) -> None:
        highest = -np.inf
        for number in reversed(range(len(populations))):
            mean = float(populations[number].solutions.merit.mean())
            if mean < highest:
                populations[number] = replace(populations[number], ended=True)
            highest = max(highest, mean)

    def _own_state(self) -> State:
        populations = [
            {**it.solutions.as_state(), "generations": it.generations, "ended": it.ended} for it in self.populations
        ]
        return {"populations": populations, "last": self._last}

    def _restore(self, own: State) -> None:
        check_state("an LTGA", own, ("populations", "last"))
        if not isinstance(own["populations"], list) or not own["populations"]:
            raise ValueError("the populations of an LTGA must be a list of at least one")
        check_whole("last", own["last"], 0, len(own["populations"]) - 1)
        self.populations, self._last = tuple(map(self._population_of, own["populations"])), own["last"]
        sizes = [len(it.solutions) for it in self.populations]
        if sizes != [self._size(number) for number in range(len(sizes))]:
            raise ValueError(f"the populations of an LTGA that starts with {len(self.start)} cannot be of {sizes}")
        self._show(self.populations[self._last].solutions)

    def _population_of(self, state: State) -> Mixed:
        solutions = Solutions.from_state(state, self.start)
        check_state("a population of LTGA", state, ("generations", "ended"))
        check_whole("generations", state["generations"], 1)
        check_flag("ended", state["ended"])
        return Mixed(solutions, state["generations"], state["ended"])
