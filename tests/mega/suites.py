"""Suites without a simulator. Workers import this module, so it has no fixtures and does not import torch."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class CountingSuite:
    """A suite whose observations are task, goal, purpose and steps taken; task 1 terminates at its third step."""

    names: tuple[str, ...] = ("endless", "short")
    observation_size: int = 4
    action_size: int = 2
    goals: int = 5
    costs: tuple[float, ...] = (1.0, 1.0)

    def make(self, task: int) -> "CountingTask":
        return CountingTask(task)


class CountingTask:
    def __init__(self, task: int) -> None:
        self.task = task

    def reset(self, goal: int, *, evaluation: bool) -> np.ndarray:
        self.goal, self.evaluation, self.steps = goal, evaluation, 0
        return self._observe()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        self.steps += 1
        return self._observe(), float(action.sum()), self.task == 1 and self.steps == 3, action[0] > 0.9

    def _observe(self) -> np.ndarray:
        return np.array([self.task, self.goal, self.evaluation, self.steps], float)


@dataclass(frozen=True)
class FaultySuite:
    """A counting suite with a fault of one task, at one step of every episode with one of its goals, or at its reset.

    ``once`` names a file that the first fault creates; if it exists, no more faults happen.
    """

    fault: str
    task: int = 1
    step: int = 2
    goal: int = 0
    once: str = ""
    names: tuple[str, ...] = ("zero", "one", "two", "three")
    observation_size: int = 4
    action_size: int = 2
    goals: int = 2

    @property
    def costs(self) -> tuple[float, ...]:
        return (1.0,) * len(self.names)

    def make(self, task: int) -> CountingTask:
        if self.fault == "building" and self.once and Path(self.once).exists():
            raise ArithmeticError("no second time")
        return FaultyTask(self, task) if task == self.task else CountingTask(task + 10)


class FaultyTask(CountingTask):
    def __init__(self, suite: FaultySuite, task: int) -> None:
        super().__init__(task + 10)
        self.suite = suite

    def reset(self, goal: int, *, evaluation: bool) -> np.ndarray:
        self.goal, self.evaluation, self.steps = goal, evaluation, 0
        return self._fail() if self.suite.step == 0 else self._observe()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        result = super().step(action)
        if self.steps != self.suite.step:
            return result
        observation = self._fail()
        return observation, np.nan if self.suite.fault == "reward" and self._due() else result[1], *result[2:]

    def _due(self) -> bool:
        return self.goal == self.suite.goal and not (self.suite.once and Path(self.suite.once).exists())

    def _fail(self) -> np.ndarray:
        observation, due = self._observe(), self._due()
        if due and self.suite.once:
            Path(self.suite.once).touch()
        if due and self.suite.fault == "observation":
            observation[2] = np.inf
        if due and self.suite.fault == "exception":
            raise ArithmeticError("a bad\nday")
        if due and self.suite.fault in ("death", "building"):
            os._exit(7)
        if due and self.suite.fault == "hanging":
            time.sleep(1000)
        return observation


@dataclass(frozen=True)
class StrictSuite:
    """A suite whose observations are task, goal, steps taken and the sum of all actions.

    Episodes of its tasks, but for the first, terminate after three to five steps, by task and goal. A step after that
    raises.
    """

    names: tuple[str, ...] = ("zero", "one", "two", "three")
    observation_size: int = 4
    action_size: int = 4
    goals: int = 2

    @property
    def costs(self) -> tuple[float, ...]:
        return (1.0,) * len(self.names)

    def make(self, task: int) -> "StrictTask":
        return StrictTask(task)


class StrictTask:
    def __init__(self, task: int) -> None:
        self.task = task

    def reset(self, goal: int, *, evaluation: bool) -> np.ndarray:
        self.goal, self.steps, self.total, self.over = goal, 0, 0.0, False
        return self._observe()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        if self.over:
            raise RuntimeError("a step after the end")
        self.steps += 1
        self.total += float(action.sum())
        self.over = self.task > 0 and self.steps == 3 + (self.task + self.goal) % 3
        return self._observe(), self.total, self.over, self.total > 1

    def _observe(self) -> np.ndarray:
        return np.array([self.task, self.goal, self.steps, self.total])
