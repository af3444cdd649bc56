"""Rollouts: how tasks are dealt to workers, and what resets and steps give."""

import subprocess
import sys
import time

import numpy as np
import pytest

from genoevo_mega.envs import shares
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.rollout import RolloutPool
from tests.mega.suites import FaultySuite


def test_tasks_are_spread_so_that_workers_have_equal_work():
    dealt = shares.spread([3, 1, 1, 1, 2, 2], 2)
    assert sorted(dealt[0] + dealt[1]) == list(range(6))
    assert [sum([3, 1, 1, 1, 2, 2][task] for task in share) for share in dealt] == [5, 5]


def test_mt50_is_spread_over_three_workers_to_a_few_percent():
    costs = MetaWorldSuite(metaworld_names("mt50"), seed=1).costs
    loads = [sum(costs[task] for task in share) for share in shares.spread(costs, 3)]
    assert max(loads) < 1.06 * min(loads)


def test_every_task_gets_its_own_goal(counting_pool):
    observations = counting_pool.reset(np.array([3, 1]))
    assert observations.tolist() == [[0, 3, 0, 0], [1, 1, 0, 0]]


def test_a_masked_reset_leaves_the_other_tasks_in_their_episodes(counting_pool):
    counting_pool.reset(np.array([0, 0]))
    counting_pool.step(np.zeros((2, 2)))
    observations = counting_pool.reset(np.array([4, 4]), np.array([False, True]))
    assert observations.tolist() == [[0, 0, 0, 1], [1, 4, 0, 0]]


def test_evaluation_goals_are_asked_for_by_name(counting_pool):
    assert counting_pool.reset(np.array([0, 0]), evaluation=True)[:, 2].tolist() == [1, 1]


def test_a_step_gives_the_last_observation_of_an_episode_not_the_next_ones_first(counting_pool):
    counting_pool.reset(np.array([2, 2]))
    for _ in range(3):
        step = counting_pool.step(np.zeros((2, 2)))
    assert step.terminated.tolist() == [False, True]
    assert step.observations[1].tolist() == [1, 2, 0, 3]


def test_inactive_tasks_are_not_stepped(counting_pool):
    counting_pool.reset(np.array([0, 0]))
    step = counting_pool.step(np.ones((2, 2)), np.array([True, False]))
    assert step.observations[:, 3].tolist() == [1, 0]


def test_results_are_copies(counting_pool):
    first = counting_pool.reset(np.array([0, 0]))
    counting_pool.step(np.zeros((2, 2)))
    assert first[0, 3] == 0


def test_the_number_of_workers_does_not_change_an_episode():
    suite = MetaWorldSuite(("reach-v3", "door-close-v3"), seed=1, goals=2)
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 2, 4)).astype(np.float32)
    seen = []
    for workers in (1, 2):
        with RolloutPool(suite, workers) as pool:
            pool.reset(np.array([0, 1]))
            seen.append([pool.step(a).observations.tolist() for a in actions])
    assert seen[0] == seen[1]


def test_an_environment_that_cannot_be_built_is_named_with_its_error(tmp_path):
    suite = FaultySuite("building", once=str(tmp_path))
    with pytest.raises(
        RolloutError, match=r"zero cannot be built: ArithmeticError: no second time \(suites.py, line"
    ):
        RolloutPool(suite, workers=1)


def test_closing_ends_the_workers(counting_pool):
    pool = RolloutPool(counting_pool.suite, workers=2)
    processes = [worker.process for worker in pool._workers]
    pool.close()
    deadline = time.monotonic() + 10
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(process.is_alive() for process in processes)


def test_workers_do_not_load_torch():
    code = "import sys, genoevo_mega.envs.rollout; assert 'torch' not in sys.modules, 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)
