"""The protocol of a suite: what the tasks of a run have to offer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Observation = npt.NDArray[np.float64]

PHASE = 1_000_000
"""Goals numbered from here on are the same goals after the run's change, for suites whose tasks change."""


def first_goal(change_at: int | None, steps: int) -> int:
    """The number of the first goal of an episode that begins at *steps*: 0, after the change PHASE."""
    return 0 if change_at is None or steps < change_at else PHASE


class TaskEnvironment(Protocol):
    """One task's simulator. The same goal and actions give the same episode, whatever came before."""

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Begin an episode with that goal of the training or of the evaluation goals; (observation_size,)."""

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool]:
        """Take an action (action_size,) in [-1, 1]: observation, reward, terminated, success at this step."""


class DrawnEnvironment(TaskEnvironment, Protocol):
    """A task that can also be filmed."""

    def render(self) -> npt.NDArray[np.uint8]:
        """A picture (height, width, 3) of the present state."""


class Suite(Protocol):
    """A list of tasks that share observation and action sizes.

    ``goals`` counts the training goals of each; ``costs`` says how long its steps take, relative to one another.
    """

    names: tuple[str, ...]
    observation_size: int
    action_size: int
    goals: int

    @property
    def costs(self) -> tuple[float, ...]: ...  # noqa: D102

    def make(self, task: int) -> TaskEnvironment:
        """Build one task's environment; called in a worker process."""
