"""The frontier of a task: a small archive of genotypes from cheap to best, kept by NSGA-II over (score, price).

The price of a genotype is the caller's, for instance the multiply-adds of its policy. An archive has places for
settled genotypes and one for a trial: a child of one of them that has had too few episodes to be compared. When it
has had enough, NSGA-II (Deb et al. 2002) chooses among the settled ones, the trial and the present elite, and a new
child goes on trial. All of this is [O].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from genoevo._check import check_between, check_choice, check_count, check_whole
from genoevo._types import Flags, Floats, Ints
from genoevo.community.fitness import FitnessRecord
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Reproduction
from genoevo.operators.routes import prune
from genoevo.operators.selection import nsga2
from genoevo.population import Population
from genoevo.state import LATER, State, check_array, check_state, population_from_state, population_state

Price = Callable[[Population], Floats | Ints]
"""Returns the price of each of n genotypes, (n,)."""
FirstTrial = Literal["module", "elite"]
Routes = Callable[[Population], list[bytes]]
"""Returns a key of the route of each genotype, see :func:`genoevo.operators.routes.route_keys`."""
_ATTEMPTS = 8  # to find a child of a route that the archive does not have
_RETURN = 0.05  # of one spread of return, in units of success rate: it orders genotypes of equal success


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The rule of the frontiers; every number is our choice [O].

    Parameters
    ----------
    size : 0 or >= 2
        Settled genotypes of each task's archive; 0 for no frontier.
    trial_rounds : >= 1
        Rounds with an episode after which a genotype on trial is compared with the settled ones.
    update_share : in [0, 1]
        Share of the gradient steps, task by task, that train a genotype of the archive; none if a step trains the
        genotypes that produced its transitions.
    first_trial
        The first genotype on trial: the elite cut to its strongest ``module``, so that a frontier has a cheap end
        from the start, or the ``elite``.

    """

    size: int = 0
    trial_rounds: int = 3
    update_share: float = 0.25
    first_trial: FirstTrial = field(default="module", metadata=LATER)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        if self.size == 1:
            raise ValueError("size must be 0 or at least 2, got 1: a frontier has a cheap and a good genotype")
        check_count("size", self.size, 0)
        check_count("trial_rounds", self.trial_rounds, 1)
        check_between("update_share", self.update_share, 0, 1)
        check_choice("first_trial", self.first_trial, get_args(FirstTrial))


