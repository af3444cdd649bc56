"""What becomes of rollouts whose nodes are lost for good, on a made-up cluster; tests/cluster has real ones."""

from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from genoevo_mega.envs import ray_workers, rollout
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.ray_workers import RayWorkers
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.worker import FIELDS, GoneError, shapes
from genoevo_runs.errors import UserError
from tests.mega.suites import CountingSuite


class _Lost:
    """A worker whose node dies whenever an answer is awaited."""

    def __init__(self, groups):
        self.groups, self.tasks, self.pending = groups, [task for group in groups for task in group], deque()

    def send(self, operation, request):
        pass

    def receive(self, timeout):
        raise GoneError("died (its node has died)")

    def finish_building(self, timeout):
        pass

    def ask_to_end(self):
        pass

    def end(self, patience):
        pass


class _Cluster(RayWorkers):
    """A cluster whose cores others hold; ``places`` are the nodes of its workers, ``nodes`` can be taken away."""

    def __init__(self, suite, shares, slots, timeout):
        self.suite = suite
        self.slots = [{name: np.zeros(shape, FIELDS[name]) for name, shape in shapes(suite).items()}]
        self.head = SimpleNamespace(wait=lambda: None, is_lost=True)
        self.nodes, self.places = [{"NodeID": "n", "Alive": True, "Resources": {"CPU": 1}}], []
        affinity = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        self.ray = SimpleNamespace(nodes=lambda: self.nodes, util=SimpleNamespace(scheduling_strategies=affinity))
        self._group = SimpleNamespace(wait=lambda seconds: False)
        self._started, self._patience = {0}, 0.0


@pytest.fixture
def made(monkeypatch):
    """A pool with one worker on such a cluster, and the cluster."""
    clusters = []

    def cluster(*arguments):
        clusters.append(_Cluster(*arguments))
        return clusters[0]

    def worker(cluster, groups, options):
        cluster.places.append(options["scheduling_strategy"])
        return _Lost(groups)

    monkeypatch.setattr(rollout, "RayWorkers", cluster)
    monkeypatch.setattr(ray_workers, "RayWorker", worker)
    with RolloutPool(CountingSuite(), 1, rollouts="ray", fault_limit=3) as pool:
        yield pool, clusters[0]


def test_nodes_that_are_lost_again_and_again_end_the_run_at_its_limit_of_faults(made):
    pool, cluster = made
    for _ in range(2):
        pool.reset(np.zeros(2, np.int64))
        assert pool.lost.all()
    message = "endless has had 3 faults, which is the limit; the last one: rollout worker 0: died .its node has died."
    with pytest.raises(RolloutError, match=message):
        pool.reset(np.zeros(2, np.int64))
    assert cluster.places == ["n"] * 3


def test_more_workers_than_cores_are_refused_with_the_setting_that_fits(monkeypatch):
    node = {"NodeID": "n", "Alive": True, "Resources": {"CPU": 6.0}}
    monkeypatch.setattr(ray_workers, "connected", lambda user: SimpleNamespace(nodes=lambda: [node]))
    monkeypatch.setattr(ray_workers, "head", lambda *arguments: None)
    message = "number of the cluster's cores: --set compute.workers=6, or add nodes with ray start"
    with pytest.raises(UserError, match=message):
        RayWorkers(CountingSuite(), [[0]] * 7, 1, 1.0)


def test_a_cluster_without_a_node_is_named(made):
    pool, cluster = made
    cluster.nodes.clear()
    message = "rollout worker 0 died .its node has died., and its replacement has no node left to run on"
    with pytest.raises(RolloutError, match=message):
        pool.reset(np.zeros(2, np.int64))
