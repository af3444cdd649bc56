"""Faults of simulators and workers: what is lost, what is replaced, and what ends it all."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.rollout import RolloutPool
from tests.mega.suites import FaultySuite


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
