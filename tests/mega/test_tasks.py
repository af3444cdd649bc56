import pickle

import metaworld
import numpy as np
import pytest

from genoevo_mega.config.run import build_config
from genoevo_mega.envs import catalogue
from genoevo_mega.envs.metaworld import MetaWorldSuite, MetaWorldTask, metaworld_names
from genoevo_mega.envs.registry import make_suite
from genoevo_runs.errors import ConfigError


@pytest.fixture(scope="module")
def suite():
    return MetaWorldSuite(("push-v3", "door-open-v3"), seed=5, goals=50)


@pytest.fixture(scope="module")
def push(suite):
    return suite.make(0)


def _episode(task: MetaWorldTask, goal: int, actions: np.ndarray) -> list:
    first = task.reset(goal, evaluation=False)
    return [first.tolist(), *(tuple(map(np.ndarray.tolist, [np.hstack(task.step(a))])) for a in actions)]


def test_goals_are_those_of_stock_metaworld():
    task = MetaWorldTask("peg-insert-side-v3", 5, 50, "v2")
    stock = metaworld.MT1("peg-insert-side-v3", seed=11).train_tasks
    assert np.array_equal(task._draw_goals(11, 50), [pickle.loads(t.data)["rand_vec"] for t in stock])


def test_drawing_goals_leaves_numpys_global_generator_alone(suite):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    suite.make(1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_evaluation_goals_are_none_of_the_training_goals(push):
    push.reset(60, evaluation=True)
    training, evaluation = (set(map(tuple, goals)) for goals in (push.training_goals, push.evaluation_goals))
    assert (len(training), len(evaluation)) == (50, 100)
    assert not training & evaluation


def test_another_seed_gives_other_goals_and_the_same_seed_the_same(suite, push):
    assert np.array_equal(push.training_goals, suite.make(0).training_goals)
    other = MetaWorldSuite(suite.names, seed=6, goals=50).make(0)
    assert not set(map(tuple, other.training_goals)) & set(map(tuple, push.training_goals))


def test_tasks_do_not_share_a_stream_of_goals(suite, push):
    names = ("button-press-v3", "button-press-wall-v3")
    first, second = (MetaWorldTask(name, 5, 5, "v2") for name in names)
    spaces = [task.simulator._random_reset_space for task in (first, second)]
    unit = [
        (t.training_goals - s.low) / np.where(s.high > s.low, s.high - s.low, 1)
        for t, s in zip((first, second), spaces, strict=True)
    ]
    assert not np.allclose(unit[0][:, 0], unit[1][:, 0])


def test_the_goal_is_part_of_the_observation(push):
    goals = [push.reset(goal, evaluation=False)[36:] for goal in (0, 1)]
    assert np.abs(goals[0]).max() > 0.01
    assert not np.array_equal(*goals)


def test_the_goal_stays_in_the_observation_after_a_step(push):
    goal = push.reset(0, evaluation=False)[36:]
    observation, *_ = push.step(np.zeros(4, np.float32))
    assert np.array_equal(observation[36:], goal)


def test_an_episode_depends_on_goal_and_actions_alone(suite, push):
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 4)).astype(np.float32)
    fresh = _episode(suite.make(0), 7, actions)
    _episode(push, 3, actions[::-1])
    assert _episode(push, 7, actions) == fresh


@pytest.mark.slow
@pytest.mark.parametrize("name", metaworld_names("mt50"))
def test_every_tasks_episode_depends_on_goal_and_actions_alone(name):
    actions = np.random.default_rng(1).uniform(-1, 1, (60, 4)).astype(np.float32)
    first, second = (MetaWorldTask(name, 2, 3, "v2") for _ in range(2))
    fresh = _episode(first, 1, actions)
    for goal in (0, 2):
        _episode(second, goal, actions[::-1])
    assert _episode(second, 1, actions) == fresh


@pytest.mark.slow
@pytest.mark.parametrize("name", metaworld_names("mt50"))
def test_every_tasks_goals_are_those_of_stock_metaworld(name):
    stock = metaworld.MT1(name, seed=4).train_tasks
    drawn = MetaWorldTask(name, 1, 1, "v2")._draw_goals(4, 50)
    assert np.array_equal(drawn, [pickle.loads(t.data)["rand_vec"] for t in stock])


@pytest.mark.parametrize("stock", [False, True])
def test_a_simulation_that_mujoco_began_anew_is_an_error(suite, stock):
    task = MetaWorldTask("push-v3", 5, 1, "v2", stock)
    task.reset(0, evaluation=False)
    task.step(np.zeros(4, np.float32))
    task.simulator.data.qpos[0] = np.nan
    with pytest.raises(FloatingPointError, match="unstable"):
        task.step(np.zeros(4, np.float32))


def test_metaworld_never_terminates(push):
    push.reset(0, evaluation=False)
    assert not any(push.step(np.ones(4, np.float32))[2] for _ in range(200))


def test_v2_rewards_stay_between_0_and_10(push):
    push.reset(0, evaluation=False)
    rewards = [push.step(np.ones(4, np.float32))[1] for _ in range(100)]
    assert 0 <= min(rewards) <= max(rewards) <= 10


@pytest.mark.parametrize(("suite", "count"), [("mt10", 10), ("mt25", 25), ("mt50", 50), ("reach-v3, push-v3", 2)])
def test_suites_by_name(suite, count):
    names = metaworld_names(suite)
    assert len(set(names)) == count


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("mt11", "did you mean mt1"),
        ("reach-v3,puhs-v3", "push-v3"),
        ("reach-v3,reach-v3", "once"),
        ("synthetic", "known are mt10, mt25, mt50, names of Meta-World's tasks, separated by commas$"),
        ("mt10,reach-v3", "unknown task 'mt10'; known are names of Meta-World's tasks"),
    ],
)
def test_an_unknown_or_repeated_task_is_named(suite, message):
    with pytest.raises(ConfigError, match=message):
        metaworld_names(suite)


def test_what_an_unknown_task_is_told_to_be_known_is_taken():
    with pytest.raises(ConfigError, match=r"known are (.*), names of Meta-World's tasks") as caught:
        catalogue.describe("nothing")
    suites = str(caught.value).partition("known are ")[2].split(", ")[:-2]
    assert [len(catalogue.describe(suite)) for suite in suites] == [10, 25, 50]
    with pytest.raises(
        ConfigError, match=r"known are mt10, mt25, mt50, synthetic, gymnasium:ID, package\.module:call"
    ):
        make_suite(build_config({"suite": "nothing"}))
