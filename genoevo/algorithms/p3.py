"""The parameter-less population pyramid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Unpack

from genoevo._check import check_whole
from genoevo._rows import Bitstring
from genoevo._types import Words
from genoevo.algorithms.linkage import LinkageLearner
from genoevo.algorithms.mixing import climb, mix
from genoevo.algorithms.options import MOST, Course, Options
from genoevo.algorithms.solutions import Key, Solutions, fresh, keys
from genoevo.evaluation import Evaluator, FitnessFunction
from genoevo.evolution.pending import Pending
from genoevo.population import Population
from genoevo.state import State, check_state


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the pyramid: its solutions, and the clusters (C, W) of its linkage tree in their order."""

    solutions: Solutions
    clusters: Words


class P3(LinkageLearner):
    """The parameter-less population pyramid, which learns which bits belong together.

    A generation climbs from a random genotype by single flips, adds the solution to the lowest level, and mixes it
    with one level after the other. Cluster by cluster of the level's linkage tree, small ones first, it copies the
    bits of a random solution of the level that differs there, and keeps them unless that is worse. A solution that a
    level improved is added to the next level. Equal solutions are added once.

    Parameters
    ----------
    evaluate, population, seed, record, statistics, callbacks, reevaluate
        As for :class:`~genoevo.algorithms.Algorithm`. The first generations climb from the genotypes of *population*.
    at_once : from 1 to 10,000
        Genotypes that climb and mix side by side, so that each ``ask`` returns up to as many. 1 is the algorithm
        as published. More is for evaluators that are fast for many, such as vectorised functions and worker
        processes; solutions then do not learn from those beside them, which takes more evaluations.

    Attributes
    ----------
    levels : tuple of Level
        The pyramid, from the lowest level. ``population`` is all of its solutions.

    Notes
    -----
    Source: Goldman and Punch 2014, Parameter-less population pyramid; 2015, Fast and efficient black box optimization
    using the parameter-less population pyramid. With mixed lengths, linkage is learned and bits are copied inside the
    common prefix, the length of the shortest genotype of *population* [O].

    Examples
    --------
    >>> import numpy as np
    >>> from genoevo import Stop
    >>> from genoevo.algorithms import P3
    >>> from genoevo.evaluation import Vectorised
    >>> from genoevo.problems import Trap
    >>> problem = Trap(30, order=5)
    >>> start = problem.random(1, np.random.default_rng(1))
    >>> search = P3(Vectorised(problem), start, seed=1)
    >>> search.run(stop=Stop(target=problem.optimum, evaluations=100_000))
    'target'

    """

    KIND = "p3"
    SETTINGS = ("at_once",)

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        at_once: int = 1,
        **options: Unpack[Options],
    ) -> None:
        check_whole("at_once", at_once, 1, MOST)
        self.at_once = int(at_once)
        self.levels: tuple[Level, ...] = ()
        self._seen: set[Key] = set()
        super().__init__(evaluate, population, seed=seed, **options)

    def _generation(self) -> Course:
        begun = self._begun()
        answer = yield begun
        solutions = yield from climb(Solutions.of(begun.population, *answer), self.rng)
        levels, seen = list(self.levels), set[Key]()
        self._add(levels, 0, solutions, seen)
        height = 0
        while height < len(levels):
            before, level = solutions.merit, levels[height]
            solutions = yield from mix(solutions, level.solutions, level.clusters, self.rng, until_different=True)
            height += 1
            self._add(levels, height, solutions[solutions.merit > before], seen)
        self.levels = tuple(levels)
        self._seen |= seen
        self._show_levels()

    def _begun(self) -> Pending:
        done = self.generation * self.at_once
        if done < len(self.start):
            return Pending.given(self.start[done : done + self.at_once])
        return fresh(self._random(self.at_once))

    def _add(self, levels: list[Level], height: int, solutions: Solutions, seen: set[Key]) -> None:
        new = []
        for row, key in enumerate(keys(solutions)):
            if key not in self._seen and key not in seen:
                seen.add(key)
                new.append(row)
        if not new:
            return
        added = solutions[new]
        if height < len(levels):
            added = levels[height].solutions + added
        tree = self._learned(added)
        levels[height:] = [Level(added, tree.smallest_first(self.rng)), *levels[height + 1 :]]

    def _show_levels(self) -> None:
        parts = [level.solutions for level in self.levels]
        every = parts[0]
        for part in parts[1:]:
            every += part
        self._show(every)

    def _own_state(self) -> State:
        return {"levels": [{**level.solutions.as_state(), "clusters": level.clusters} for level in self.levels]}

    def _restore(self, own: State) -> None:
        check_state("a pyramid", own, ("levels",))
        if not isinstance(own["levels"], list) or not own["levels"]:
            raise ValueError("the levels of a pyramid must be a list of at least one")
        self.levels = tuple(self._level(state) for state in own["levels"])
        self._seen = {key for level in self.levels for key in keys(level.solutions)}
        self._show_levels()

    def _level(self, state: State) -> Level:
        solutions = Solutions.from_state(state, self.start)
        return Level(solutions, self._clusters(state.get("clusters")))
