import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.training.evaluation import SuccessRate, evaluate
from tests.mega.suites import FaultySuite


def _experts(pool, idle=()):
    policies = [ENV_POLICY_MAP[name]() for name in pool.suite.names]

    def act(observations):
        actions = [policy.get_action(row) for policy, row in zip(policies, observations.astype(float), strict=True)]
        actions = np.clip(actions, -1, 1).astype(np.float32)
        actions[list(idle)] = 0
        return actions

    return act


@pytest.mark.filterwarnings("ignore:Constant")
def test_scripted_experts_succeed(metaworld_pool):
    estimates = evaluate(metaworld_pool, _experts(metaworld_pool), episodes=6, episode_length=300)
    assert sum(estimate.success for estimate in estimates) / 3 > 0.9


@pytest.mark.filterwarnings("ignore:Constant")
def test_an_idle_task_beside_experts_scores_nothing(metaworld_pool):
    idle = metaworld_pool.suite.names.index("door-open-v3")
    estimates = evaluate(metaworld_pool, _experts(metaworld_pool, idle=[idle]), episodes=3, episode_length=300)
    assert estimates[idle].success == 0
    assert [estimate.episodes for estimate in estimates] == [3, 3, 3]


def test_success_at_any_step_counts_even_where_the_last_step_fails(counting_pool):
    def act(observations):
        return np.full((2, 2), observations[0, 3] == 1, np.float32)

    estimates = evaluate(counting_pool, act, episodes=2, episode_length=4)
    assert [estimate.success for estimate in estimates] == [1, 1]


def test_success_after_a_terminated_episode_does_not_count(counting_pool):
    def act(observations):
        return np.full((2, 2), observations[0, 3] == 3, np.float32)

    estimates = evaluate(counting_pool, act, episodes=1, episode_length=5)
    assert [estimate.success for estimate in estimates] == [1, 0]


def test_every_episode_runs_on_an_evaluation_goal_of_its_own(counting_pool):
    seen = []

    def act(observations):
        seen.append(observations[0, :3].tolist())
        return np.zeros((2, 2), np.float32)

    evaluate(counting_pool, act, episodes=7, episode_length=1)
    assert seen == [[0, goal, 1] for goal in range(7)]


def test_evaluation_stops_between_episodes_when_told_to(counting_pool):
    done = []
    policy = lambda observations: np.zeros((2, 2), np.float32)  # noqa: E731
    stopped = evaluate(counting_pool, policy, 9, 1, progress=done.append, stop=lambda: len(done) == 2)
    assert stopped is None
    assert done == [1, 2]


@pytest.mark.parametrize(("fault", "step"), [("death", 2), ("exception", 3), ("death", 0)])
def test_an_episode_that_is_lost_is_run_again(tmp_path, fault, step):
    played = []

    def act(observations):
        played.append(observations[1, 3])
        return np.full((4, 2), observations[1:2, 3] == 3, np.float32)

    suite = FaultySuite(fault, step=step, once=str(tmp_path / "happened"))
    with RolloutPool(suite, workers=2) as pool:
        estimates = evaluate(pool, act, episodes=2, episode_length=5)
        assert len(pool.take_faults()) == 1
    assert estimates[1].success == 1
    assert played.count(1) == 3 if step > 1 else 2


@pytest.mark.parametrize(("successes", "low", "high"), [(0, 0.0, 0.161), (10, 0.299, 0.701), (20, 0.839, 1.0)])
def test_intervals_are_wilsons(successes, low, high):
    estimate = SuccessRate.of(successes, 20)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_evaluation_takes_its_goals_in_order_from_the_first_one_named(counting_pool):
    seen = []

    def policy(observations):
        seen.append(observations[0, 1])
        return np.zeros((2, 2), np.float32)

    evaluate(counting_pool, policy, episodes=3, episode_length=1, first_goal=7)
    assert seen == [7, 8, 9]
