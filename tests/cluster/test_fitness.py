"""Fitness on a cluster of three nodes: the same search as on one machine, whatever happens to the nodes."""

import pytest

from genoevo import Population
from genoevo.evaluation import EvaluationError, evaluated
from genoevo.pools import RayPool
from tests.cluster.cluster import fill_stores
from tests.cluster.searches import fitness_by, searched


def test_a_search_on_three_nodes_is_the_local_one(three_nodes, frozen):
    with RayPool(fitness_by()) as pool:
        assert pool.workers == 6
        found = searched(pool)
        placed = [actor.node for actor in pool._actors]
    assert frozen(found) == frozen(searched(fitness_by()))
    assert sorted(placed.count(node) for node in set(placed)) == [2, 2, 2]


def test_a_slow_node_takes_less_and_changes_nothing(three_nodes, frozen, tmp_path):
    slow = three_nodes.nodes[2].node_id
    with RayPool(fitness_by(0.03, slow, tmp_path), workers=3, batch=1) as pool:
        found = searched(pool, 2)
    counts = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert len(counts) == 3
    assert sum(counts.values()) == found["evaluations"]
    assert counts.pop(slow) < min(counts.values())
    assert frozen(found) == frozen(searched(fitness_by(), 2))


def test_full_object_stores_change_nothing(three_nodes, frozen):
    held = fill_stores()
    # Four genotypes of 50 kB are too large for Ray's messages and take the object stores.
    with RayPool(fitness_by(), batch=4) as pool:
        found = searched(pool, 2, bits=400_000)
    assert len(held) > 3
    assert frozen(found) == frozen(searched(fitness_by(), 2, bits=400_000))


def test_a_genotype_that_ends_its_worker_is_still_named(three_nodes):
    def fitness(genotype):
        import os

        if str(genotype) == "101":
            os._exit(3)
        return 1.0

    with RayPool(fitness, workers=2, batch=2) as pool, pytest.raises(EvaluationError, match="for 101"):
        evaluated(pool, Population.from_genotypes(["000", "101", "111", "110"]))
