"""The result of one vector step."""

from __future__ import annotations

from dataclasses import dataclass

from genoevo_runs.arrays import Flags, Floats


@dataclass(frozen=True)
class Transition:
    """The result of one vector step, as copies with a row per task; rows of inactive tasks keep their last values.

    Attributes
    ----------
    observations : (tasks, observation_size) float32
        The true next observations: a step resets nothing.
    rewards : (tasks,) float32
        The rewards of the step.
    terminated : (tasks,) bool
        Whether the environment terminated the episode.
    success : (tasks,) bool
        Whether this step succeeded.
    lost : (tasks,) bool
        Whether the episode was lost to a fault. The other arrays are 0 in these rows, which mean nothing.

    """

    observations: Floats
    rewards: Floats
    terminated: Flags
    success: Flags
    lost: Flags
