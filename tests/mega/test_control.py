import numpy as np
import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.gymnasium import GymnasiumSuite
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_runs.errors import ConfigError

TASKS = ("Pendulum-v1", "MountainCarContinuous-v0")


@pytest.fixture(scope="module")
def suite():
    return make_suite(build_config(preset("smoke"), {"suite": f"gymnasium:{','.join(TASKS)}", "seed": 3}))


def test_sizes_are_the_largest_tasks_and_shorter_observations_are_padded(suite):
    assert (suite.names, suite.observation_size, suite.action_size) == (TASKS, 3, 1)
    assert suite.make(1).reset(0, evaluation=False)[2] == 0
    assert suite.action_dimensions == (1, 1)


def test_steps_are_those_of_gymnasium_with_actions_scaled_to_its_bounds(suite):
    task, stock = suite.make(0), suite.make(0).environment
    first = task.reset(2, evaluation=False)
    stock.reset(seed=0)
    stock.unwrapped.state = np.array([np.arctan2(first[1], first[0]), first[2]])
    expected = stock.step(np.array([1.0], np.float32))
    observation, reward, terminated, _ = task.step(np.array([0.5], np.float32))  # of a torque of at most 2
    assert observation == pytest.approx(expected[0], abs=1e-5)
    assert reward == pytest.approx(expected[1], abs=1e-4)
    assert not terminated


@pytest.mark.parametrize("task", [0, 1])
def test_an_episode_depends_on_goal_and_actions_alone(suite, task):
    def episode(environment, goal):
        actions = np.random.default_rng(1).uniform(-1, 1, (30, 1)).astype(np.float32)
        first = environment.reset(goal, evaluation=False)
        return [first.tolist(), *[np.hstack(environment.step(action)).tolist() for action in actions]]

    used = suite.make(task)
    episode(used, 0)
    assert episode(used, 1) == episode(suite.make(task), 1)
    assert episode(used, 1) != episode(used, 0)


def test_training_evaluation_tasks_and_seeds_have_starts_of_their_own(suite):
    other = GymnasiumSuite.of(list(TASKS), seed=4, goals=5)
    pendulum = suite.make(0)
    starts = {tuple(pendulum.reset(goal, evaluation=purpose)) for goal in range(5) for purpose in (False, True)}
    starts |= {tuple(other.make(0).reset(goal, evaluation=False)) for goal in range(5)}
    assert len(starts) == 15


def test_a_car_that_arrives_terminates_and_succeeds(suite):
    car = suite.make(1)
    observation = car.reset(0, evaluation=True)
    for _ in range(500):
        action = np.array([0.8 if observation[1] >= 0 else -0.8], np.float32)  # with its swing
        observation, _, terminated, success = car.step(action)
        if terminated:
            break
    assert terminated
    assert success


def test_a_pendulum_has_succeeded_when_it_stood_for_50_steps(suite):
    pendulum = suite.make(0)
    pendulum.reset(0, evaluation=True)
    pendulum.environment.unwrapped.state = np.zeros(2)
    successes = [pendulum.step(np.zeros(1, np.float32))[3] for _ in range(60)]
    assert successes == [False] * 49 + [True] * 11


def test_no_time_limit_but_the_runs_ends_an_episode(suite):
    pendulum = suite.make(0)
    pendulum.reset(0, evaluation=True)
    assert not any(pendulum.step(np.zeros(1, np.float32))[2] for _ in range(300))


def test_workers_step_tasks_that_terminate(suite):
    with RolloutPool(suite, workers=1) as pool:
        observations = pool.reset(np.array([0, 0]))
        for _ in range(300):
            actions = np.where(observations[:, 1:2] >= 0, 1, -1).astype(np.float32)
            transition = pool.step(actions)
            observations = transition.observations
            if transition.terminated.any():
                break
    assert transition.terminated.tolist() == [False, True]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Pendulm-v1"], "did you mean Pendulum-v1"),
        (["CartPole-v1"], "expected a Box of actions in CartPole-v1, got Discrete"),
        (["Reacher-v5"], "Reacher-v5 has no rule for success"),
        (["Pendulum-v1", "Pendulum-v1"], "once"),
    ],
)
def test_what_cannot_be_a_task_is_named(names, message):
    with pytest.raises(ConfigError, match=message):
        GymnasiumSuite.of(names, 1, 5)
