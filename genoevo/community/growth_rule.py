"""The growth rule: when a task gains a module or gives one back, by the history of its rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

import numpy as np

from genoevo._check import check_at_least, check_between, check_choice, check_count
from genoevo._types import Flags, Floats, Ints
from genoevo.layout import StagedLayout
from genoevo.operators import growth as growing
from genoevo.population import Population
from genoevo.state import LATER, State, check_array, check_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The rule by which a task gains a module [P]; every number is our choice [O].

    Parameters
    ----------
    mastery : in [0, 1]
        Performance at which a task is mastered and does not grow [O]. For genotypes that keep a record it is the mean
        of a posterior, which is always below 1.
    min_gain : >= 0
        The least improvement that counts: of the best score, or, while performance is 0, of the mean return as a
        fraction of its own running range [O]. Not for genotypes that keep a record: there an interval decides.
    patience : >= 1
        Rounds without improvement before a task grows [O]. For genotypes that keep a record, success must also not
        have risen within them.
    warmup_rounds : >= 0
        Rounds before which no task grows [O].
    fill
        The new segment: ``random``, or ``preserve``, which changes the policy as little as the code allows, see
        :func:`genoevo.operators.growth.grow`. ``explore``: the elite preserves, the others use the new module [O].
    max_modules : >= 1
        The stage past which no task grows [O].
    shrink
        Whether a mastered task above its start stage gives one module back if it has fewer effective modules than
        its stage [O]. Genotypes that keep a record (:class:`~genoevo.community.Selection`) lose their newest
        module alone, so there it is that one which the elite must not use.
    unused_patience : >= 1
        Rounds after which a task gives its newest module back if its elite does not use it, for genotypes that keep
        a record; None for never [O].

    """

    mastery: float = 0.8
    min_gain: float = 0.05
    patience: int = 10
    warmup_rounds: int = 10
    fill: growing.Fill = "preserve"
    max_modules: int = 10
    shrink: bool = False
    unused_patience: int | None = field(default=None, metadata=LATER)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_between("mastery", self.mastery, 0, 1)
        check_at_least("min_gain", self.min_gain, 0)
        check_count("patience", self.patience, 1)
        check_count("warmup_rounds", self.warmup_rounds, 0)
        check_choice("fill", self.fill, get_args(growing.Fill))
        check_count("max_modules", self.max_modules, 1)
        if self.unused_patience is not None:
            check_count("unused_patience", self.unused_patience, 1)


