"""The episodes under way, one per task: everything needed to judge them when they end and to take them up again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import PHASE
from genoevo_mega.envs.transition import Transition
from genoevo_runs.arrays import Arrays, Flags, Floats, restore_array


@dataclass(frozen=True)
class FinishedEpisodes:
    """Episodes that a step ended: ``mask`` over all tasks; ``tasks``, undiscounted ``returns`` and ``success``, (n,).

    An episode succeeds where any of its steps does, as Meta-World counts it.
    """

    mask: Flags
    tasks: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]
    success: Flags

    def only(self, chosen: Flags) -> FinishedEpisodes:
        """Those of the episodes that *chosen* (n,) marks."""
        mask = np.zeros_like(self.mask)
        mask[self.tasks[chosen]] = True
        return FinishedEpisodes(mask, self.tasks[chosen], self.returns[chosen], self.success[chosen])


class Episodes:
    """Bookkeeping of one running episode per task, and its exact restoration.

    The same goal and actions give the same episode, so the actions taken so far are all that a checkpoint needs:
    :meth:`restore` plays them again.
    """

    def __init__(self, tasks: int, length: int, action_size: int, goals: int, rng: np.random.Generator) -> None:
        self.length, self._goal_count, self._rng = length, goals, rng
        self.goals = rng.integers(0, goals, tasks)
        self.taken = np.zeros(tasks, np.int64)
        self.returns = np.zeros(tasks, np.float64)
        self.success = np.zeros(tasks, np.bool_)
        self.last_actions = np.zeros((tasks, action_size), np.float32)
        self._actions = np.zeros((length, tasks, action_size), np.float32)
        self.observations: Floats = np.zeros((tasks, 0), np.float32)

    def restore(self, pool: RolloutPool) -> None:
        """Bring *pool* to where these episodes are: at their beginning for a new run."""
        chosen = np.ones(len(self.taken), np.bool_)
        while chosen.any():
            self.observations = pool.reset(self.goals, chosen)
            for step in range(int(self.taken[chosen].max())):
                self.observations = pool.step(self._actions[step], chosen & (step < self.taken)).observations
            chosen = pool.lost.copy()

    def advance(self, actions: Floats, transition: Transition) -> FinishedEpisodes:
        """Count a step of all tasks but those lost; the episodes that it ended, by termination or the time limit."""
        tasks = np.arange(len(self.taken))
        self._actions[self.taken, tasks] = self.last_actions = actions
        self.taken += ~transition.lost
        self.returns += transition.rewards
        self.success |= transition.success
        self.observations = transition.observations
        mask = (transition.terminated | (self.taken >= self.length)) & ~transition.lost
        return FinishedEpisodes(mask, np.flatnonzero(mask), self.returns[mask], self.success[mask])

    def begin(self, tasks: npt.NDArray[np.int64], pool: RolloutPool, first_goal: int = 0) -> None:
        """Start the next episodes of *tasks*, each with a goal of its own draw, numbered from *first_goal*."""
        self.goals[tasks] = first_goal + self._rng.integers(0, self._goal_count, len(tasks))
        self.taken[tasks], self.returns[tasks], self.success[tasks] = 0, 0.0, False
        mask = np.zeros(len(self.taken), np.bool_)
        mask[tasks] = True
        self.observations = pool.reset(self.goals, mask)

    def state_arrays(self) -> Arrays:
        """Everything but the generator, as arrays."""
        actions = self._actions[: int(self.taken.max(initial=0))]
        return {
            "goals": self.goals,
            "taken": self.taken,
            "returns": self.returns,
            "success": self.success,
            "last_actions": self.last_actions,
            "actions": actions,
        }

    def load_arrays(self, arrays: Arrays) -> None:
        """Take up :meth:`state_arrays`; :meth:`restore` then brings the environments there.

        ValueError where they do not fit.
        """
        for name in ("goals", "taken", "returns", "success", "last_actions"):
            restore_array(name, getattr(self, name), arrays[name])
        phase, goal = np.divmod(self.goals, PHASE)
        if ((phase < 0) | (phase > 1) | (goal >= self._goal_count)).any():
            raise ValueError(
                f"goals must be from 0 to {self._goal_count - 1}, after a change {PHASE} more, got "
                f"{self.goals.tolist()}"
            )
        if ((self.taken < 0) | (self.taken >= self.length)).any():
            raise ValueError(f"taken must be steps of an episode of {self.length}, got {self.taken.tolist()}")
        restore_array("actions", self._actions[: int(self.taken.max(initial=0))], arrays["actions"])
