"""A community whose genotypes keep a record of their episodes, and whose children are candidates of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from genoevo._check import check_choice, check_whole
from genoevo._types import Flags, Floats, Ints
from genoevo.community.by_record import RecordRound, choose_elites, rejections, replacements
from genoevo.community.candidates import Candidates, Judge, Ranked, Search
from genoevo.community.fitness import Estimate, FitnessRecord
from genoevo.community.frontier import Archive, Frontier, Price, children
from genoevo.community.growth_by_record import RecordHistory
from genoevo.community.growth_rule import Growth, resized, stage_changes
from genoevo.community.overlap import mean_overlap
from genoevo.community.populations import TaskPopulations
from genoevo.community.rollback import WEIGHTS
from genoevo.community.round import elite_first
from genoevo.community.settings import Decoding, Mating, Selection
from genoevo.decode import output_shares, stages_of
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Reproduction
from genoevo.operators.routes import disjoint, route_keys, sparse, strongest_alone
from genoevo.population import Population
from genoevo.state import State, check_state, rebuild, settings_state

Start = Literal["random", "sparse", "disjoint"]


class RecordCommunity(TaskPopulations):
    """The populations of several tasks, which evolve together, each genotype judged by all of its episodes.

    Parameters
    ----------
    layout, tasks, seed, size, stage, reproduction, mating, growth, decoding
        As for :class:`~genoevo.community.community.Community`.
    selection, candidates, frontier
        The rules of elites, of new genotypes, and of each task's archive from cheap to best; see their classes.
    start
        The first genotypes: uniform ``random`` bits; ``sparse`` ones, see :func:`genoevo.operators.routes.sparse`,
        whose routes begin on different modules from task to task; or ``disjoint`` hand-written routes, see
        :func:`genoevo.operators.routes.disjoint`, for control runs [O]. A search before the first round, if the
        candidates' rule has one, begins with them.

    Attributes
    ----------
    record : FitnessRecord
        The episodes of every genotype: add them before :meth:`step`. Each task has ``size`` places for its population
        and then, with a frontier, those of its archive.
    archive : Archive or None
        The frontiers' genotypes, if the rule has any.

    """

    def __init__(
        self,
        layout: StagedLayout,
        tasks: Sequence[str],
        *,
        seed: int,
        size: int = 3,
        stage: int = 3,
        reproduction: Reproduction | None = None,
        mating: Mating | None = None,
        growth: Growth | None = None,
        decoding: Decoding | None = None,
        selection: Selection | None = None,
        candidates: Candidates | None = None,
        frontier: Frontier | None = None,
        start: Start = "random",
    ) -> None:
        check_choice("start", start, get_args(Start))
        self.selection = selection or Selection(rule="record")
        self.candidates = candidates or Candidates()
        self.frontier = frontier or Frontier()
        self._start: Start = start
        super().__init__(
            layout,
            tasks,
            seed=seed,
            size=size,
            stage=stage,
            reproduction=reproduction,
            mating=mating,
            growth=growth,
            decoding=decoding,
        )

    def _begin(self) -> None:
        n = len(self.tasks)
        self._history = RecordHistory.fresh(n, self.growth.patience)
        stages = np.full(n * self.size, self.start_stage)
        if self._start == "sparse":
            apart = 1 + (np.repeat(np.arange(n), self.size) + np.tile(np.arange(self.size), n) * n) % self.start_stage
            self._replace_all(sparse(stages, self.layout, self.rng, output=apart))
        elif self._start == "disjoint":
            routes = disjoint(n, self.start_stage, self.layout)
            self._replace_all(routes[np.repeat(np.arange(n), self.size)])
        if self.candidates.children and self.candidates.first_generations:
            self.population = self._search().settle(self.population, n)
        self.archive = None
        if self.frontier.size:
            elites, cut = self.population[:: self.size], self.frontier.first_trial == "module"
            first = strongest_alone(elites, self.layout, self.weights) if cut else elites
            self.archive = Archive.fresh(first, self.frontier)
        self.record = FitnessRecord.fresh(n, self.size + (self.archive.places if self.archive else 0))

    def _replace_all(self, population: Population) -> None:
        self.population = Population(population.words, population.lengths, weights=WEIGHTS)

    def _search(self) -> Search:
        return Search(
            self.candidates,
            self.layout,
            self.weights,
            self.mating,
            self.reproduction,
            self.rng,
            self.growth.max_modules + 1,
        )

    @property
    def wants_judge(self) -> bool:
        """Whether :meth:`step` reads its judge."""
        return bool(self.candidates.children and self.candidates.surrogate)

    def usage(self) -> Floats:
        """Return the :func:`~genoevo.community.overlap.usage` of each genotype, (tasks, size, max_modules + 1)."""
        return self._search().usage(self.population, len(self.tasks))

    def step(
        self,
        *,
        breed: bool = True,
        module_budget: int | None = None,
        judge: Judge | None = None,
        price: Price | None = None,
    ) -> RecordRound:
        """Run one round for every task: elites, rejected genotypes, candidates, growth.

        Add the round's episodes to :attr:`record` before. A genotype of fewer rounds than ``selection.min_rounds``
        can neither become the elite nor be rejected.

        Parameters
        ----------
        breed
            False keeps all genotypes, with the elite in front. Stages may still change.
        module_budget
            Largest sum of all tasks' stages that growth may reach; see
            :meth:`genoevo.Community.step`.
        judge
            Scores candidates without episodes; used if the candidates' rule has a weight for it.
        price
            Prices genotypes for the frontiers; by default their number of effective modules.

        """
        tasks, record = len(self.tasks), self.record
        effective, stages = self.effective_modules(), self.stages
        counted = record.count_round()
        own = slice(None, self.size)
        success, relative_return = (
            Estimate(e.mean[:, own], e.error[:, own]) for e in (record.success, record.relative_return)
        )
        age, surrogate = record.age[:, own], record.surrogate[:, own]
        elites = choose_elites(record, effective, self.selection)
        order = elite_first(elites, self.size)
        places = order % self.size
        self.population = self.population[order.ravel()]
        record.follow(places)
        rejected = rejections(record, self.size, self.selection)
        search = self._search()
        chosen = search.members(self.population, tasks)
        usages = chosen.usage[:, 0]
        self.rounds += 1
        grown, shrunk = self._stage_changes(stages, counted, module_budget)
        if not breed:  # nobody will come who tries a new module
            self._history.waiting[:] = False
        if breed and self.candidates.children:
            candidates, scores = search.propose(chosen, usages, judge)
            chosen = candidates.rows(replacements(scores, rejected, self.candidates.inertia))
        self.population = resized(
            chosen.population, grown, shrunk, self.size, self.layout, self.growth.fill, self.rng, keep="output"
        )
        self._follow(chosen, grown + shrunk, usages)
        settled: list[int] = []
        if self.archive is not None and breed:
            elites_now, priced = self.population[:: self.size], price or self._effective
            settled = self.archive.update(record, elites_now, priced, self.routes, self._archive_child, self.frontier)
        record.fade(self.selection.memory)
        parents = np.where(chosen.parents < 0, -1, order.ravel()[np.maximum(chosen.parents, 0)])
        return RecordRound(
            success=success,
            relative_return=relative_return,
            age=age,
            surrogate=surrogate,
            effective_modules=effective,
            elites=elites,
            rejected=np.take_along_axis(rejected, np.argsort(order, axis=1), axis=1),
            kept=(chosen.member >= 0).sum(axis=1),
            overlap=mean_overlap(usages),
            grown=grown,
            shrunk=shrunk,
            settled=settled,
            parents=parents[:, 1:],
            origins=chosen.origins[:, 1:],
        )

    def _follow(self, chosen: Ranked, moved: list[int], usages: Floats) -> None:
        """Let the record follow the genotypes that stay.

        In tasks whose stage has changed, all genotypes start anew but an elite whose usage is that of *usages*.
        """
        sources = chosen.member.copy()
        if moved:
            sources[moved, 1:] = -1
            changed = np.abs(self.usage()[:, 0] - usages).max(axis=1) > self.mating.usage_threshold
            sources[changed, 0] = -1
        self.record.follow(sources)
        # Scores of different rounds cannot be compared: all are this round's, of genotypes as they were judged.
        self.record.surrogate[:, : self.size] = chosen.surrogate
        self.record.surrogate[moved, : self.size] = np.nan
        # A genotype's fitness is its record; the population's own is for readers of the state.
        means = self.record.success.mean, self.record.relative_return.mean
        known = np.stack([mean[:, : self.size].ravel() for mean in means], axis=1)
        known[(self.record.age[:, : self.size] == 0).ravel()] = np.nan
        self.population = Population(self.population.words, self.population.lengths, known, WEIGHTS)

    def routes(self, population: Population) -> list[bytes]:
        """Return a key of the route of each genotype, see :func:`~genoevo.operators.routes.route_keys`."""
        return route_keys(self.weights(population), stages_of(population, self.layout))

    def _archive_child(self, parents: Population) -> Population:
        return children(parents, self.reproduction, self.layout, self.weights, self.rng)

    def _stage_changes(
        self, stages: Ints, counted: tuple[Floats, Floats], budget: int | None
    ) -> tuple[list[int], list[int]]:
        """Add the *counted* episodes and successes to the history; return the tasks that grow, and that shrink."""
        mastered = self.record.task_success.mean >= self.growth.mastery
        shares = output_shares(self.weights(), stages_of(self.population, self.layout))
        newest = shares[np.arange(len(shares)), np.repeat(stages, self.size)].reshape(-1, self.size)
        confidence, threshold = self.selection.confidence, self.mating.usage_threshold
        self._history.update(self.record, counted, mastered, confidence, newest, threshold)
        grown, shrunk = stage_changes(
            self.growth,
            stagnant=self._history.stagnant,
            mastered=mastered,
            spare=newest[:, 0] <= threshold,
            unused=self._history.unused,
            stages=stages,
            start_stage=self.start_stage,
            rounds=self.rounds,
            held=self._history.waiting,
            rising=self._history.rising(confidence),
            budget=budget,
        )
        self._history.forget(grown, shrunk)
        return grown, shrunk

    def rewrite(self, genes: npt.ArrayLike) -> Flags:
        """As for other communities; the record of a genotype that changes starts anew."""
        changed = super().rewrite(genes)
        self.record.follow(np.where(changed.reshape(-1, self.size), -1, np.arange(self.size)))
        return changed

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            **super().state_dict(),
            "selection": settings_state(self.selection),
            "candidates": settings_state(self.candidates),
            "frontier": settings_state(self.frontier),
            **({} if self.archive is None else {"archive": self.archive.as_state()}),
            "record": self.record.as_arrays(),
            "memory": self._history.as_arrays(),
        }

    @classmethod
    def from_state(cls, state: State) -> RecordCommunity:
        """Resume from what :meth:`state_dict` gave, bit for bit; ValueError if it is not the state of a community."""
        check_state("a community with records", state, ("selection", "candidates", "record", "memory"))
        frontier = rebuild(Frontier, state["frontier"]) if "frontier" in state else Frontier()
        # Without candidates, so that no search for a first generation is made.
        community = cls._restored(state, selection=rebuild(Selection, state["selection"]), frontier=frontier)
        community.candidates = rebuild(Candidates, state["candidates"])
        if (highest := int(community.stages.max())) > community.growth.max_modules:
            raise ValueError(f"stage {highest} is above max_modules ({community.growth.max_modules})")
        tasks = len(community.tasks)
        if community.archive is not None:
            check_state("a community", state, ("archive",))
            community.archive = Archive.from_state(state["archive"], tasks, community.frontier)
            highest = int(stages_of(community.archive.population, community.layout).max())
            check_whole("stage of a frontier's genotype", highest, 1, community.growth.max_modules)
        community.record = FitnessRecord.from_state(state["record"], tasks, community.record.age.shape[1])
        community._history = RecordHistory.from_state(state["memory"], tasks, community.growth.patience)
        return community
