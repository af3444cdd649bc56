"""What a community remembers of earlier rounds: the growth rule's memory and the generation before this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genoevo._bits import Floats, Ints
from genoevo.layout import StagedLayout
from genoevo.population import Population
from genoevo.state import State, check_array, check_state, population_from_state, population_state

if TYPE_CHECKING:
    from genoevo.community import Growth

WEIGHTS = (1.0, 1.0)  # score first, mean return breaks ties


def check_fit(population: Population, layout: StagedLayout, tasks: object, size: int) -> None:
    """Raise ValueError unless *population* is *size* genotypes of one stage for each of *tasks*."""
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise ValueError(f"tasks must be a list of names, got {tasks!r:.80}")
    if len(population) != len(tasks) * size or population.weights != WEIGHTS:
        raise ValueError(f"{len(tasks)} tasks of {size} genotypes with weights {WEIGHTS} cannot have {population}")
    lengths = population.lengths.reshape(len(tasks), size)
    if (lengths != lengths[:, :1]).any():
        raise ValueError("the genotypes of a task must all be of its stage")
    for length in np.unique(lengths):
        layout.stage(int(length))


@dataclass(slots=True)
class Replaced:
    """The generation before the present one, elites first, and its tasks' mean performance (tasks,), NaN for none."""

    population: Population
    performance: Floats

    def as_state(self) -> State:
        """Nothing where no task has one: a state without it is that of a community that never looks back."""
        if np.isnan(self.performance).all():
            return {}
        return {"replaced": {"population": population_state(self.population), "performance": self.performance}}

    @classmethod
    def from_state(cls, state: State, layout: StagedLayout, tasks: list[str], size: int) -> Replaced:
        check_state("a replaced generation", state, ("population", "performance"))
        population = population_from_state(state["population"])
        check_fit(population, layout, tasks, size)
        performance = np.array(state["performance"], dtype=np.float64)
        if performance.shape != (len(tasks),):
            raise ValueError(f"the performance of a replaced generation must be of {len(tasks)} tasks")
        return cls(population, performance)


@dataclass(slots=True)
class GrowthMemory:
    """What the growth rule remembers of each task; every array is (tasks,)."""

    stagnant: Ints  # rounds since the last improvement
    best_score: Floats
    best_return: Floats
    lowest_return: Floats
    highest_return: Floats

    @classmethod
    def fresh(cls, tasks: int) -> GrowthMemory:
        low, high = np.full(tasks, -np.inf), np.full(tasks, np.inf)
        return cls(np.zeros(tasks, np.int64), low.copy(), low.copy(), high.copy(), low.copy())

    def update(self, performance: Floats, scores: Floats, mean_return: Floats, rule: Growth) -> None:
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
        """After a change of stage the task has `patience` rounds to show what the new stage gives."""
        self.stagnant[tasks] = 0
        self.best_score[tasks] = -np.inf
        self.best_return[tasks] = -np.inf

    @classmethod
    def from_state(cls, state: State, tasks: int) -> GrowthMemory:
        names = cls.__slots__
        check_state("a community's memory", state, names)
        kinds = dict.fromkeys(names, np.float64) | {"stagnant": np.int64}
        return cls(**{name: check_array(name, state[name], kinds[name], (tasks,)) for name in names})

    def as_arrays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}
