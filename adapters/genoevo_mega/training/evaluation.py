"""The success of the greedy policy on goals that training never uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from genoevo_mega.agents.agent import Agent
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Flags, Floats, Ints

Policy = Callable[[Floats], Floats]


@dataclass(frozen=True)
class SuccessRate:
    """A success rate with its 95 % Wilson interval."""

    success: float
    low: float
    high: float
    episodes: int

    @classmethod
    def of(cls, successes: int, episodes: int) -> SuccessRate:
        """Return the rate of *successes* among *episodes*; ValueError if *episodes* is 0."""
        # The import takes most of a second; commands that evaluate nothing do without it.
        from scipy.stats import binomtest

        interval = binomtest(successes, episodes).proportion_ci(method="wilson")
        return cls(successes / episodes, float(interval.low), float(interval.high), episodes)


def greedy(agent: Agent, routing: Routing) -> Policy:
    """Return the policy that takes the mean action of each task, with *routing*."""
    return lambda observations: agent.act(torch.from_numpy(observations), routing, greedy=True).numpy()


def evaluate(
    pool: RolloutPool,
    policy: Policy,
    episodes: int,
    episode_length: int,
    progress: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
    first_goal: int = 0,
    wanted: Flags | None = None,
) -> list[SuccessRate] | None:
    """Run *episodes* of every task, one environment each, on the evaluation goals in order from *first_goal*.

    An episode succeeds if any of its steps does. Every task runs exactly *episodes* episodes: counting the first to
    finish among several copies would favour successful ones. The pool is left in the last episode. None if *stop*
    returned True between two episodes. Tasks that are not *wanted* (tasks,) run nothing and count as failures.
    """
    tasks = len(pool.suite.names)
    successes = np.zeros(tasks, np.int64)
    playing = np.ones(tasks, np.bool_) if wanted is None else wanted
    for episode in range(episodes):
        if stop():
            return None
        goals = np.full(tasks, first_goal + episode)
        successes += _episode(pool, policy, goals, episode_length, playing)
        progress(episode + 1)
    return [SuccessRate.of(int(count), episodes) for count in successes]


def _episode(pool: RolloutPool, policy: Policy, goals: Ints, length: int, playing: Flags) -> Flags:
    success = np.zeros(len(goals), np.bool_)
    due = playing.copy()
    while due.any():  # more than once if episodes are lost
        observations = pool.reset(goals, due, evaluation=True)
        active = due & ~pool.lost
        for _ in range(length):
            if not active.any():
                break
            step = pool.step(policy(observations), active)
            success |= step.success & active
            # The episode of a task that has succeeded is over; its last flags must not be read again.
            active &= ~(step.terminated | success | step.lost)
            observations = step.observations
        due &= pool.lost
        success &= ~due
    return success