@dataclass(slots=True)
class GrowthHistory:
    """The history of each task as far as the growth rule needs it; every array is (tasks,)."""

    stagnant: Ints  # rounds since the last improvement
    best_score: Floats
    best_return: Floats
    lowest_return: Floats
    highest_return: Floats

    @classmethod
    def fresh(cls, tasks: int) -> GrowthHistory:
        """Return the history of *tasks* before their first round."""
        low, high = np.full(tasks, -np.inf), np.full(tasks, np.inf)
        return cls(np.zeros(tasks, np.int64), low.copy(), low.copy(), high.copy(), low.copy())

    def update(self, performance: Floats, scores: Floats, mean_return: Floats, rule: Growth) -> None:
        """Add a round: (tasks, size) each of performance, scores and mean returns."""
        task_return, task_score = mean_return.mean(axis=1), scores.max(axis=1)
        self.lowest_return = np.minimum(self.lowest_return, task_return)
        self.highest_return = np.maximum(self.highest_return, task_return)
        needed = rule.min_gain * (self.highest_return - self.lowest_return)
        better_return = task_return > np.where(np.isfinite(self.best_return), self.best_return + needed, -np.inf)
        better_score = task_score > self.best_score + rule.min_gain
        succeeds = performance.max(axis=1) > 0
        better = np.where(succeeds, better_score, better_return)
        self.best_score = np.where(better & succeeds, task_score, self.best_score)
        self.best_return = np.where(better, np.maximum(task_return, self.best_return), self.best_return)
        # A mastered task has nothing to gain: one unlucky round after many must not look like stagnation.
        mastered = performance.mean(axis=1) >= rule.mastery
        self.stagnant = np.where(better | mastered, 0, self.stagnant + 1)

    def forget(self, tasks: list[int]) -> None:
        """Forget the best of *tasks* whose stage has changed: they have `patience` rounds to improve again."""
        self.stagnant[tasks] = 0
        self.best_score[tasks] = -np.inf
        self.best_return[tasks] = -np.inf

    @classmethod
    def from_state(cls, state: State, tasks: int) -> GrowthHistory:
        """Return what :meth:`as_arrays` gave; ValueError names an array that is missing or does not fit."""
        names = cls.__slots__
        check_state("a community's growth history", state, names)
        kinds = dict.fromkeys(names, np.float64) | {"stagnant": np.int64}
        return cls(**{name: check_array(name, state[name], kinds[name], (tasks,)) for name in names})

    def as_arrays(self) -> dict[str, Any]:
        """Return the five arrays by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def stage_changes(
    rule: Growth,
    *,
    stagnant: Ints,
    mastered: Flags,
    spare: Flags,
    unused: Ints | int = 0,
    stages: Ints,
    start_stage: int,
    rounds: int,
    held: Flags,
    rising: Flags | bool = False,
    budget: int | None,
) -> tuple[list[int], list[int]]:
    """Return the tasks that grow and the tasks that give a module back; every array is (tasks,).

    *stagnant* are the rounds without improvement, *unused* those in a row in which the task's elite did not use the
    newest module. The elite of a *spare* task can do without a module. Tasks that are *held* neither grow nor give a
    module back for being mastered; those that are *rising* do not grow. If the *budget* for the sum of *stages* has
    no room for every task that would grow, the tasks without improvement for longest come first. Modules given back
    make room in the same round.
    """
    insufficient = ~(held | mastered | rising) & (stagnant >= rule.patience)
    grows = insufficient & (stages < rule.max_modules) & (rounds >= rule.warmup_rounds)
    above_start = stages > start_stage
    overdue = above_start & (unused >= (np.inf if rule.unused_patience is None else rule.unused_patience))
    shrinks = ~grows & (overdue | rule.shrink & ~held & mastered & spare & above_start)
    tasks = np.flatnonzero(grows)
    if budget is not None:
        longest_first = tasks[np.argsort(-stagnant[tasks], kind="stable")]
        room = budget - int(stages.sum()) + int(shrinks.sum())
        # A task without room gives back the module that it does not use, which may make room for another.
        without_room = longest_first[max(room, 0) :]
        instead = without_room[overdue[without_room]]
        shrinks[instead] = True
        tasks = np.sort(longest_first[~shrinks[longest_first]][: max(room + len(instead), 0)])
    return tasks.tolist(), np.flatnonzero(shrinks).tolist()


def resized(
    population: Population,
    grown: list[int],
    shrunk: list[int],
    size: int,
    layout: StagedLayout,
    fill: growing.Fill,
    rng: np.random.Generator,
    *,
    keep: growing.Keep = "prefix",
) -> Population:
    """Return *population*, *size* genotypes per task, with the tasks *grown* and *shrunk* by one stage.

    *fill* and *keep* are those of :func:`~genoevo.operators.growth.grow` and
    :func:`~genoevo.operators.growth.shrink`.
    """
    within = np.arange(size)
    if grown:
        rows = (np.array(grown)[:, None] * size + within).ravel()
        larger = growing.grow(population[rows], layout, rng, fill=fill)
        if fill == "explore":  # the elite, first of its task, keeps its policy
            elites = np.arange(0, len(rows), size)
            larger = larger.replaced(elites, growing.grow(population[rows[elites]], layout, rng, fill="preserve"))
        population = population.replaced(rows, larger)
    if shrunk:
        rows = (np.array(shrunk)[:, None] * size + within).ravel()
        population = population.replaced(rows, growing.shrink(population[rows], layout, keep=keep))
    return population
