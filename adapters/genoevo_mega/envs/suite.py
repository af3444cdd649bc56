"""The protocols of a suite and of its tasks.

A suite is a small picklable value. It travels to the rollout workers and makes environments there.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from genoevo_runs.arrays import Floats

Observation = npt.NDArray[np.float64]

PHASE = 1_000_000
"""The number of goal 0 after the run's change, for suites whose tasks change: goal g becomes PHASE + g."""


def first_goal(change_at: int | None, steps: int) -> int:
    """Return the number of goal 0 for an episode that starts at *steps*: 0, or PHASE from *change_at* on."""
    return 0 if change_at is None or steps < change_at else PHASE


class TaskEnvironment(Protocol):
    """The simulator of one task; the same goal and actions give the same episode, whatever came before."""

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Start an episode with a goal of training or evaluation; return (observation_size,) float64."""

    def step(self, action: Floats) -> tuple[Observation, float, bool, bool]:
        """Take an action, (action_size,) float32 in [-1, 1].

        Returns the observation, (observation_size,) float64, the reward, whether the episode terminated, and whether
        this step succeeded.
        """


class DrawnEnvironment(TaskEnvironment, Protocol):
    """A task that can also be rendered."""

    def render(self) -> npt.NDArray[np.uint8]:
        """Return a picture of the present state, (height, width, 3) uint8."""


class Suite(Protocol):
    """A list of tasks that share observation and action sizes.

    ``goals`` is the number of training goals of each task. ``costs`` holds, for each task, how long its steps take,
    relative to the other tasks. A suite may also have ``action_dimensions``, a tuple with the number of action
    dimensions that each task uses; the dynamics of a task ignore those beyond. If its tasks are made of environments
    with units of their own, it may have ``spaces``, a :class:`~genoevo_mega.envs.space.TaskSpace` for each, in whose
    units policies act.
    """

    names: tuple[str, ...]
    observation_size: int
    action_size: int
    goals: int

    @property
    def costs(self) -> tuple[float, ...]: ...  # noqa: D102

    def make(self, task: int) -> TaskEnvironment:
        """Build the environment of one task; called in a worker process."""
