"""Rollouts on clusters whose head is lost or restarts."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from genoevo.evaluation import ray_cluster
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_runs.ray_cluster import connected
from tests.cluster.cluster import cluster, suspend, wait_until
from tests.cluster.training import train
from tests.mega.suites import FaultySuite

GONE = r"the head of the Ray cluster at [\d.:]+ has not answered for 2 s"
RESTARTED = r"the head of the Ray cluster at [\d.:]+ has restarted and does not know this process"
ONES = np.ones((4, 2), np.float32)
SHORT = {"checkpoints": {"every": 400}, "compute": {"workers": 2}}


@pytest.fixture
def looked_at(monkeypatch):
    """Look at the head all the time; the function that it returns makes two seconds the time that it may be away."""
    monkeypatch.setattr(ray_cluster, "EVERY", 0.05)
    monkeypatch.setattr(ray_cluster, "ENDING", 1.0)
    return lambda: monkeypatch.setattr(ray_cluster, "WITHIN", 2.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(tmp_path_factory.mktemp("here") / "run", "local", **SHORT)


@pytest.fixture(scope="module")
def nodes():
    with cluster(0, 2) as nodes:
        yield nodes


def loses_its_head_and_is_resumed(run, lose, message, undisturbed):
    """Train a run that loses its head at step 600, then resume it without Ray."""

    def observer(status):
        if status.steps == 600:
            lose()
        if status.steps >= 600:
            time.sleep(0.03)

    named = rf"{message}; genoevo mega resume \S+ continues from the last checkpoint"
    with pytest.raises(RolloutError, match=named):
        train(run, "ray", observer=observer, **SHORT)
    assert train(run, "local") == undisturbed


def step_for_ever(pool):
    while True:
        pool.step(ONES)


def restart(head):
    head.kill_gcs_server()
    head.start_gcs_server()


def test_a_head_that_stands_still_is_named_before_ray_ends_the_process(nodes, looked_at):
    (server,) = nodes.nodes[0].all_processes["gcs_server"]
    with RolloutPool(FaultySuite("none"), 2, rollouts="ray") as pool:
        pool.reset(np.zeros(4, np.int64))
        looked_at()
        go_on = suspend([server.process.pid])
        try:
            with pytest.raises(RolloutError, match=GONE):
                step_for_ever(pool)
            pool.close()  # does not wait for the head
        finally:
            go_on()
    wait_until(lambda: "shutdown" not in {thread.name for thread in threading.enumerate()})
    connected("the next test")


def test_a_run_that_loses_its_head_names_the_command_that_resumes_it_exactly(nodes, looked_at, undisturbed, tmp_path):
    """The last test that has this head."""
    nodes.have(1)

    def lose():
        looked_at()
        nodes.nodes[0].kill_gcs_server()

    loses_its_head_and_is_resumed(tmp_path / "run", lose, GONE, undisturbed)


def test_a_worker_that_must_be_replaced_after_a_restart_of_the_head_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ray_cluster, "EVERY", 1000.0)
    with cluster(0, 2) as nodes, RolloutPool(FaultySuite("none"), 2, rollouts="ray", timeout=6) as pool:
        pool.reset(np.zeros(4, np.int64))
        restart(nodes.nodes[0])
        os.kill(nodes.actors(nodes.nodes[1], "_Actor")[0], signal.SIGKILL)
        with pytest.raises(RolloutError, match=RESTARTED):
            pool.step(ONES)


def test_a_run_whose_head_restarts_names_the_command_that_resumes_it_exactly(looked_at, undisturbed, tmp_path):
    with cluster(0, 2) as nodes:
        loses_its_head_and_is_resumed(tmp_path / "run", lambda: restart(nodes.nodes[0]), RESTARTED, undisturbed)
