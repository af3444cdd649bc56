"""The community of MEGA: one population of genotypes per task, mating across tasks, stages that grow.

The genotypes of all tasks lie in one packed population, task after task. So a round is a few batch operations,
however many tasks there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genoevo._check import check_at_least, check_whole
from genoevo._types import Flags, Floats, Ints
from genoevo.community.growth_rule import Growth, GrowthHistory, resized, stage_changes
from genoevo.community.rollback import WEIGHTS, Replaced, check_fit
from genoevo.community.round import Round, check_result, elite_first, next_generation, unchanged
from genoevo.community.settings import Decoding, Mating
from genoevo.decode import blocks, decode_population, from_gene_values, gene_values, output_shares, stages_of
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Reproduction
from genoevo.population import Population
from genoevo.state import (
    State,
    check_state,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
    seeded,
    settings_state,
)


class Community:
    """The populations of several tasks, which evolve together.

    Parameters
    ----------
    layout
        The genotypes' :class:`StagedLayout`.
    tasks
        Names of the tasks, each once.
    seed
        Seed of the generator that makes every random decision.
    size
        Genotypes per task: 3 (MT10), 4 (MT50) [P].
    stage
        Start stage of every task: 3 [P].
    reproduction, mating, growth, decoding
        The rules; see their classes.

    Attributes
    ----------
    population : Population
        All genotypes. Task t has the rows ``t * size`` to ``(t + 1) * size``; after a round the first of them is
        its elite. Fitness is (score, mean return) of the last round, NaN for new genotypes.
    rounds : int
        Number of rounds so far.

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
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be at least one name, each once, got {list(tasks)!r:.200}")
        check_at_least("size", size, 2)
        self.layout, self.tasks, self.size, self.start_stage = layout, list(tasks), size, stage
        self.reproduction = reproduction or Reproduction()
        self.mating = mating or Mating()
        self.growth = growth or Growth()
        self.decoding = decoding or Decoding()
        if self.reproduction.changes_lengths:
            raise ValueError("the genotypes of a task must all have its stage: reproduction must not change lengths")
        if stage > self.growth.max_modules:
            raise ValueError(f"stage must be at most max_modules ({self.growth.max_modules}), got {stage}")
        self.rng = seeded(seed)
        n = len(self.tasks)
        self.population = Population.random(n * size, layout.length(stage), self.rng, weights=WEIGHTS)
        self.rounds = 0
        self._history = GrowthHistory.fresh(n)
        self._replaced = Replaced(self.population, np.full(n, np.nan))

    @property
    def stages(self) -> Ints:
        """The stage of each task, (tasks,) int64."""
        return stages_of(self.population[:: self.size], self.layout)

    def of(self, task: int) -> Population:
        """Return a copy of one task's genotypes; IndexError if there is no such task."""
        if not 0 <= task < len(self.tasks):
            raise IndexError(f"there are {len(self.tasks)} tasks, got {task}")
        return self.population[task * self.size : (task + 1) * self.size]

    def weights(self, population: Population | None = None) -> Floats:
        """Decode *population*, or all genotypes: (n, G) float64, see :func:`~genoevo.decode.decode_population`."""
        rule = self.decoding
        return decode_population(
            population or self.population, self.layout, rule.offset, rule.decimal_scale, kind=rule.kind
        )

    def genes(self) -> Ints:
        """Return each genotype's codes, the whole numbers of its genes, (n, G) int64; zero past its own genes."""
        return gene_values(self.population, self.layout.precision)

    def rewrite(self, genes: npt.ArrayLike) -> Flags:
        """Replace the codes of the genotypes, for instance by those that gradient steps have found.

        Parameters
        ----------
        genes
            (n, G) whole numbers from 0 to ``2**precision - 1``, as :meth:`genes` gives them. Numbers past a
            genotype's own genes are ignored.

        Returns
        -------
        (n,) bool: the genotypes that have changed. They lose their fitness; the others keep theirs.

        Raises
        ------
        ValueError
            For another shape, numbers that are not whole, or a number out of range. Nothing is changed then.

        """
        present, given = self.genes(), np.asarray(genes)
        largest = 2**self.layout.precision - 1
        if given.dtype.kind not in "iu" or given.shape != present.shape:
            raise ValueError(f"genes must be whole numbers of shape {present.shape}, got {given.dtype}{given.shape}")
        own = np.arange(given.shape[1]) < (self.population.lengths // self.layout.precision)[:, None]
        if not ((given >= 0) & (given <= largest))[own].all():
            raise ValueError(f"genes must be from 0 to {largest}, got {given[own].min()} to {given[own].max()}")
        changed = np.asarray((own & (given != present)).any(axis=1))
        rows = np.flatnonzero(changed)
        if len(rows):
            codes, lengths = given[rows].astype(np.int64), self.population.lengths[rows]
            others = from_gene_values(codes, lengths, self.layout.precision, self.population.weights)
            self.population = self.population.replaced(rows, others)
        return changed

    def effective_modules(self) -> Ints:
        """Count each genotype's modules whose share of the output exceeds the threshold [O], (tasks, size) int64."""
        effective = np.empty(len(self.population), dtype=np.int64)
        for rows in blocks(self.population.lengths, self.layout.precision):
            part = self.population[rows]
            shares = output_shares(self.weights(part), stages_of(part, self.layout))
            effective[rows] = (shares[:, 1:] > self.mating.usage_threshold).sum(axis=1)
        return effective.reshape(-1, self.size)

    def step(
        self,
        performance: npt.ArrayLike,
        mean_return: npt.ArrayLike | None = None,
        *,
        breed: bool = True,
        module_budget: int | None = None,
        rollback: float | None = None,
    ) -> Round:
        """Run one round for every task: scores, growth rule, elite, children.

        Parameters
        ----------
        performance
            (tasks, size) in [0, 1]: how well each genotype did since the last round, e.g. its success rate.
        mean_return
            (tasks, size), in any finite unit: breaks ties, and measures improvement while performance is 0. None
            means zeros.
        breed
            False keeps all genotypes, with their fitness and the elite in front. Stages may still change.
        module_budget
            Largest sum of all tasks' stages that growth may reach. Tasks without improvement for longest grow
            first [O].
        rollback
            Largest loss of mean performance that a new generation may bring. A task that loses more gets the
            generation before and its stage back, to be evaluated again [O]. If *module_budget* has no room for all
            of these stages, the tasks that lost most come first. None never rolls back.

        Raises
        ------
        ValueError
            For a wrong shape, a performance outside [0, 1] or a return that is not finite. Nothing is changed then.

        """
        performance = check_result("performance", performance, self.tasks, self.size)
        mean_return = np.zeros_like(performance) if mean_return is None else mean_return
        mean_return = check_result("mean_return", mean_return, self.tasks, self.size)
        if not ((performance >= 0) & (performance <= 1)).all():
            raise ValueError("performance must be between 0 and 1")
        effective, stages = self.effective_modules(), self.stages
        scores = performance * (1 - self.mating.usage_cost * effective / stages[:, None])
        self.population.fitness = np.stack([scores.ravel(), mean_return.ravel()], axis=1)
        merit = self.population.merit()
        elites = merit.reshape(-1, self.size).argmax(axis=1)
        self._history.update(performance, scores, mean_return, self.growth)
        self.rounds += 1
        means = performance.mean(axis=1)
        worse = self._replaced.worse(means, stages, self.layout, tolerance=rollback, budget=module_budget)
        judged = self.population[elite_first(elites, self.size).ravel()]
        grown, shrunk = stage_changes(
            self.growth,
            self._history,
            performance=means,
            effective=effective[np.arange(len(elites)), elites],
            stages=np.where(worse, self._replaced.stages(self.layout), stages),
            start_stage=self.start_stage,
            rounds=self.rounds,
            held=worse,
            budget=module_budget,
        )
        if breed:
            self.population, parents, origins = next_generation(
                self.population, merit, elites, self.mating, self.reproduction, self.layout, self.rng
            )
        else:
            self.population = judged
            parents, origins = unchanged(elites, self.size)
        self.population = resized(self.population, grown, shrunk, self.size, self.layout, self.growth.fill, self.rng)
        self._history.forget(grown + shrunk)
        self._restore(worse)
        if rollback is not None:
            self._replaced = Replaced(judged.unevaluated(), np.where(worse, np.nan, means))
        return Round(scores, effective, elites, grown, shrunk, parents, origins, np.flatnonzero(worse).tolist())

    def _restore(self, worse: Flags) -> None:
        if worse.any():
            stages = self.stages
            rows = np.flatnonzero(np.repeat(worse, self.size))
            self.population = self.population.replaced(rows, self._replaced.population[rows])
            self._history.forget(np.flatnonzero(self.stages != stages).tolist())

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            "kind": "community",
            "precision": self.layout.precision,
            "tasks": self.tasks,
            "size": self.size,
            "start_stage": self.start_stage,
            "reproduction": settings_state(self.reproduction),
            "mating": settings_state(self.mating),
            "growth": settings_state(self.growth),
            "decoding": settings_state(self.decoding),
            "population": population_state(self.population),
            "rng": generator_state(self.rng),
            "rounds": self.rounds,
            "memory": self._history.as_arrays(),
            **self._replaced.as_state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Community:
        """Resume from what :meth:`state_dict` gave, bit for bit; ValueError if it is not the state of a community."""
        check_state("a community", state, _PARTS, kind="community")
        check_whole("precision", state["precision"], 1, 16)
        layout, tasks = StagedLayout(state["precision"]), state["tasks"]
        population = population_from_state(state["population"])
        numbers = counts(state, ("size", "start_stage", "rounds"))
        check_fit(population, layout, tasks, numbers["size"])
        check_whole("start_stage", numbers["start_stage"], 1, layout.stage(int(population.lengths.min())))
        community = cls(
            layout,
            tasks,
            seed=0,
            size=numbers["size"],
            stage=numbers["start_stage"],
            reproduction=rebuild(Reproduction, state["reproduction"]),
            mating=rebuild(Mating, state["mating"]),
            growth=rebuild(Growth, state["growth"]),
            decoding=rebuild(Decoding, state["decoding"]),
        )
        community.population = population
        community.rng = generator_from_state(state["rng"])
        community.rounds = numbers["rounds"]
        community._history = GrowthHistory.from_state(state["memory"], len(tasks))
        if replaced := state.get("replaced"):
            community._replaced = Replaced.from_state(replaced, layout, tasks, numbers["size"])
        return community


_PARTS = (
    *("precision", "tasks", "size", "start_stage", "reproduction", "mating", "growth", "decoding"),
    *("population", "rng", "rounds", "memory"),
)
