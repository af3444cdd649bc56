"""The episodes under way, one per task.

This module keeps what is needed to judge an episode at its end, and to restore it from a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import PHASE
from genoevo_mega.envs.transition import Transition
from genoevo_mega.envs.under_way import SentStep, UnderWay
from genoevo_runs.arrays import Arrays, Doubles, Flags, Floats, Ints, restore_array


@dataclass(frozen=True)
class FinishedEpisodes:
    """The n episodes that a step ended; an episode succeeds if any of its steps does, as Meta-World counts it.

    Attributes
    ----------
    mask : (tasks,) bool
        The tasks whose episode ended.
    tasks : (n,) int64
        The indices of these tasks.
    returns : (n,) float64
        The undiscounted return of each episode.
    success : (n,) bool
        Whether each episode succeeded.

    """

    mask: Flags
    tasks: Ints
    returns: Doubles
    success: Flags

    def only(self, chosen: Flags) -> FinishedEpisodes:
        """Return the episodes that *chosen*, (n,) bool, marks."""
        mask = np.zeros_like(self.mask)
        mask[self.tasks[chosen]] = True
        return FinishedEpisodes(mask, self.tasks[chosen], self.returns[chosen], self.success[chosen])


class Episodes:
    """The bookkeeping of one running episode per task, and its exact restoration.

    The same goal and actions give the same episode. A checkpoint therefore needs only the actions taken so far:
    :meth:`restore` plays them again.

    Parameters
    ----------
    tasks
        The number of tasks.
    length
        The time limit of an episode, in steps.
    action_size
        The size of an action.
    goals
        The number of training goals of each task.
    rng
        The generator that draws the goal of each episode.

    Attributes
    ----------
    goals : (tasks,) int64
        The goal of each episode; numbers from :data:`~genoevo_mega.envs.suite.PHASE` on follow the run's change.
    taken : (tasks,) int64
        The steps taken so far in each episode.
    returns : (tasks,) float64
        The undiscounted return so far.
    success : (tasks,) bool
        Whether any step so far succeeded.
    last_actions : (tasks, action_size) float32
        The actions that were sent last.
    observations : (tasks, observation_size) float32
        The present observations; (tasks, 0) before :meth:`restore`.
    under_way : UnderWay
        The steps that were sent and are not finished yet.

    """

    def __init__(self, tasks: int, length: int, action_size: int, goals: int, rng: np.random.Generator) -> None:
        self.length, self._goal_count, self._rng = length, goals, rng
        self.goals = rng.integers(0, goals, tasks)
        self.taken = np.zeros(tasks, np.int64)
        self.returns = np.zeros(tasks, np.float64)
        self.success = np.zeros(tasks, np.bool_)
        self.last_actions = np.zeros((tasks, action_size), np.float32)
        self._actions = np.zeros((length, tasks, action_size), np.float32)
        self.under_way = UnderWay(tasks, action_size)
        self.observations: Floats = np.zeros((tasks, 0), np.float32)
        self._diverged, self._told = np.zeros(tasks, np.bool_), np.zeros(tasks, np.bool_)

    def restore(self, pool: RolloutPool) -> None:
        """Bring the environments of *pool* to the state of these episodes, which is their start in a new run.

        Then send the steps under way again. :meth:`take_diverged` tells the tasks for which that was not possible.
        """
        pool.drop()
        chosen = np.ones(len(self.taken), np.bool_)
        while chosen.any():
            self.observations = pool.reset(self.goals, chosen)
            returns, success = np.zeros_like(self.returns), np.zeros_like(self.success)
            for step in range(int(self.taken[chosen].max())):
                active = chosen & (step < self.taken)
                given = pool.step(self._actions[step], active)
                self.observations = given.observations
                returns += np.where(active, given.rewards, 0)
                success |= given.success & active
            self._diverged |= chosen & ~pool.lost & ((returns != self.returns) | (success != self.success))
            chosen = pool.lost.copy()
        for sent in self.under_way:
            pool.begin_step(sent.actions, sent.active)

    def take_diverged(self) -> Ints:
        """Return the tasks, (n,) int64, whose episodes were not the same when :meth:`restore` played them again.

        Each is returned once.
        """
        fresh = self._diverged & ~self._told
        self._told |= fresh
        return np.flatnonzero(fresh)

    @property
    def running(self) -> Flags:
        """The tasks whose episode has a step already, finished or under way, (tasks,) bool."""
        return (self.taken > 0) | (self.under_way.counts > 0)

    @property
    def unfinished(self) -> Flags:
        """The tasks that may take one more step, (tasks,) bool: those under way do not reach the time limit."""
        return self.taken + self.under_way.counts < self.length

    def sent(self, actions: Floats, active: Flags, genotypes: Ints) -> None:
        """Note that a step is under way; see :class:`~genoevo_mega.envs.under_way.SentStep`."""
        self.last_actions = actions
        self.under_way.add(SentStep(actions, active, genotypes))

    def advance(self, actions: Floats, transition: Transition) -> FinishedEpisodes:
        """Count a step with *actions*, (tasks, action_size) float32, for every task that is not lost.

        Returns the episodes that the step ended, by termination or by the time limit.
        """
        tasks = np.arange(len(self.taken))
        self._actions[self.taken, tasks] = actions
        self.taken += ~transition.lost
        self.returns += transition.rewards
        self.success |= transition.success
        self.observations = np.where(transition.lost[:, None], self.observations, transition.observations)
        mask = (transition.terminated | (self.taken >= self.length)) & ~transition.lost
        return FinishedEpisodes(mask, np.flatnonzero(mask), self.returns[mask], self.success[mask])

    def start(self, tasks: Ints, pool: RolloutPool, first_goal: int = 0, same_goal: Flags | None = None) -> None:
        """Start the next episodes of *tasks*, (n,) int64; draw a goal for each, numbered from *first_goal*.

        *same_goal* (n,) marks the tasks that meet the number of their last goal again. The tasks take none of the
        steps under way.
        """
        self.under_way.void(tasks)
        number = self._rng.integers(0, self._goal_count, len(tasks))
        if same_goal is not None:
            number = np.where(same_goal, self.goals[tasks] % PHASE, number)
        self.goals[tasks] = first_goal + number
        self.taken[tasks], self.returns[tasks], self.success[tasks] = 0, 0.0, False
        mask = np.zeros(len(self.taken), np.bool_)
        mask[tasks] = True
        self.observations = np.where(mask[:, None], pool.reset(self.goals, mask), self.observations)

    def state_arrays(self) -> Arrays:
        """Return everything but the generator, as arrays by name."""
        actions = self._actions[: int(self.taken.max(initial=0))]
        return {
            "goals": self.goals,
            "taken": self.taken,
            "returns": self.returns,
            "success": self.success,
            "last_actions": self.last_actions,
            "actions": actions,
            **self.under_way.state_arrays(),
        }

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit.

        Call :meth:`restore` afterwards: it brings the environments to the same state.
        """
        for name in ("goals", "taken", "returns", "success", "last_actions"):
            restore_array(name, getattr(self, name), arrays[name])
        phase, goal = np.divmod(self.goals, PHASE)
        if ((phase < 0) | (phase > 1) | (goal >= self._goal_count)).any():
            raise ValueError(
                f"goals must be from 0 to {self._goal_count - 1}, plus {PHASE} after a change, got "
                f"{self.goals.tolist()}"
            )
        if ((self.taken < 0) | (self.taken >= self.length)).any():
            raise ValueError(f"taken must be from 0 to {self.length - 1} steps, got {self.taken.tolist()}")
        restore_array("actions", self._actions[: int(self.taken.max(initial=0))], arrays["actions"])
        self.under_way.load_arrays(arrays, self.length - self.taken)