@dataclass(slots=True)
class Archive:
    """The archives of all tasks.

    Attributes
    ----------
    population : Population
        ``places`` genotypes of each task, task after task; the last of a task is on trial. They may be of any stage.
    settled : bool
        (tasks, places): the places that hold a settled genotype, the cheapest first; others hold a copy that nobody
        counts.
    prices : float64
        (tasks, places): the price of each settled genotype; NaN for others.
    turns : int64
        (tasks, places): the number, within its task, of the last trial whose parent each settled genotype was; 0 for
        others.

    """

    population: Population
    settled: Flags
    prices: Floats
    turns: Ints

    @classmethod
    def fresh(cls, trials: Population, rule: Frontier) -> Archive:
        """Return archives that hold nothing but a genotype of each task, on trial."""
        places = rule.size + 1
        rows = np.repeat(np.arange(len(trials)), places)
        shape = len(trials), places
        none = np.zeros(shape, np.int64)
        return cls(trials.unevaluated()[rows], np.zeros(shape, np.bool_), np.full(shape, np.nan), none)

    @property
    def places(self) -> int:
        """The places of each task, the one on trial included."""
        return int(self.settled.shape[1])

    def acting(self, rounds: int) -> Ints:
        """Return the place of each task that has an episode in round *rounds*, (tasks,): the trial every other time.

        Settled genotypes take turns in between.
        """
        trial = np.full(len(self.settled), self.places - 1)
        count = self.settled.sum(axis=1)
        turn = (rounds // 2) % np.maximum(count, 1)
        # The place of the turn-th settled genotype.
        ranked = np.argsort(~self.settled, axis=1, kind="stable")
        chosen = np.take_along_axis(ranked, turn[:, None], axis=1)[:, 0]
        return np.where((count == 0) | (rounds % 2 == 0), trial, chosen)

    def draw(self, rng: np.random.Generator) -> Ints:
        """Draw one place of each task, uniform among the settled genotypes and the trial, (tasks,)."""
        usable = self.settled.copy()
        usable[:, -1] = True
        return np.asarray(np.where(usable, rng.random(usable.shape), -1).argmax(axis=1))

    def update(
        self,
        record: FitnessRecord,
        elites: Population,
        price: Price,
        routes: Routes,
        child: Callable[[Population], Population],
        rule: Frontier,
    ) -> list[int]:
        """Let trials that have had their episodes compete, and put new children on trial.

        *record* has the archive's genotypes in its last places, and each task's elite in its first; *child* breeds
        one child of each genotype. The record follows. Returns the tasks whose settled genotypes are not as before.
        """
        tasks, places = self.settled.shape
        first = record.age.shape[1] - places
        ready = np.flatnonzero(record.age[:, -1] >= rule.trial_rounds)
        if not len(ready):
            return []
        # The places of the archive, and behind them that of the elite: their columns of the record.
        columns = np.append(np.arange(first, first + places), 0)
        rows = np.tile(np.arange(record.age.shape[1]), (tasks, 1))
        elites = elites.unevaluated()
        everything = Population.concatenate([self.population, elites])
        sources = np.arange(tasks * places).reshape(tasks, places)
        changed = []
        for task in ready.tolist():
            own = np.append(sources[task], tasks * places + task)
            usable = [*np.flatnonzero(self.settled[task]).tolist(), places - 1]
            usable += [places] if record.age[task, 0] > 0 else []
            values = score(record)[task, columns]
            chosen, prices = _survivors(everything[own], usable, values, price, routes, rule.size)
            if set(chosen) != set(np.flatnonzero(self.settled[task]).tolist()):
                changed.append(task)
            kept = len(chosen)
            self.settled[task] = np.arange(places) < kept
            self.prices[task] = np.append(prices, np.full(places - kept, np.nan))
            self.turns[task] = np.append(np.append(self.turns[task], 0)[chosen], np.zeros(places - kept, np.int64))
            rows[task, first:] = np.append(columns[chosen], np.full(places - kept, -1))
            sources[task] = own[chosen + [chosen[0]] * (places - kept)]
        self.population = everything[sources.ravel()]
        self._put_on_trial(ready, elites, routes, child)
        record.follow(rows)
        return changed

    def _put_on_trial(
        self, tasks: Ints, elites: Population, routes: Routes, child: Callable[[Population], Population]
    ) -> None:
        """Put a child of a settled genotype of each of *tasks* on trial, of a new route if one is found."""
        # Parents take turns: next is who has not been one for longest, and the cheapest of those.
        turns = self.turns[tasks]
        places = np.where(self.settled[tasks], turns, np.iinfo(np.int64).max).argmin(axis=1)
        self.turns[tasks, places] = turns.max(axis=1) + 1
        parents = tasks * self.places + places
        for _ in range(_ATTEMPTS):
            trials = tasks * self.places + self.places - 1
            self.population = self.population.replaced(trials, child(self.population[parents]))
            again = np.array([self._is_known(int(task), elites, routes) for task in tasks])
            tasks, parents = tasks[again], parents[again]
            if not len(tasks):
                return

    def _is_known(self, task: int, elites: Population, routes: Routes) -> bool:
        """Return whether the route on trial is that of a settled genotype or of the task's elite."""
        own = self.population[task * self.places : (task + 1) * self.places]
        *known, trial = routes(Population.concatenate([elites[task : task + 1], own]))
        return trial in known

    def as_state(self) -> State:
        """Return the archives as arrays."""
        arrays = {name: getattr(self, name).copy() for name in ("settled", "prices", "turns")}
        return {"population": population_state(self.population), **arrays}

    @classmethod
    def from_state(cls, state: State, tasks: int, rule: Frontier) -> Archive:
        """Return what :meth:`as_state` gave; ValueError says what does not fit."""
        check_state("a frontier", state, ("population", "settled"))
        population = population_from_state(state["population"])
        settled: Any = check_array("settled", state["settled"], np.bool_, (tasks, rule.size + 1))
        check_whole("genotypes of the frontier", len(population), settled.size, settled.size)
        # States may have been written before archives kept prices and turns.
        unknown, none = np.full(settled.shape, np.nan), np.zeros(settled.shape, np.int64)
        prices: Any = check_array("prices", state.get("prices", unknown), np.float64, settled.shape)
        if np.isinf(prices).any():
            raise ValueError("a price of the frontier is infinite")
        turns: Any = check_array("turns", state.get("turns", none), np.int64, settled.shape)
        if (turns < 0).any():
            raise ValueError("turns of the frontier must be at least 0")
        return cls(population, settled, prices, turns)


def children(
    parents: Population,
    reproduction: Reproduction,
    layout: StagedLayout,
    decode: Callable[[Population], Floats],
    rng: np.random.Generator,
) -> Population:
    """Return a child of each genotype for its archive: half lose a connection, half are mutants.

    *decode* returns the weights of genotypes, (n, G).
    """
    mutating = replace(reproduction, crossover_threshold=0.0, mutation_threshold=1.0)
    mutants, _ = mutating.children(parents, parents, rng, layout)
    pruned = np.flatnonzero(rng.random(len(parents)) < 0.5)
    return mutants.replaced(pruned, prune(parents[pruned], layout, decode, rng)) if len(pruned) else mutants


def _survivors(
    genotypes: Population, usable: list[int], scores: Floats, price: Price, routes: Routes, count: int
) -> tuple[list[int], Floats]:
    """Return which of the *usable* ones among a task's genotypes stay, the cheapest first, and their prices.

    Of those with the same route the first counts.
    """
    keys = routes(genotypes)
    distinct = np.array(sorted({keys[i]: i for i in reversed(usable)}.values()))
    of_distinct = genotypes[distinct]
    prices = np.asarray(price(of_distinct), np.float64)
    values = np.stack([scores[distinct], prices], axis=1)
    compared = Population(of_distinct.words, of_distinct.lengths, values, weights=(1.0, -1.0))
    kept = nsga2(compared, min(count, len(distinct)))
    order = kept[np.argsort(prices[kept], kind="stable")]
    return distinct[order].tolist(), prices[order]


def score(record: FitnessRecord) -> Floats:
    """Return the score of each genotype by its record, (tasks, n): success rate, then return."""
    return np.asarray(record.success.mean + _RETURN * record.relative_return.mean)
