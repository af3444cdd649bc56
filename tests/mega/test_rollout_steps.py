"""Steps of half the tasks, and several steps under way."""

import os
import signal

import numpy as np
import pytest

from genoevo_mega.envs import shares
from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.rollout import RolloutPool
from tests.mega.suites import FaultySuite, StrictSuite

# ------------------------------------------------------------------------------------------------------ halves


def test_halves_are_spread_over_all_workers_with_equal_work():
    suite = MetaWorldSuite(metaworld_names("mt50"), seed=1)
    for share in shares.spread(suite.costs, 3):
        loads = [sum(suite.costs[task] for task in half) for half in shares.deal(share, suite.costs, 2, 0)]
        assert max(loads) < 1.15 * min(loads)


def test_with_a_task_per_worker_both_halves_have_tasks():
    dealt = [shares.deal([task], [1.0] * 4, 2, task) for task in range(4)]
    assert [[len(half) for half in halves] for halves in dealt] == [[1, 0], [0, 1], [1, 0], [0, 1]]


@pytest.fixture(scope="module")
def halved_pool():
    with RolloutPool(FaultySuite("none"), workers=2, groups=2) as pool:
        yield pool


def test_halves_are_all_tasks_and_every_worker_has_some_of_each(halved_pool):
    assert sorted(np.concatenate(halved_pool.groups).tolist()) == [0, 1, 2, 3]
    assert all(len(half) == 1 for worker in halved_pool._workers for half in worker.groups)


def test_steps_of_halves_are_those_of_all_tasks_at_once(halved_pool):
    goals, actions = np.array([0, 1, 0, 1]), np.random.default_rng(0).uniform(-1, 1, (5, 4, 2)).astype(np.float32)
    halved_pool.reset(goals)
    whole = [halved_pool.step(taken) for taken in actions]
    halved_pool.reset(goals)
    halves = [[], []]
    for half in (0, 1):
        halved_pool.begin_step(actions[0, halved_pool.groups[half]], group=half)
    for taken in actions[1:]:
        for half in (0, 1):
            halves[half].append(halved_pool.finish_step(group=half))
            halved_pool.begin_step(taken[halved_pool.groups[half]], group=half)
    last = halved_pool.finish_step()
    for half, tasks in enumerate(halved_pool.groups):
        for one, other in zip(whole, halves[half], strict=False):
            assert np.array_equal(one.observations[tasks], other.observations)
            assert np.array_equal(one.rewards[tasks], other.rewards)
    assert np.array_equal(last.observations, whole[-1].observations)


def test_inactive_tasks_of_a_half_are_not_stepped(halved_pool):
    halved_pool.reset(np.zeros(4, np.int64))
    halved_pool.begin_step(np.zeros((2, 2)), np.array([True, False]), group=1)
    assert halved_pool.finish_step(group=1).observations[:, 3].tolist() == [1, 0]


def test_a_step_is_not_begun_twice_nor_reset_under_way(halved_pool):
    halved_pool.reset(np.zeros(4, np.int64))
    halved_pool.begin_step(np.zeros((2, 2)), group=0)
    for again in (
        lambda: halved_pool.begin_step(np.zeros((2, 2)), group=0),
        lambda: halved_pool.step(np.zeros((4, 2))),
    ):
        with pytest.raises(RuntimeError, match="call finish_step first"):
            again()
    with pytest.raises(RuntimeError, match="call finish_step first"):
        halved_pool.reset(np.zeros(4, np.int64))
    halved_pool.finish_step()


# ------------------------------------------------------------------------------------- several steps under way


@pytest.fixture(scope="module")
def early_pool():
    """A pool of tasks of which all but the first terminate, with room for three steps under way."""
    with RolloutPool(StrictSuite(), workers=2, ahead=2) as pool:
        yield pool


def test_steps_under_way_together_give_what_they_give_one_by_one(early_pool):
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4)).astype(np.float32)
    seen = []
    for together in (False, True):
        early_pool.reset(np.zeros(4, np.int64))
        if together:
            for taken in actions:
                early_pool.begin_step(taken)
            seen.append([early_pool.finish_step() for _ in actions])
        else:
            seen.append([early_pool.step(taken) for taken in actions])
    for one, other in zip(*seen, strict=True):
        assert all(np.array_equal(array, vars(other)[name]) for name, array in vars(one).items())


