"""The previous generation, for tasks that are rolled back to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo._types import Flags, Floats, Ints
from genoevo.decode import stages_of
from genoevo.layout import StagedLayout
from genoevo.population import Population
from genoevo.state import State, check_state, population_from_state, population_state

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
    """The previous generation, elites first, and its mean performance per task, (tasks,), NaN for none."""

    population: Population
    performance: Floats

    def stages(self, layout: StagedLayout) -> Ints:
        """Return the stage of each task then, (tasks,) int64."""
        size = len(self.population) // len(self.performance)
        return stages_of(self.population[::size], layout)

    def worse(
        self,
        performance: Floats,
        stages: Ints,
        layout: StagedLayout,
        *,
        tolerance: float | None,
        budget: int | None,
    ) -> Flags:
        """Return which tasks are rolled back to this generation, (tasks,) bool.

        Their mean performance has since fallen by more than *tolerance*; None rolls no task back. If the *budget*
        of modules has no room for all of their stages, the tasks that lost most come first.
        """
        if tolerance is None:
            return np.zeros(len(performance), np.bool_)
        lost = self.performance - performance
        worse: Flags = lost > tolerance
        if budget is not None:  # a stage given back before may have made room for another task's growth
            more = np.where(worse, self.stages(layout) - stages, 0)
            larger = np.flatnonzero(more > 0)
            most_first = larger[np.argsort(-lost[larger], kind="stable")]
            room = budget - int(stages.sum() + np.minimum(more, 0).sum())
            worse[most_first[np.cumsum(more[most_first]) > room]] = False
        return worse

    def as_state(self) -> State:
        """Return the entry of the state, or nothing for a community that never rolls back: its state has no entry."""
        if np.isnan(self.performance).all():
            return {}
        return {"replaced": {"population": population_state(self.population), "performance": self.performance}}

    @classmethod
    def from_state(cls, state: State, layout: StagedLayout, tasks: list[str], size: int) -> Replaced:
        """Return what :meth:`as_state` put under "replaced"; ValueError says what does not fit."""
        check_state("a replaced generation", state, ("population", "performance"))
        population = population_from_state(state["population"])
        check_fit(population, layout, tasks, size)
        performance = np.array(state["performance"], dtype=np.float64)
        if performance.shape != (len(tasks),):
            raise ValueError(f"the performance of a replaced generation must be of {len(tasks)} tasks")
        return cls(population, performance)
