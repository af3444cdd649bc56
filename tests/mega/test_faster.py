import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from genoevo_mega.envs.fast_metaworld import numbers
from genoevo_mega.envs.metaworld import MetaWorldSuite

pytestmark = pytest.mark.filterwarnings("ignore:Constant.s. may be too high")  # said by the scripted policies
TASKS = sorted(ALL_V3_ENVIRONMENTS)


def _bits(value):
    """A value as its type and bytes: 0.0 is not -0.0, a float32 is no float64, NaN is NaN."""
    if isinstance(value, dict):
        return {name: _bits(entry) for name, entry in value.items()}
    return type(value), getattr(value, "dtype", None), np.asarray(value).tobytes()


def _play(tasks, policy, rng, *, goal, scripted, random):
    """An episode on the stock environment and on ours, with the same actions; bits of both, the reset's first."""
    observation, ours = (task.reset(goal, evaluation=False) for task in tasks)
    yield _bits(observation), _bits(ours)
    for step in range(scripted + random):
        action = policy.get_action(observation) if step < scripted else rng.uniform(-1, 1, 4)
        action = np.clip(action, -1, 1).astype(np.float32)
        stock, ours = (task.simulator.step(action) for task in tasks)
        observation = stock[0]
        yield [_bits(part) for part in stock], [_bits(part) for part in ours]


def _compare(name, goals, **steps):
    tasks = [MetaWorldSuite((name,), seed=5, goals=2, stock=stock).make(0) for stock in (True, False)]
    policy, rng = ENV_POLICY_MAP[name](), np.random.default_rng(0)
    for goal in goals:
        for stock, ours in _play(tasks, policy, rng, goal=goal, **steps):
            assert stock == ours


@pytest.mark.parametrize("name", TASKS)
def test_every_observation_reward_and_info_is_that_of_stock_metaworld(name):
    _compare(name, [1, 0, 1], scripted=20, random=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_whole_episodes_are_those_of_stock_metaworld(name):
    _compare(name, [0, 1, 0, 1], scripted=300, random=200)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_episodes_of_wild_and_of_held_actions_are_those_of_stock_metaworld(name):
    tasks = [MetaWorldSuite((name,), seed=6, goals=2, stock=stock).make(0) for stock in (True, False)]
    rng = np.random.default_rng(1)
    for goal in (1, 0, 1):
        first, ours = (task.reset(goal, evaluation=True) for task in tasks)
        assert _bits(first) == _bits(ours)
        for action in np.repeat(rng.uniform(-3, 3, (10, 4)), 20, axis=0).astype(np.float32):
            stock, ours = (task.simulator.step(action) for task in tasks)
            assert [_bits(part) for part in stock] == [_bits(part) for part in ours]


def test_the_gripper_touches_the_object_when_stock_metaworld_says_so():
    tasks = [MetaWorldSuite(("pick-place-v3",), seed=5, goals=2, stock=stock).make(0) for stock in (True, False)]
    policy, rng = ENV_POLICY_MAP["pick-place-v3"](), np.random.default_rng(0)
    touched = [
        [task.simulator.touching_main_object for task in tasks]
        for _ in _play(tasks, policy, rng, goal=1, scripted=70, random=0)
    ]
    assert all(stock == ours for stock, ours in touched)
    assert {stock for stock, _ in touched} == {True, False}


def test_a_version_1_reward_is_that_of_stock_metaworld():
    made = [MetaWorldSuite(("hammer-v3",), 5, 2, "v1", stock=stock).make(0) for stock in (True, False)]
    for stock, ours in _play(made, None, np.random.default_rng(0), goal=0, scripted=0, random=30):
        assert stock == ours


def test_an_episode_past_its_length_is_refused_as_stock_metaworld_does():
    task = MetaWorldSuite(("reach-v3",), seed=5, goals=1).make(0)
    task.reset(0, evaluation=False)
    task.simulator.curr_path_length = 500
    with pytest.raises(ValueError, match="must reset"):
        task.step(np.zeros(4, np.float32))


def test_other_environments_stay_as_they_were():
    stock, ours = (MetaWorldSuite(("reach-v3",), seed=5, goals=1, stock=stock).make(0) for stock in (True, False))
    assert type(stock.simulator) is ALL_V3_ENVIRONMENTS["reach-v3"]
    assert type(ours.simulator) is not type(stock.simulator)
    assert isinstance(ours.simulator, type(stock.simulator))


def test_tolerance_is_that_of_stock_metaworld():
    rng = np.random.default_rng(0)
    for sigmoid in ("long_tail", "gaussian", "hyperbolic"):
        for x, low, width, margin in rng.uniform(0, 0.3, (300, 4)):
            for value in (x, float(x), -x):
                for m in (margin, 0.0, 1e-2):
                    arguments = value, (low, low + width), m, sigmoid
                    assert _bits(numbers.tolerance(*arguments)) == _bits(reward_utils.tolerance(*arguments))


@pytest.mark.parametrize("arguments", [(0.1, (1.0, 0.0)), (0.1, (0.0, 1.0), -1.0)])
def test_tolerance_refuses_what_stock_metaworld_refuses(arguments):
    with pytest.raises(ValueError, match=r"bound|margin"):
        numbers.tolerance(*arguments)


def test_norm_is_numpys():
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 7):
        for vector in rng.normal(size=(300, size)):
            assert _bits(numbers.norm(vector)) == _bits(np.linalg.norm(vector))
    matrix = rng.normal(size=(3, 3))
    for other in (matrix, matrix[:, 0], [1, 2.0], matrix[0].astype(np.float32)):
        assert _bits(numbers.norm(other)) == _bits(np.linalg.norm(other))


def test_quaternions_are_scipys():
    for matrix in Rotation.random(2000, random_state=1).as_matrix():
        assert _bits(numbers.Rotation.from_matrix(matrix).as_quat()) == _bits(Rotation.from_matrix(matrix).as_quat())
