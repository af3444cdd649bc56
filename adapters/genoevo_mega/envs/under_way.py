"""The vector steps under way: sent to the simulators, and not yet finished.

With ``schedule.action_lag`` several are under way at once. They belong to the state of a run: a checkpoint holds
them, and they are sent again when the run is resumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from genoevo_mega.config.training import MOST_LAG
from genoevo_mega.envs.transition import Transition
from genoevo_runs.arrays import Arrays, Flags, Floats, Ints, restore_array

_HIGHEST = np.iinfo(np.int32).max  # the replay stores genotypes as int32


@dataclass(frozen=True)
class SentStep:
    """A step that was sent.

    Attributes
    ----------
    actions : (tasks, action_size) float32
        What was sent.
    active : (tasks,) bool
        The tasks that take the step. The others were not sent, or their episode has ended since.
    genotypes : (tasks,) int64
        The numbers of the genotypes that chose the actions.

    """

    actions: Floats
    active: Flags
    genotypes: Ints

    def result(self, transition: Transition) -> Transition:
        """Return what the step gave, *transition*, in which the tasks that took no step count as lost."""
        return transition if self.active.all() else transition.without(~self.active)


_ARRAYS = tuple(field.name for field in fields(SentStep))


class UnderWay:
    """The steps under way, from the oldest to the newest; it iterates over them.

    Parameters
    ----------
    tasks, action_size
        Shapes of a step.

    """

    def __init__(self, tasks: int, action_size: int) -> None:
        self._shape = tasks, action_size
        self._steps: deque[SentStep] = deque()

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[SentStep]:
        return iter(self._steps)

    @property
    def counts(self) -> Ints:
        """The steps that each task takes in those under way, (tasks,) int64."""
        return sum((step.active.astype(np.int64) for step in self._steps), np.zeros(self._shape[0], np.int64))

    def add(self, step: SentStep) -> None:
        """Add the newest step."""
        self._steps.append(step)

    def take(self) -> SentStep:
        """Remove and return the oldest step, which is to be finished."""
        return self._steps.popleft()

    def void(self, tasks: Ints) -> None:
        """Note that *tasks* (n,) take none of the steps under way: the episodes that these were sent for are over."""
        for step in self._steps:
            step.active[tasks] = False

    def state_arrays(self) -> Arrays:
        """Return the steps as arrays (steps, tasks, ...) by name; nothing if none is under way."""
        if not self._steps:
            return {}
        return {f"under_way/{name}": np.stack([getattr(step, name) for step in self._steps]) for name in _ARRAYS}

    def load_arrays(self, arrays: Arrays, left: Ints) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit, or a task takes more than *left* (tasks,)."""
        self._steps.clear()
        found = {name: arrays[f"under_way/{name}"] for name in _ARRAYS if f"under_way/{name}" in arrays}
        if not found:
            return
        steps = found["active"].shape[0] if "active" in found and found["active"].ndim else 0
        if len(found) < len(_ARRAYS) or not 0 < steps <= MOST_LAG:
            raise ValueError(
                f"under_way must be {', '.join(_ARRAYS)} of 1 to {MOST_LAG} steps, got {', '.join(found)}"
            )
        tasks, action_size = self._shape
        own: Arrays = {
            "actions": np.zeros((steps, tasks, action_size), np.float32),
            "active": np.zeros((steps, tasks), np.bool_),
            "genotypes": np.zeros((steps, tasks), np.int64),
        }
        for name, array in own.items():
            restore_array(f"under_way/{name}", array, found[name])
        if ((own["genotypes"] < 0) | (own["genotypes"] > _HIGHEST)).any():
            raise ValueError(f"under_way/genotypes must be from 0 to {_HIGHEST}, got {own['genotypes'].tolist()}")
        if ((counts := own["active"].sum(axis=0)) > left).any():
            raise ValueError(f"under_way/active: {counts.tolist()} steps exceed the {left.tolist()} that are left")
        self._steps += [SentStep(**{name: own[name][step] for name in _ARRAYS}) for step in range(steps)]
