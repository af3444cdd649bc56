"""The scale of observations and rewards, from running statistics of each task.

Observations
    Their mean and variance over all steps so far (Welford 1962, in float64): the learner sees
    (o - mean) / sqrt(variance + 1e-4). The replay holds observations as they are; they are normalised when read.

Rewards
    BRC's scale (Nauman et al. 2025, arXiv 2505.23150, and its code). When an episode ends, the discounted return from
    each of its steps is known, with the value 0 after termination and, after a time limit, the episode's mean reward
    for ever. With g the largest absolute return of a task so far, H = 1 / (1 - gamma), alpha the task's temperature
    and T its target entropy, its rewards are multiplied by range / (g - alpha H T / 2), so that values with their
    bonus of entropy lie within the range. Sums of rewards over several steps are scaled alike.

Departures:

1. Rewards are not scaled before a task's first episode has ended, and while its returns are all 0. BRC's scale is 0
   before; it collects 5,000 steps first.
2. A target entropy above 0 adds nothing to the denominator: it could become 0.
3. BRC normalises no observations. As 1e-4 belongs to the variance, numbers that hardly change stay small.
4. The first observation of an episode is not counted, as a step does not return it. An episode that is lost with its
   worker counts for observations alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from genoevo_mega.envs.transition import Transition
from genoevo_mega.networks import InputMap
from genoevo_mega.networks.embedding import task_vectors_of
from genoevo_runs.arrays import Arrays, Doubles, Flags, Floats, Ints, restore_array

_CPU = torch.device("cpu")
_LEAST_VARIANCE = 1e-4


class Moments:
    """The running mean and variance of each task's observations, (tasks, size) float64."""

    def __init__(self, tasks: int, size: int) -> None:
        self.count = np.zeros(tasks, np.int64)
        self.mean = np.zeros((tasks, size))
        self.squares = np.zeros((tasks, size))

    def add(self, observations: Floats, of: Flags) -> None:
        """Count one observation (tasks, size) of the tasks that *of* (tasks,) marks."""
        self.count += of
        difference = observations - self.mean
        self.mean[of] += difference[of] / self.count[of, None]
        self.squares[of] += (difference * (observations - self.mean))[of]

    def scale(self) -> Doubles:
        """Return what differences from the mean are multiplied by, (tasks, size); 1 before the first observation."""
        seen = self.count[:, None] > 0
        variance = self.squares / np.maximum(self.count, 1)[:, None]
        return np.where(seen, 1 / np.sqrt(variance + _LEAST_VARIANCE), 1.0)


class Returns:
    """The largest absolute discounted return of each task, and the rewards of its running episode."""

    def __init__(self, tasks: int, length: int, gamma: float) -> None:
        self.gamma, self.horizon = gamma, 1 / (1 - gamma)
        self.largest = np.zeros(tasks)
        self.rewards = np.zeros((tasks, length), np.float32)
        self.taken = np.zeros(tasks, np.int64)

    def add(self, rewards: Floats, of: Flags, terminated: Flags, ended: Flags) -> None:
        """Count a reward of the tasks that *of* marks; all are (tasks,)."""
        tasks = np.flatnonzero(of)
        self.rewards[tasks, self.taken[tasks]] = rewards[tasks]
        self.taken += of
        for task in np.flatnonzero(ended & of):
            self._end(task, bool(terminated[task]))
        self.forget(np.flatnonzero(ended & of))

    def _end(self, task: int, terminated: bool) -> None:
        rewards = self.rewards[task, : self.taken[task]].astype(np.float64)
        value = 0.0 if terminated else float(rewards.mean()) * self.horizon
        for reward in reversed(rewards.tolist()):
            value = reward + self.gamma * value
            self.largest[task] = max(self.largest[task], abs(value))

    def forget(self, tasks: Ints) -> None:
        """Drop the rewards of the running episodes of *tasks*."""
        self.taken[tasks], self.rewards[tasks] = 0, 0


