"""What one task's environment gives and takes in its own units, and how a suite's observations and actions differ.

All tasks of a suite share the sizes of observation and action, and actions are in [-1, 1]. A suite may be made of
environments that do not: gymnasium's is. An observation is then padded with zeros, and an action loses the components
beyond the environment's own, is scaled to its bounds and, if the environment takes whole numbers, rounded to the
nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import Suite
from genoevo_runs.arrays import Floats


@dataclass(frozen=True)
class TaskSpace:
    """The own units of one task.

    Attributes
    ----------
    observation_shape, action_shape : tuple of int
    low, high : tuple of float
        The bounds of the components of an action, in the order of its flattened array.
    dtype : str
        The dtype of an action.
    scaled : bool
        Whether actions of the suite are scaled to the bounds; if not, the bounds are -1 and 1.

    """

    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dtype: str = "float32"
    scaled: bool = True

    @property
    def observation_size(self) -> int:
        """The numbers in an observation."""
        return int(np.prod(self.observation_shape))

    @property
    def action_size(self) -> int:
        """The numbers in an action."""
        return len(self.low)

    @property
    def whole(self) -> bool:
        """Whether the components of an action are whole numbers."""
        return np.dtype(self.dtype).kind in "iub"

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """*low* and *high* as arrays (action_size,) of the action's dtype."""
        return np.array(self.low, self.dtype), np.array(self.high, self.dtype)

    def padded(self, observations: npt.NDArray[Any], size: int) -> Floats:
        """Return observations ``(batch, *observation_shape)`` as the suite's, (batch, size) float32."""
        rows = np.zeros((len(observations), size), np.float32)
        rows[:, : self.observation_size] = observations.reshape(len(observations), -1)
        return rows

    def own_actions(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the suite's actions (batch, n) in [-1, 1] as the task's own, ``(batch, *action_shape)``.

        Whole numbers are the nearest, of two equally near the even one.
        """
        if not self.scaled:
            return actions
        low, high = self.bounds
        if self.whole:  # the range of int8 is no int8
            low, high = low.astype(np.float64), high.astype(np.float64)
        own = np.asarray(actions, np.float64)[:, : self.action_size]
        own = low + (np.clip(own, -1, 1) + 1) / 2 * (high - low)
        own = np.rint(own) if self.whole else own
        return own.reshape(len(actions), *self.action_shape).astype(self.dtype)


def spaces_of(suite: Suite) -> tuple[TaskSpace, ...]:
    """Return the own units of every task; those of the suite, if it does not have others."""
    found: tuple[TaskSpace, ...] | None = getattr(suite, "spaces", None)
    if found is not None:
        return found
    size = suite.action_size
    plain = TaskSpace((suite.observation_size,), (size,), (-1.0,) * size, (1.0,) * size, scaled=False)
    return (plain,) * len(suite.names)
