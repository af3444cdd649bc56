from dataclasses import dataclass

import numpy as np
import pytest
import torch

from genoevo_mega.config import Config, build_config, preset
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.tasks import MetaWorldSuite

torch.set_num_threads(1)


@dataclass(frozen=True)
class CountingSuite:
    """Observations tell task, goal, purpose and steps taken; task 1 terminates at its third step."""

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


@pytest.fixture(scope="session")
def counting_pool():
    with RolloutPool(CountingSuite(), workers=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def metaworld_pool():
    names = ("drawer-close-v3", "button-press-topdown-v3", "door-open-v3")
    with RolloutPool(MetaWorldSuite(names, seed=3, goals=6), workers=2) as pool:
        yield pool


@pytest.fixture
def smoke() -> Config:
    return build_config(preset("smoke"))
