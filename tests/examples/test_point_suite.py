import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega.envs import custom

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(EXAMPLES)])
    yield custom.make_other("point_suite:make", seed=1, goals=5)
    sys.modules.pop("point_suite")


def test_the_example_is_a_suite_whose_episodes_depend_on_goal_and_actions_alone(suite):
    used, fresh = suite.make(1), suite.make(1)
    used.reset(0, evaluation=False)
    used.step(np.ones(1, np.float32))
    assert used.reset(3, evaluation=True).tolist() == fresh.reset(3, evaluation=True).tolist()
    assert used.reset(3, evaluation=False)[2] != fresh.reset(3, evaluation=True)[2]


@pytest.mark.parametrize("task", [0, 1])
def test_a_plain_controller_succeeds_and_ends_the_episode(suite, task):
    point = suite.make(task)
    place, speed, goal = point.reset(0, evaluation=True)
    for _ in range(200):
        force = np.clip((0.2 * (goal - place) - speed) / point.force, -1, 1)
        (place, speed, goal), _, terminated, success = point.step(np.array([force], np.float32))
        if terminated:
            break
    assert terminated
    assert success
