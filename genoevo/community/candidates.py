"""The search for candidates: genotypes that are judged without episodes, many more than a population can hold.

Each generation breeds children of every task: crossover of whole segments, partly with other tasks, mutation, and
fresh sparse genotypes. A candidate is judged by how crowded its route is (:mod:`genoevo.community.overlap`), by the
number of modules that it uses, and, if the caller has one, by a judge such as a critic. All of this is [O].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from genoevo._check import check_at_least, check_between, check_choice, check_count, check_flag
from genoevo._types import AnyArray, Flags, Floats, Ints, Origins
from genoevo.community.overlap import crowding, load, usage
from genoevo.community.round import mates
from genoevo.community.settings import Mating
from genoevo.decode import stages_of
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Origin, Reproduction
from genoevo.operators.routes import sparse
from genoevo.population import Population
from genoevo.state import LATER

Judge = Callable[[Population, Ints], Floats]
"""Scores n candidates, given the task of each, (n,) int64: (n,) float64, higher is better."""
Shuffle = Literal["none", "surrogate", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The search for candidates; every number is our choice [O].

    Parameters
    ----------
    children : >= 0
        Children of every task in a generation; 0 for no search: genotypes then stay, and only their order changes.
    generations : >= 1
        Generations in a round.
    first_generations : >= 0
        Generations before the first round, judged without a critic; the start population is their result.
    pool : >= 2
        The best candidates of a task, from which the next generation comes; more if its population has more places.
    fresh : in [0, 1]
        Share of the children that are new sparse genotypes. With 1 the search is a random one.
    crowding : >= 0
        Weight of the crowding of a route, in units of the judge's scores.
    usage_cost : >= 0
        Weight of each module whose part of the usage is above ``usage_threshold`` of
        :class:`~genoevo.community.Mating`, in these units.
    surrogate : >= 0
        Weight of the judge's scores, which are divided by their median absolute deviation within the task.
    inertia : >= 0
        What a candidate's score must exceed a genotype's by to take its place, in the same units.
    shuffle
        For control runs: ``surrogate`` permutes the judge's scores within each task, ``all`` the whole scores.
    distinct
        Whether the genotypes of a task must differ in what their outputs pass through. Otherwise candidates as little
        crowded as the elite take the other places: they have its route, and episodes choose among equals.

    """

    children: int = 0
    generations: int = 1
    first_generations: int = 25
    pool: int = 12
    fresh: float = 0.3
    crowding: float = 4.0
    usage_cost: float = 0.0
    surrogate: float = 0.0
    inertia: float = 4.0
    shuffle: Shuffle = "none"
    distinct: bool = field(default=False, metadata=LATER)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        for name, least in (("children", 0), ("generations", 1), ("first_generations", 0), ("pool", 2)):
            check_count(name, getattr(self, name), least)
        check_between("fresh", self.fresh, 0, 1)
        for name in ("crowding", "usage_cost", "surrogate", "inertia"):
            check_at_least(name, getattr(self, name), 0)
        check_choice("shuffle", self.shuffle, get_args(Shuffle))
        check_flag("distinct", self.distinct)


class Ranked(NamedTuple):
    """Candidates of every task, arrays (tasks, n): candidate i of task t is row t * n + i of *population*.

    ``member`` is the place in the task's population of a genotype that is no child, -1 for children. ``parents``
    (tasks, n, 2) are rows of the community's population, or -1, and ``origins`` codes of
    :class:`~genoevo.operators.reproduction.Origin`, -1 for a member, which is its own parent. The parents of a child
    of a later generation are the members that its own parents descend from, by first parents. ``surrogate`` is the
    judge's score, NaN without one.
    """

    population: Population
    usage: Floats
    surrogate: Floats
    member: Ints
    parents: Ints
    origins: Origins

    def rows(self, chosen: Ints) -> Ranked:
        """Return the candidates at *chosen*, (tasks, m) places."""
        tasks, n = self.member.shape
        flat = (np.arange(tasks)[:, None] * n + chosen).ravel()

        def taken(array: AnyArray) -> AnyArray:
            rows: AnyArray = array.reshape(tasks * n, *array.shape[2:])[flat]
            return rows.reshape(*chosen.shape, *array.shape[2:])

        return Ranked(self.population[flat], *map(taken, self._arrays()))

    def joined(self, other: Ranked) -> Ranked:
        """Return both sets of candidates, task by task."""
        tasks, n = self.member.shape
        m = other.member.shape[1]
        order = np.concatenate(
            [np.arange(tasks * n).reshape(tasks, n), tasks * n + np.arange(tasks * m).reshape(tasks, m)], axis=1
        )
        population = Population.concatenate([self.population, other.population])[order.ravel()]
        pairs = zip(self._arrays(), other._arrays(), strict=True)
        return Ranked(population, *(np.concatenate(pair, axis=1) for pair in pairs))

    def _arrays(self) -> tuple[AnyArray, ...]:
        return self.usage, self.surrogate, self.member, self.parents, self.origins