class Normaliser:
    """The running statistics of a run, and what they make of observations and rewards.

    Parameters
    ----------
    moments, returns
        The statistics of observations and of rewards; None leaves them as they are.
    value_range
        The range that returns are scaled to.
    device
        Where the learner is.

    """

    def __init__(
        self,
        moments: Moments | None = None,
        returns: Returns | None = None,
        value_range: float = 1.0,
        device: torch.device = _CPU,
    ) -> None:
        self._moments, self._returns, self._range = moments, returns, value_range
        # They stay at their place in memory: captured graphs read them there.
        if moments is not None:
            self._mean, self._scale = (torch.zeros(*moments.mean[:, None].shape, device=device) for _ in range(2))
        if returns is not None:
            self._largest = torch.zeros(len(returns.largest), 1, device=device)
        self._publish()

    def observe(self, transition: Transition, ended: Flags) -> None:
        """Count the transitions that are not lost; *ended* (tasks,) bool marks the last one of an episode."""
        if self._moments is not None:
            self._moments.add(transition.observations, ~transition.lost)
        if self._returns is not None:
            self._returns.add(transition.rewards, ~transition.lost, transition.terminated, ended)
        self._publish()

    def cut(self, tasks: Ints) -> None:
        """Forget the rewards of the running episodes of *tasks*, which were lost."""
        if self._returns is not None:
            self._returns.forget(tasks)

    def _publish(self) -> None:
        if self._moments is not None:
            self._mean.copy_(torch.from_numpy(self._moments.mean)[:, None])
            self._scale.copy_(torch.from_numpy(self._moments.scale())[:, None])
        if self._returns is not None:
            self._largest.copy_(torch.from_numpy(self._returns.largest)[:, None])

    def observations(self, rows: Tensor) -> Tensor:
        """Return observations (tasks, n, size), on the learner's device, as the networks see them."""
        return rows if self._moments is None else (rows - self._mean) * self._scale

    def input_map(self, task: int, critics: nn.Module) -> InputMap | None:
        """Return what an actor beside *critics* sees of a task's observation; None for the observation itself."""
        vectors = task_vectors_of(critics)
        if self._moments is None and vectors is None:
            return None
        scaled = None if self._moments is None else (self._mean[task, 0].cpu(), self._scale[task, 0].cpu())
        return InputMap(scaled, None if vectors is None else vectors[task, 0].cpu())

    def reward_scale(self, alpha: Tensor, target_entropy: Tensor) -> Tensor | float:
        """Return the factor (tasks, 1) of rewards for temperatures (tasks, 1) and target entropies (tasks,)."""
        if self._returns is None:
            return 1.0
        bonus = alpha * (-self._returns.horizon / 2 * target_entropy[:, None]).clamp(min=0)
        return torch.where(self._largest > 0, self._range / (self._largest + bonus), 1.0)

    # ------------------------------------------------------------------------------------------------- persistence

    def _parts(self) -> Arrays:
        found: Arrays = {}
        if self._moments is not None:
            found |= {f"observations/{name}": array for name, array in vars(self._moments).items()}
        if self._returns is not None:
            found |= {f"rewards/{name}": getattr(self._returns, name) for name in ("largest", "rewards", "taken")}
        return found

    def state_arrays(self) -> Arrays:
        """Return copies of everything that :meth:`observe` changes, by name."""
        return {name: array.copy() for name, array in self._parts().items()}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        for name, array in self._parts().items():
            restore_array(name, array, arrays[name])
        if self._moments is not None and min(self._moments.count.min(), self._moments.squares.min()) < 0:
            raise ValueError("observations/count and observations/squares must be at least 0")
        if self._returns is not None:
            length = self._returns.rewards.shape[1]
            if ((self._returns.taken < 0) | (self._returns.taken >= length)).any():
                raise ValueError(f"rewards/taken must be from 0 to {length - 1}, got {self._returns.taken.tolist()}")
            if (self._returns.largest < 0).any():
                raise ValueError(f"rewards/largest must be at least 0, got {self._returns.largest.tolist()}")
        self._publish()
