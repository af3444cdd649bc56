import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega.envs import shares
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.rollout import RolloutPool
from tests.mega.suites import FaultySuite, StrictSuite


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


# ------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exception", r"ArithmeticError: a bad day \(suites.py, line \d+\)"),
        ("observation", r"FloatingPointError: the observation is not finite at \[2\]"),
        ("reward", "FloatingPointError: the reward is nan"),
    ],
)
def test_a_fault_of_a_simulator_loses_its_own_episode(fault, reason):
    with RolloutPool(FaultySuite(fault), workers=2) as pool:
        pool.reset(np.zeros(4, np.int64))
        steps = [pool.step(np.ones((4, 2))) for _ in range(3)]
        assert [step.lost.tolist() for step in steps] == [[False] * 4, *[[False, True, False, False]] * 2]
        assert steps[1].observations[:, 3].tolist() == [2, 0, 2, 2]
        assert steps[1].rewards.tolist() == [2, 0, 2, 2]
        (seen,) = pool.take_faults()
        assert seen.tasks == ("one",)
        assert re.match(reason, seen.reason)
        assert pool.take_faults() == []
        observations = pool.reset(np.ones(4, np.int64), pool.lost)
        assert observations[:, 3].tolist() == [3, 0, 3, 3]
        assert [pool.step(np.ones((4, 2))).lost.any() for _ in range(3)] == [False] * 3


@pytest.mark.parametrize(
    ("fault", "step", "reason"),
    [
        ("death", 2, r"died (exit code 7)"),
        ("hanging", 2, "did not answer within 3 s"),
        ("death", 0, r"died (exit code 7)"),
    ],
)
def test_a_worker_that_is_gone_is_replaced_and_loses_its_tasks_alone(tmp_path, fault, step, reason):
    suite = FaultySuite(fault, step=step, once=str(tmp_path / "happened"))
    with RolloutPool(suite, workers=2, timeout=3 if fault == "hanging" else 120) as pool:
        gone = next(index for index, worker in enumerate(pool._workers) if 1 in worker.tasks)
        mine = sorted(pool._workers[gone].tasks)
        pool.reset(np.zeros(4, np.int64))
        for _ in range(step):
            pool.step(np.ones((4, 2)))
        assert np.flatnonzero(pool.lost).tolist() == mine
        (seen,) = pool.take_faults()
        assert (seen.worker, seen.reason, seen.tasks) == (
            gone,
            reason,
            tuple(suite.names[task] for task in pool._workers[gone].tasks),
        )
        pool.reset(np.zeros(4, np.int64), pool.lost)
        again = [pool.step(np.ones((4, 2))) for _ in range(3)]
        assert not any(transition.lost.any() for transition in again)
        assert again[-1].observations[:, 3].tolist() == [3 if task in mine else 3 + step for task in range(4)]


def test_a_worker_killed_between_two_steps_is_replaced():
    with RolloutPool(FaultySuite("none"), workers=2, groups=2) as pool:
        pool.reset(np.zeros(4, np.int64))
        process = pool._workers[1].process
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        pool.begin_step(np.ones((2, 2)), group=0)
        pool.begin_step(np.ones((2, 2)), group=1)
        first, second = (pool.finish_step(group=half) for half in (0, 1))
        assert (first.lost.sum(), second.lost.sum(), pool.lost.sum()) == (1, 1, 2)
        assert pool.reset(np.zeros(4, np.int64), pool.lost)[:, 3].tolist() == [
            0 if task in pool._workers[1].tasks else 1 for task in range(4)
        ]
        assert pool.take_faults()[0].reason == "died (exit code -9)"


def test_a_task_that_always_fails_ends_it_all_at_the_limit():
    with RolloutPool(FaultySuite("exception", step=0), workers=1, fault_limit=3) as pool:
        for _ in range(2):
            pool.reset(np.zeros(4, np.int64))
        with pytest.raises(
            RolloutError, match=r"one has had 3 faults, which is the limit; the last one: .*a bad day"
        ):
            pool.reset(np.zeros(4, np.int64))


def test_a_worker_that_cannot_be_replaced_ends_it_all(tmp_path):
    with RolloutPool(FaultySuite("building", once=str(tmp_path / "happened")), workers=1) as pool:
        pool.reset(np.zeros(4, np.int64))
        pool.step(np.ones((4, 2)))
        with pytest.raises(RolloutError, match="zero cannot be built: ArithmeticError: no second time"):
            pool.step(np.ones((4, 2)))


SIGNALLED = """
import os, signal, sys, threading, time
import numpy as np
sys.path.insert(0, {root!r})
from genoevo_mega.envs.rollout import RolloutPool
from tests.mega.suites import CountingSuite

if __name__ == "__main__":
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *a: None)
    stop = threading.Event()
    def send():
        while not stop.is_set():
            for number in (signal.SIGINT, signal.SIGTERM):
                os.killpg(0, number)
            time.sleep(0.02)
    threading.Thread(target=send, daemon=True).start()
    with RolloutPool(CountingSuite(), workers=2) as pool:
        pool.reset(np.array([0, 0]))
        for _ in range(20):
            pool.step(np.zeros((2, 2)))
            time.sleep(0.01)
    stop.set()
    print("alive")
"""


def test_signals_to_the_process_group_reach_no_worker_from_its_first_moment_on(tmp_path):
    script = tmp_path / "signalled.py"
    script.write_text(SIGNALLED.format(root=str(Path(__file__).parents[2])))
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert result.stdout == "alive\n", result.stderr
