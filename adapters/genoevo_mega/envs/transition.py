"""What one vector step gives."""

from __future__ import annotations

from dataclasses import dataclass

from genoevo_runs.arrays import Flags, Floats


@dataclass(frozen=True)
class Transition:
    """What one vector step gave: copies, one row per task; rows of inactive tasks keep their last values.

    ``observations`` (tasks, observation_size) float32 are the true next ones: nothing is reset by a step. Rows of
    ``lost`` tasks mean nothing; they are 0.
    """

    observations: Floats
    rewards: Floats
    terminated: Flags
    success: Flags
    lost: Flags