@dataclass(slots=True)
class Search:
    """A search under the rules of a community.

    ``decode`` returns the weights of genotypes (n, G). ``width`` is the number of columns of usages, one more than
    the highest stage that the community may have.
    """

    rules: Candidates
    layout: StagedLayout
    decode: Callable[[Population], Floats]
    mating: Mating
    reproduction: Reproduction
    rng: np.random.Generator
    width: int

    def members(self, population: Population, tasks: int) -> Ranked:
        """Return the genotypes of *population*, task after task, as candidates without a score."""
        size = len(population) // tasks
        rows = np.arange(len(population)).reshape(tasks, size)
        parents = np.stack([rows, np.full_like(rows, -1)], axis=2)
        origins = np.full((tasks, size), -1, np.int8)
        place = np.tile(np.arange(size), (tasks, 1))
        unknown = np.full((tasks, size), np.nan)
        return Ranked(population, self.usage(population, tasks), unknown, place, parents, origins)

    def usage(self, population: Population, tasks: int) -> Floats:
        """Return the usage of each genotype, (tasks, n, width)."""
        found = usage(self.decode(population), stages_of(population, self.layout), self.width)
        return found.reshape(tasks, -1, self.width)

    def judged(self, candidates: Ranked, judge: Judge | None) -> Ranked:
        """Return the candidates with the judge's scores; ValueError unless it gives a finite one for each."""
        if judge is None or not self.rules.surrogate:
            return candidates
        tasks, n = candidates.member.shape
        scores = np.asarray(judge(candidates.population, np.repeat(np.arange(tasks), n)), np.float64)
        if scores.shape != (tasks * n,) or not np.isfinite(scores).all():
            raise ValueError(f"a judge must give {tasks * n} finite scores, got {scores!r:.80}")
        return candidates._replace(surrogate=scores.reshape(tasks, n))

    def _shuffled(self, candidates: Ranked) -> Ranked:
        """Return the candidates with the judge's scores permuted within each task, if the rules say so."""
        if self.rules.shuffle != "surrogate":
            return candidates
        return candidates._replace(surrogate=self.rng.permuted(candidates.surrogate, axis=1))

    def scores(self, candidates: Ranked, elites: Floats) -> Floats:
        """Return the score of each candidate, (tasks, n), beside the other tasks' *elites* (tasks, width)."""
        own = self._own(candidates)
        stages = self._stages(candidates)
        return np.stack(
            [self._beside(own[t], candidates.usage[t], load(elites, t, stages[t])) for t in range(len(own))]
        )

    def _beside(self, own: Floats, usages: Floats, of_load: Floats) -> Floats:
        """Return the scores of one task's candidates, (n,), from their *own* part and other tasks' load."""
        scores = own - self.rules.crowding * crowding(usages, of_load)
        return self.rng.permutation(scores) if self.rules.shuffle == "all" else scores

    def _without_repeats(self, scores: Floats, candidates: Ranked) -> Floats:
        """Return the scores, -inf for all but the first of several with one usage if the rules want them distinct."""
        return np.where(_repeated(candidates.usage), -np.inf, scores) if self.rules.distinct else scores

    def _stages(self, candidates: Ranked) -> list[int]:
        """Return the stage of each task, which all of its candidates have."""
        n = candidates.member.shape[1]
        stages: list[int] = stages_of(candidates.population[::n], self.layout).tolist()
        return stages

    def _own(self, candidates: Ranked) -> Floats:
        """Return the part of the scores that does not depend on other tasks, (tasks, n)."""
        used = (candidates.usage[:, :, 1:] > self.mating.usage_threshold).sum(axis=2)
        total = -self.rules.usage_cost * used
        if not np.isnan(candidates.surrogate).all():
            score = candidates.surrogate
            centred = score - np.median(score, axis=1, keepdims=True)
            scale = np.median(np.abs(centred), axis=1, keepdims=True)
            # If most candidates are equal, the median deviation is 0 and says nothing about the others.
            scale = np.where(scale > 0, scale, np.abs(centred).mean(axis=1, keepdims=True))
            total = total + self.rules.surrogate * centred / np.where(scale > 0, scale, 1)
        return np.asarray(total, np.float64)

    def breed(self, parents: Ranked, merit: Floats) -> Ranked:
        """Return children of every task, chosen by *merit* (tasks, n)."""
        tasks, count, rng, population = len(merit), self.rules.children, self.rng, parents.population
        first, second = mates(merit, count, self.mating, rng)
        bred, origins = self.reproduction.children(population[first], population[second], rng, self.layout)
        fresh = np.flatnonzero((origins == Origin.FRESH) | (rng.random(len(bred)) < self.rules.fresh))
        if len(fresh):
            new = sparse(stages_of(bred[fresh], self.layout), self.layout, rng)
            bred = bred.replaced(fresh, Population(new.words, new.lengths, weights=bred.weights))
            origins[fresh] = Origin.FRESH
        ancestors = parents.parents.reshape(-1, 2)[:, 0]
        pairs = np.stack([ancestors[first], ancestors[second]], axis=1)
        pairs[origins != Origin.CROSSOVER, 1] = -1
        pairs[origins == Origin.FRESH, 0] = -1
        rootless = pairs[:, 0] < 0  # a child of a fresh one descends from no member either
        origins[rootless], pairs[rootless] = Origin.FRESH, -1
        shape = tasks, count
        unknown = np.full(shape, np.nan)
        return Ranked(
            bred,
            self.usage(bred, tasks),
            unknown,
            np.full(shape, -1),
            pairs.reshape(*shape, 2),
            origins.reshape(shape),
        )

    def propose(self, members: Ranked, elites: Floats, judge: Judge | None) -> tuple[Ranked, Floats]:
        """Return members and the best children of this round, and their scores (tasks, n).

        The *elites* stay; children are judged beside them.
        """
        candidates = self._shuffled(self.judged(members, judge))
        scores = self.scores(candidates, elites)
        size = members.member.shape[1]
        for _ in range(self.rules.generations):
            children = self.judged(self.breed(candidates, scores), judge)
            candidates = self._shuffled(candidates.joined(children))
            scores = self._without_repeats(self.scores(candidates, elites), candidates)
            # Members are never dropped: they come first, the best children follow.
            best = size + np.argsort(-scores[:, size:], axis=1, kind="stable")[:, : max(self.rules.pool, size - 1)]
            kept = np.concatenate([np.tile(np.arange(size), (len(best), 1)), best], axis=1)
            candidates, scores = candidates.rows(kept), np.take_along_axis(scores, kept, axis=1)
        return candidates, scores

    def settle(self, start: Population, tasks: int) -> Population:
        """Return the start population after a search in which tasks move apart, each one's best genotype first.

        Tasks choose in turn, in random order, each beside what the others have chosen so far.
        """
        size = len(start) // tasks
        candidates = self.members(start, tasks)
        leaders, stages = candidates.usage[:, 0].copy(), self._stages(candidates)
        for _ in range(self.rules.first_generations):
            scores = self.scores(candidates, leaders)
            candidates = candidates.joined(self.breed(candidates, scores))
            own, scores = self._own(candidates), np.empty(candidates.member.shape)
            for task in self.rng.permutation(tasks):
                of_load = load(leaders, task, stages[task])
                scores[task] = self._beside(own[task], candidates.usage[task], of_load)
                leaders[task] = candidates.usage[task, scores[task].argmax()]
            scores = self._without_repeats(scores, candidates)
            best = np.argsort(-scores, axis=1, kind="stable")[:, : max(self.rules.pool, size)]
            candidates = candidates.rows(best)
        distinct_first = np.argsort(_repeated(candidates.usage), axis=1, kind="stable")
        return candidates.rows(distinct_first[:, :size]).population


def _repeated(usages: Floats) -> Flags:
    """Return which candidates, (tasks, n), have the usage of an earlier one of their task."""
    repeated = np.ones(usages.shape[:2], np.bool_)
    for of_task, flags in zip(usages.round(6), repeated, strict=True):
        flags[np.unique(of_task, axis=0, return_index=True)[1]] = False
    return repeated
