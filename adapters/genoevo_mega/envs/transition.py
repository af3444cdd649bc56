"""The result of one vector step."""

from __future__ import annotations

from dataclasses import dataclass

from genoevo_runs.arrays import Flags, Floats


@dataclass(frozen=True)
class Transition:
    """The result of one vector step, as copies with a row per task; rows of inactive tasks mean nothing.

    Attributes
    ----------
    observations : float32
        (tasks, observation_size): the true next observations, as a step resets nothing.
    rewards : float32
        (tasks,): the rewards of the step.
    terminated : bool
        (tasks,): whether the environment terminated the episode.
    success : bool
        (tasks,): whether this step succeeded.
    lost : bool
        (tasks,): whether the episode was lost to a fault, or the task took no step. The other arrays are 0 in these
        rows, which mean nothing.

    """

    observations: Floats
    rewards: Floats
    terminated: Flags
    success: Flags
    lost: Flags

    def without(self, tasks: Flags) -> Transition:
        """Return a copy in which the rows that *tasks* (tasks,) marks are those of lost episodes."""
        rows = {name: array.copy() for name, array in vars(self).items()}
        for array in rows.values():
            array[tasks] = 0
        rows["lost"][tasks] = True
        return Transition(**rows)
