"""Community: one population of genotypes per task, mating across tasks, stages and their growth (MEGA).

All tasks' genotypes lie in one packed population, task after task, so that a round is a few batch operations
whatever the number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, get_args

import numpy as np
import numpy.typing as npt

from genoevo._bits import Floats, Ints
from genoevo._check import check_at_least, check_between, check_choice, check_whole
from genoevo._remembered import WEIGHTS, GrowthMemory, Replaced, check_fit
from genoevo.decode import (
    OFFSET,
    blocks,
    check_offset,
    decode_population,
    from_gene_values,
    gene_values,
    output_shares,
    stages_of,
)
from genoevo.layout import StagedLayout
from genoevo.operators import growth as growing
from genoevo.operators.reproduction import Origin, Reproduction
from genoevo.operators.selection import tournament_within
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How bits become weights: HalfSoftmax's *offset* in [0, 1) and *decimal_scale* >= 0 [O]."""

    offset: float = OFFSET
    decimal_scale: float = 1.0

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_offset(self.offset)
        check_at_least("decimal_scale", self.decimal_scale, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mating:
    """Who mates with whom.

    Parameters
    ----------
    tournament_size
        Contenders for each parent [O].
    community_rate
        Probability that the second parent comes from another task's population [O].
    usage_cost
        ``score = performance * (1 - usage_cost * effective_modules / stage)`` [O] ("efficient module usage" [P]). It
        counts in proportion to performance: a task that does not succeed yet would otherwise be selected for leaving
        its modules out, whatever its return.
    usage_threshold
        A module is effective where its share of the output exceeds this [O].

    """

    tournament_size: int = 2
    community_rate: float = 0.2
    usage_cost: float = 0.01
    usage_threshold: float = 0.05

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_at_least("tournament_size", self.tournament_size, 1)
        check_between("community_rate", self.community_rate, 0, 1)
        check_between("usage_cost", self.usage_cost, 0, 1)
        check_between("usage_threshold", self.usage_threshold, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """When a task gets another module [P]; every number is our choice [O].

    Parameters
    ----------
    mastery
        A task whose performance reaches this is mastered and does not grow.
    min_gain
        The least improvement that counts: of the best score, or, while performance is 0, of the mean return as a
        fraction of its own running range.
    patience
        Rounds without improvement before a task grows.
    warmup_rounds
        No task grows before this many rounds.
    fill
        ``random`` or ``preserve``, see :func:`genoevo.operators.growth.grow`.
    max_modules
        No task grows past this stage.
    shrink
        A task above its start stage that is mastered with fewer effective modules than its stage gives one back.

    """

    mastery: float = 0.8
    min_gain: float = 0.05
    patience: int = 10
    warmup_rounds: int = 10
    fill: growing.Fill = "preserve"
    max_modules: int = 10
    shrink: bool = False

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_between("mastery", self.mastery, 0, 1)
        check_at_least("min_gain", self.min_gain, 0)
        check_at_least("patience", self.patience, 1)
        check_at_least("warmup_rounds", self.warmup_rounds, 0)
        check_choice("fill", self.fill, get_args(growing.Fill))
        check_at_least("max_modules", self.max_modules, 1)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round saw and did. Arrays are (tasks, size), indices count within a task's population.

    ``elites`` (tasks,) int64: the survivor of each task. ``grown``, ``shrunk``, ``restored``: task indices.
    ``parents``
    (tasks, size - 1, 2) int64: the rows of the evaluated ``Community.population`` that each new genotype comes
    from, -1 where there is none; ``origins`` (tasks, size - 1) int8 codes of
    :class:`~genoevo.operators.reproduction.Origin`.
    """

    scores: Floats
    effective_modules: Ints
    elites: Ints
    grown: list[int]
    shrunk: list[int]
    parents: Ints
    origins: npt.NDArray[np.int8]
    restored: list[int]


class Community:
    """Task populations that evolve together.

    Parameters
    ----------
    layout
        The genotypes' :class:`StagedLayout`.
    tasks
        Names, each once.
    seed
        Of the generator that makes every random decision.
    size
        Genotypes per task: 3 (MT10), 4 (MT50) [P].
    stage
        Start stage of every task: 3 [P].
    reproduction, mating, growth, decoding
        The rules, see their classes.

    Attributes
    ----------
    population : Population
        All genotypes, those of task t at rows ``t * size`` to ``(t + 1) * size``. After a round the first row of
        each task is its elite. Fitness is (score, mean return) of the last round, NaN for new genotypes.
    rounds : int
        Rounds so far.

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
            raise ValueError("a task's genotypes are all of its stage: reproduction must not change lengths")
        if stage > self.growth.max_modules:
            raise ValueError(f"stage must be at most max_modules ({self.growth.max_modules}), got {stage}")
        self.rng = seeded(seed)
        n = len(self.tasks)
        self.population = Population.random(n * size, layout.length(stage), self.rng, weights=WEIGHTS)
        self.rounds = 0
        self._memory = GrowthMemory.fresh(n)
        self._replaced = Replaced(self.population, np.full(n, np.nan))

    @property
    def stages(self) -> Ints:
        """(tasks,) int64: each task's stage."""
        return stages_of(self.population[:: self.size], self.layout)

    @property
    def _earlier_stages(self) -> Ints:
        return stages_of(self._replaced.population[:: self.size], self.layout)

    def of(self, task: int) -> Population:
        """A copy of one task's genotypes; IndexError for a task that is not there."""
        if not 0 <= task < len(self.tasks):
            raise IndexError(f"there are {len(self.tasks)} tasks, got {task}")
        return self.population[task * self.size : (task + 1) * self.size]

    def weights(self, population: Population | None = None) -> Floats:
        """(n, G) float64: *population*, or all genotypes, decoded by :func:`~genoevo.decode.decode_population`."""
        return decode_population(
            population or self.population, self.layout, self.decoding.offset, self.decoding.decimal_scale
        )

    def genes(self) -> Ints:
        """(n, G) int64: each genotype's codes, the whole numbers of its genes; zero past its own genes."""
        return gene_values(self.population, self.layout.precision)

    def rewrite(self, genes: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Put other codes into the genotypes, as a search beside evolution may have found them.

        Parameters
        ----------
        genes
            (n, G) whole numbers from 0 to ``2**precision - 1``, as :meth:`genes` gives them; what lies past a
            genotype's own genes is ignored.

        Returns
        -------
        (n,) bool: the genotypes that have changed. They have no fitness any more; the others keep theirs.

        Raises
        ------
        ValueError
            For another shape, numbers that are not whole, or one out of range; nothing is changed.

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
        """(tasks, size) int64: modules of each genotype whose share of the output exceeds the threshold [O]."""
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
        """One round of every task: scores, growth rule, elite, children.

        Parameters
        ----------
        performance
            (tasks, size) in [0, 1]: how well each genotype did since the last round, e.g. its success rate.
        mean_return
            (tasks, size), any finite unit: breaks ties, and tells improvement while performance is 0. None: zeros.
        breed
            False keeps all genotypes, with their fitness and the elite in front; stages may change all the same.
        module_budget
            No task grows where all tasks' stages together would exceed this; those without improvement for longest
            go first [O].
        rollback
            A task whose genotypes' mean performance is below that of the generation they replaced by more than this
            gets that generation and its stage back, to be judged anew [O]; where *module_budget* has no room for all
            of these stages, those that lost most do. None never looks back.

        Raises
        ------
        ValueError
            For a wrong shape, a performance outside [0, 1] or a return that is not finite; nothing is changed.

        """
        performance = self._checked("performance", performance)
        mean_return = self._checked("mean_return", np.zeros_like(performance) if mean_return is None else mean_return)
        if not ((performance >= 0) & (performance <= 1)).all():
            raise ValueError("performance must be between 0 and 1")
        effective = self.effective_modules()
        scores = performance * (1 - self.mating.usage_cost * effective / self.stages[:, None])
        self.population.fitness = np.stack([scores.ravel(), mean_return.ravel()], axis=1)
        merit = self.population.merit()
        elites = merit.reshape(-1, self.size).argmax(axis=1)
        self._memory.update(performance, scores, mean_return, self.growth)
        self.rounds += 1
        worse = self._worse(performance, rollback, module_budget)
        judged = self._elite_first(elites)
        grown, shrunk = self._stage_changes(performance, effective, elites, worse, module_budget)
        if breed:
            parents, origins = self._replace_generation(merit, elites)
        else:
            self.population = judged
            parents, origins = self._unchanged(elites)
        self._change_stages(grown, shrunk)
        self._restore(worse)
        if rollback is not None:
            self._replaced = Replaced(judged.unevaluated(), np.where(worse, np.nan, performance.mean(axis=1)))
        return Round(scores, effective, elites, grown, shrunk, parents, origins, np.flatnonzero(worse).tolist())

    def _order(self, elites: Ints) -> Ints:
        """(tasks, size) rows, each task's elite first, the others in their order."""
        order: Ints = (np.arange(self.size) != elites[:, None]).argsort(axis=1, kind="stable")
        return order + np.arange(len(elites))[:, None] * self.size

    def _elite_first(self, elites: Ints) -> Population:
        return self.population[self._order(elites).ravel()]

    def _unchanged(self, elites: Ints) -> tuple[Ints, npt.NDArray[np.int8]]:
        """Parents and origins of genotypes that stay: each is its own parent's mutant, with nothing changed."""
        own = self._order(elites)[:, 1:]
        origins = np.full(own.shape, Origin.MUTATION, dtype=np.int8)
        return np.stack([own, np.full_like(own, -1)], axis=2), origins

    def _worse(self, performance: Floats, rollback: float | None, budget: int | None) -> npt.NDArray[np.bool_]:
        """The tasks that get the generation before this one back."""
        if rollback is None:
            return np.zeros(len(performance), np.bool_)
        lost = self._replaced.performance - performance.mean(axis=1)
        worse: npt.NDArray[np.bool_] = lost > rollback
        if budget is not None:  # a stage given back before may have made room for another task's growth
            more = np.where(worse, self._earlier_stages - self.stages, 0)
            larger = np.flatnonzero(more > 0)
            most_first = larger[np.argsort(-lost[larger], kind="stable")]
            room = budget - int(self.stages.sum() + np.minimum(more, 0).sum())
            worse[most_first[np.cumsum(more[most_first]) > room]] = False
        return worse

    def _restore(self, worse: npt.NDArray[np.bool_]) -> None:
        if worse.any():
            stages = self.stages
            rows = np.flatnonzero(np.repeat(worse, self.size))
            self.population = self.population.replaced(rows, self._replaced.population[rows])
            self._memory.forget(np.flatnonzero(self.stages != stages).tolist())

    def _checked(self, name: str, values: npt.ArrayLike) -> Floats:
        array = np.asarray(values, dtype=np.float64)
        expected = (len(self.tasks), self.size)
        if array.shape != expected:
            raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
        if not np.isfinite(array).all():
            task, row = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"{name} of genotype {row} of {self.tasks[task]} is {array[task, row]}, must be finite")
        return array

    def _replace_generation(self, merit: Floats, elites: Ints) -> tuple[Ints, npt.NDArray[np.int8]]:
        tasks, children = len(self.tasks), self.size - 1
        task = np.repeat(np.arange(tasks), children)
        size = self.mating.tournament_size
        first = tournament_within(merit, task * self.size, self.size, self.rng, size=size)
        abroad = (self.rng.random(len(task)) < self.mating.community_rate) & (tasks > 1)
        # A uniform draw among the other tasks; where there is none, `abroad` is false everywhere.
        other = (task + self.rng.integers(1, max(tasks, 2), len(task))) % tasks
        donor = np.where(abroad, other, task)
        second = tournament_within(merit, donor * self.size, self.size, self.rng, size=size)
        parents = self.population[first], self.population[second]
        bred, origins = self.reproduction.children(*parents, self.rng, self.layout)
        survivors = self.population[np.arange(tasks) * self.size + elites]
        order = np.empty((tasks, self.size), dtype=np.int64)
        order[:, 0] = np.arange(tasks)
        order[:, 1:] = tasks + np.arange(len(task)).reshape(tasks, children)
        self.population = Population.concatenate([survivors, bred])[order.ravel()]
        rows = np.stack([first, second], axis=1)
        rows[origins != Origin.CROSSOVER, 1] = -1
        rows[origins == Origin.FRESH, 0] = -1
        return rows.reshape(tasks, children, 2), origins.reshape(tasks, children)

    def _stage_changes(
        self,
        performance: Floats,
        effective: Ints,
        elites: Ints,
        worse: npt.NDArray[np.bool_],
        budget: int | None,
    ) -> tuple[list[int], list[int]]:
        rule, stages = self.growth, np.where(worse, self._earlier_stages, self.stages)
        mastered = performance.mean(axis=1) >= rule.mastery
        insufficient = ~worse & ~mastered & (self._memory.stagnant >= rule.patience)
        grown = insufficient & (stages < rule.max_modules) & (self.rounds >= rule.warmup_rounds)
        lean = effective[np.arange(len(stages)), elites] < stages
        shrunk = rule.shrink & ~worse & mastered & lean & (stages > self.start_stage)
        tasks = np.flatnonzero(grown)
        if budget is not None:
            room = max(budget - int(stages.sum()) + int(shrunk.sum()), 0)
            longest_first = np.argsort(-self._memory.stagnant[tasks], kind="stable")
            tasks = np.sort(tasks[longest_first[:room]])
        return tasks.tolist(), np.flatnonzero(shrunk).tolist()

    def _change_stages(self, grown: list[int], shrunk: list[int]) -> None:
        if not grown and not shrunk:
            return
        within = np.arange(self.size)
        if grown:
            rows = (np.array(grown)[:, None] * self.size + within).ravel()
            longer = growing.grow(self.population[rows], self.layout, self.rng, fill=self.growth.fill)
            self.population = self.population.replaced(rows, longer)
        if shrunk:
            rows = (np.array(shrunk)[:, None] * self.size + within).ravel()
            self.population = self.population.replaced(rows, growing.shrink(self.population[rows], self.layout))
        self._memory.forget(grown + shrunk)

    def state_dict(self) -> State:
        """The whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            "kind": "community",
            "precision": self.layout.precision,
            "tasks": self.tasks,
            "size": self.size,
            "start_stage": self.start_stage,
            "reproduction": asdict(self.reproduction),
            "mating": asdict(self.mating),
            "growth": asdict(self.growth),
            "decoding": asdict(self.decoding),
            "population": population_state(self.population),
            "rng": generator_state(self.rng),
            "rounds": self.rounds,
            "memory": self._memory.as_arrays(),
            **self._replaced.as_state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Community:
        """Continue where :meth:`state_dict` was taken, bit for bit; ValueError where it is not a community's."""
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
        community._memory = GrowthMemory.from_state(state["memory"], len(tasks))
        if replaced := state.get("replaced"):
            community._replaced = Replaced.from_state(replaced, layout, tasks, numbers["size"])
        return community


_PARTS = (
    *("precision", "tasks", "size", "start_stage", "reproduction", "mating", "growth", "decoding"),
    *("population", "rng", "rounds", "memory"),
)
