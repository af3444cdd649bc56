"""Rollouts on clusters that lose a node."""

import json

import numpy as np
import pytest

from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.experiments import runs
from tests.cluster.cluster import cluster
from tests.cluster.training import STEPS, train
from tests.mega.suites import FaultySuite

ONES = np.ones((4, 2), np.float32)


@pytest.fixture(scope="module")
def nodes():
    with cluster(0, 2, 2) as nodes:
        yield nodes


@pytest.mark.parametrize("count", [2, 3], ids=["with no core to spare", "with cores to spare"])
def test_workers_of_a_lost_node_are_replaced_and_lose_their_tasks_alone(nodes, count):
    nodes.have(count)
    with RolloutPool(FaultySuite("none"), 4, rollouts="ray", groups=2) as pool:
        pool.reset(np.zeros(4, np.int64))
        pool.step(ONES)
        lost = nodes.nodes[1]
        count = len(nodes.actors(lost, "_Actor"))
        assert count in {1, 2}
        nodes.kill(lost)
        step = pool.step(ONES)
        faults = pool.take_faults()
        assert [fault.reason for fault in faults] == ["died (its node has died)"] * count
        assert sorted(task for fault in faults for task in fault.tasks) == sorted(
            pool.suite.names[task] for task in np.flatnonzero(step.lost)
        )
        begun = pool.reset(np.zeros(4, np.int64), pool.lost)
        assert begun[:, 3].tolist() == [0 if gone else 2 for gone in step.lost]
        assert pool.step(ONES).observations[:, 3].tolist() == [1 if gone else 3 for gone in step.lost]
        assert pool.take_faults() == []
        assert sum(len(nodes.actors(node, "_Actor")) for node in nodes.nodes) == 4


def test_a_run_that_loses_a_node_notes_it_and_ends(nodes, tmp_path):
    nodes.have(3)

    def kill(status):
        if status.steps == 600:
            nodes.kill(next(node for node in nodes.nodes if nodes.actors(node, "_Actor")))

    train(tmp_path / "run", "ray", observer=kill)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    faults = [record for record in records if record["kind"] == "fault"]
    assert {record["reason"] for record in faults} == {"died (its node has died)"}
    assert all(record["step"] in {600, 610} for record in faults)
    lost = [task for record in faults for task in record["tasks"]]
    assert len(lost) == len({*lost})
    assert 2 <= len(lost) < 10
    found = runs.info(tmp_path / "run")
    assert found["steps"] == STEPS
    assert np.isfinite([task["success"] for task in found["tasks"].values()]).all()
