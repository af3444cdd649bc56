import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega import rollout
from genoevo_mega.errors import RolloutError
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.tasks import MetaWorldSuite, metaworld_names


@dataclass(frozen=True)
class FailingSuite:
    names: tuple[str, ...] = ("fails-v3",)
    observation_size: int = 1
    action_size: int = 1
    goals: int = 1
    costs: tuple[float, ...] = (1.0,)

    def make(self, task):
        raise ArithmeticError("no such luck")


def test_tasks_are_spread_so_that_workers_have_equal_work():
    shares = rollout._spread([3, 1, 1, 1, 2, 2], 2)
    assert sorted(shares[0] + shares[1]) == list(range(6))
    assert [sum([3, 1, 1, 1, 2, 2][task] for task in share) for share in shares] == [5, 5]


def test_mt50_is_spread_over_three_workers_to_a_few_percent():
    costs = MetaWorldSuite(metaworld_names("mt50"), seed=1).costs
    loads = [sum(costs[task] for task in share) for share in rollout._spread(costs, 3)]
    assert max(loads) < 1.05 * min(loads)


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


def test_a_failing_environment_is_reported_with_its_task_and_error():
    with pytest.raises(RolloutError, match=r"fails-v3(.|\n)*ArithmeticError: no such luck"):
        RolloutPool(FailingSuite(), workers=1)


def test_a_killed_worker_is_reported(counting_pool):
    with RolloutPool(counting_pool.suite, workers=1) as pool:
        os.kill(pool._processes[0].pid, signal.SIGKILL)
        pool._processes[0].join()
        with pytest.raises(RolloutError, match="worker 0 died"):
            pool.step(np.zeros((2, 2)))


def test_closing_ends_the_workers(counting_pool):
    pool = RolloutPool(counting_pool.suite, workers=2)
    processes = pool._processes
    pool.close()
    deadline = time.monotonic() + 10
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(process.is_alive() for process in processes)


def test_workers_do_not_load_torch():
    code = "import sys, genoevo_mega.rollout; assert 'torch' not in sys.modules, 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


SIGNALLED = """
import os, signal, sys, threading, time
import numpy as np
sys.path.insert(0, {root!r})
from genoevo_mega.rollout import RolloutPool
from tests.mega.conftest import CountingSuite

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