def test_a_reset_waits_for_the_steps_under_way_and_keeps_their_results(early_pool):
    early_pool.reset(np.zeros(4, np.int64))
    for _ in range(2):
        early_pool.begin_step(np.ones((4, 4)), np.array([True, True, False, False]))
    begun = early_pool.reset(np.ones(4, np.int64), np.array([True, False, False, False]))
    assert begun[0].tolist() == [0, 1, 0, 0]
    assert [early_pool.finish_step().observations[:2, 2].tolist() for _ in range(2)] == [[1, 1], [2, 2]]
    assert early_pool.step(np.ones((4, 4))).observations[:, 2].tolist() == [1, 3, 1, 1]


def test_a_task_that_terminated_takes_none_of_the_steps_under_way(early_pool):
    early_pool.reset(np.zeros(4, np.int64))
    for _ in range(2):
        early_pool.step(np.ones((4, 4)))
    for _ in range(3):
        early_pool.begin_step(np.ones((4, 4)))
    terminated = [early_pool.finish_step().terminated.tolist() for _ in range(3)]
    assert terminated[0][3]
    assert early_pool.reset(np.zeros(4, np.int64), np.arange(4) == 3)[3].tolist() == [3, 0, 0, 0]
    assert early_pool.take_faults() == []


def test_dropped_steps_leave_nothing_behind(early_pool):
    early_pool.reset(np.zeros(4, np.int64))
    early_pool.begin_step(np.ones((4, 4)))
    early_pool.begin_step(np.ones((4, 4)))
    early_pool.drop()
    early_pool.reset(np.zeros(4, np.int64))
    assert early_pool.step(np.ones((4, 4))).observations[:, 2].tolist() == [1] * 4


def test_no_more_steps_are_begun_than_there_is_room_for_nor_finished_than_were_begun(early_pool):
    early_pool.reset(np.zeros(4, np.int64))
    for _ in range(3):
        early_pool.begin_step(np.zeros((4, 4)))
    for more in (
        lambda: early_pool.begin_step(np.zeros((4, 4))),
        lambda: early_pool.step(np.zeros((4, 4))),
        lambda: early_pool.reset(np.zeros(4, np.int64)),
    ):
        with pytest.raises(RuntimeError, match="call finish_step first"):
            more()
    early_pool.drop()
    with pytest.raises(RuntimeError, match="no step is under way: call begin_step first"):
        early_pool.finish_step()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_is_told_when_its_step_is_finished_and_not_by_a_reset_before(workers):
    with RolloutPool(FaultySuite("exception", step=2), workers, ahead=2) as pool:
        pool.reset(np.zeros(4, np.int64))
        for _ in range(3):
            pool.begin_step(np.ones((4, 2)))
        assert not pool.finish_step().lost.any()
        pool.reset(np.zeros(4, np.int64), np.arange(4) == 0)
        assert not pool.lost.any()
        assert pool.take_faults() == []
        assert pool.finish_step().lost.tolist() == [False, True, False, False]
        assert [fault.tasks for fault in pool.take_faults()] == [("one",)]


def test_a_worker_that_is_killed_with_steps_under_way_loses_all_of_them():
    with RolloutPool(StrictSuite(), workers=2, ahead=2) as pool:
        pool.reset(np.zeros(4, np.int64))
        process = pool._workers[1].process
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        mine = sorted(pool._workers[1].tasks)
        for _ in range(3):
            pool.begin_step(np.ones((4, 4)))
        first = pool.finish_step()
        assert np.flatnonzero(first.lost).tolist() == mine
        assert pool.reset(np.zeros(4, np.int64), pool.lost)[mine, 2].tolist() == [0, 0]
        others = [task for task in range(4) if task not in mine]
        assert [pool.finish_step().observations[others, 2].tolist() for _ in range(2)] == [[2, 2], [3, 3]]
        assert not pool.lost.any()
        assert len(pool.take_faults()) == 1
