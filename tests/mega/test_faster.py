import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from genoevo_mega.tasks import MetaWorldSuite

pytestmark = pytest.mark.filterwarnings("ignore:Constant.s. may be too high")  # said by the scripted policies


def _episode(name, scripted, random):
    """Play one episode on the stock environment and on ours, and give back both after every step."""
    tasks = [MetaWorldSuite((name,), seed=5, goals=2, stock=stock).make(0) for stock in (True, False)]
    first, second = (task.reset(1, evaluation=False) for task in tasks)
    assert np.array_equal(first, second)
    policy, rng = ENV_POLICY_MAP[name](), np.random.default_rng(0)
    for step in range(scripted + random):
        action = policy.get_action(first) if step < scripted else rng.uniform(-1, 1, 4)
        stock, ours = (task.simulator.step(np.clip(action, -1, 1).astype(np.float32)) for task in tasks)
        first = stock[0]
        yield stock, ours, [task.simulator for task in tasks]


def _compare(name, **steps):
    for (observation, *stock), (ours, *same), _ in _episode(name, **steps):
        assert np.array_equal(observation, ours)
        assert stock == same  # reward, terminated, truncated, info


@pytest.mark.parametrize("name", sorted(ALL_V3_ENVIRONMENTS))
def test_every_observation_reward_and_info_is_that_of_stock_metaworld(name):
    _compare(name, scripted=40, random=10)


def test_the_gripper_touches_the_object_when_stock_metaworld_says_so():
    touched = [
        [simulator.touching_main_object for simulator in simulators]
        for _, _, simulators in _episode("pick-place-v3", scripted=70, random=0)
    ]
    assert all(stock == ours for stock, ours in touched)
    assert {stock for stock, _ in touched} == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALL_V3_ENVIRONMENTS))
def test_whole_episodes_are_those_of_stock_metaworld(name):
    _compare(name, scripted=300, random=200)
