"""Whole runs whose rollouts are on a cluster."""

import time

import pytest

from tests.cluster.cluster import pause
from tests.cluster.suites import Holder
from tests.cluster.training import STEPS, train


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The digest of the run with four worker processes of this machine."""
    return train(tmp_path_factory.mktemp("runs") / "here", "local")


@pytest.fixture
def two_nodes(three_nodes):
    """Two nodes with free cores: an actor holds those of the third."""
    import ray

    on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    third = on(three_nodes.nodes[3].node_id, soft=False)
    holder = ray.remote(num_cpus=2, scheduling_strategy=third)(Holder).remote()
    assert ray.get(holder.is_here.remote())
    yield three_nodes
    ray.kill(holder)


def test_four_workers_on_two_nodes_train_the_same_bits_as_four_processes(two_nodes, here, tmp_path):
    seen = set()

    def look(status):
        if len(seen) < 2:
            seen.update(node for node in two_nodes.nodes if two_nodes.actors(node, "_Actor"))

    assert train(tmp_path / "there", "ray", observer=look) == here
    assert len(seen) == 2


def test_four_workers_on_two_nodes_with_steps_under_way_train_the_same_bits_as_four_processes(two_nodes, tmp_path):
    late = {"schedule": {"double_buffering": False, "action_lag": 2}, "evaluation": {"every": 400}}
    digests = {train(tmp_path / rollouts, rollouts, steps=1000, **late) for rollouts in ("local", "ray")}
    assert len(digests) == 1


@pytest.mark.parametrize(("first", "then"), [("ray", "ray"), ("local", "ray"), ("ray", "local")])
def test_a_run_resumes_exactly_from_either_kind_of_rollouts(two_nodes, here, tmp_path, first, then):
    train(tmp_path / "run", first, steps=STEPS // 2 + 110)
    assert train(tmp_path / "run", then) == here


def test_a_node_that_stands_still_for_a_while_changes_no_bit(two_nodes, here, tmp_path):
    def suspend(status):
        if status.steps == 600:
            node = two_nodes.nodes[1]
            actors = two_nodes.actors(node, "_Actor")
            assert actors
            pause([two_nodes.raylet(node), *actors], 3)

    began = time.monotonic()
    assert train(tmp_path / "run", "ray", observer=suspend) == here
    assert time.monotonic() > began + 3
