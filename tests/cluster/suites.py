"""A suite for rollouts on a cluster, and an actor; workers import this module."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WideSuite:
    """A suite whose observations, 160 kB for a task, are too large for Ray's messages and take its object stores."""

    names: tuple[str, ...] = ("zero", "one", "two", "three")
    observation_size: int = 40_000
    action_size: int = 2
    goals: int = 5
    costs: tuple[float, ...] = (4.0, 1.0, 1.0, 1.0)

    def make(self, task: int) -> "WideTask":
        return WideTask(task, self.observation_size)


class WideTask:
    def __init__(self, task: int, size: int) -> None:
        self.task, self.size = task, size

    def reset(self, goal: int, *, evaluation: bool) -> np.ndarray:
        self.state = np.linspace(self.task, goal + evaluation, self.size)
        return self.state

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        self.state = self.state + action.sum() * np.cos(self.state)
        return self.state, float(self.state.mean()), False, bool(self.state[0] > 1)


class Holder:
    """An actor that does nothing but hold the cores that it asked for."""

    def is_here(self):
        return True
