"""Searches whose nodes are lost, as by a power cut, while they evaluate genotypes."""

import threading
import time

import pytest

from genoevo import Evolution
from genoevo.checkpoint import Checkpoint
from genoevo.evaluation import ray_cluster
from genoevo.pools import RayPool
from tests.cluster.cluster import IMPATIENT, cluster, wait_until
from tests.cluster.searches import begun, fitness_by, searched


@pytest.fixture(scope="module")
def nodes():
    with cluster(0, 1, 1, 1, 1, _system_config=IMPATIENT) as nodes:
        yield nodes


def searched_while(lose, node, hold):
    """Return a search's state and its pool; *lose* loses the node while it holds a genotype, without end."""
    # One genotype at a time: a worker that ends alone with a genotype would be that genotype's fault.
    with RayPool(fitness_by(0.02, hold=hold), batch=1) as pool:
        searched(pool, 1)
        assert node.node_id in {actor.node for actor in pool._idle}
        hold.write_text(node.node_id)

        def wait_and_lose():
            wait_until(lambda: not hold.exists())
            lose(node)

        loser = threading.Thread(target=wait_and_lose)
        loser.start()
        found = searched(pool)
        loser.join()
        assert node.node_id not in {actor.node for actor in pool._idle}
    return found, pool


def test_a_node_lost_in_the_middle_of_a_generation_fails_no_genotype(nodes, frozen, tmp_path):
    found, pool = searched_while(nodes.kill, nodes.nodes[2], tmp_path / "hold")
    assert pool._nodes_lost.total() <= 1
    assert frozen(found) == frozen(searched(fitness_by()))


def test_a_node_that_is_cut_off_and_comes_back_fails_no_genotype(nodes, frozen, tmp_path):
    def cut_off(node):
        come_back = nodes.suspend(node, "_Remote")
        wait_until(lambda: not nodes.is_alive(node))
        come_back()

    found, _ = searched_while(cut_off, nodes.nodes[-1], tmp_path / "hold")
    assert frozen(found) == frozen(searched(fitness_by()))


def test_a_search_that_loses_its_head_names_it_and_is_resumed_exactly(nodes, frozen, monkeypatch, tmp_path):
    """The last test of this file: no other has this cluster's head."""
    monkeypatch.setattr(ray_cluster, "EVERY", 0.05)

    def lose(evolution):
        if evolution.generation == 2:
            monkeypatch.setattr(ray_cluster, "WITHIN", 2.0)
            nodes.nodes[0].kill_gcs_server()

    checkpoint = Checkpoint(tmp_path / "search.npz", every=1)
    pool = RayPool(fitness_by(0.05), batch=1)
    evolution = begun(pool, callbacks=[checkpoint, lose])
    message = r"the head of the Ray cluster at [\d.:]+ has not answered for 2 s"
    with checkpoint, pool, pytest.raises(RuntimeError, match=message):
        evolution.run(50)
    before = time.monotonic()
    pool.close()
    assert time.monotonic() - before < 30  # Ray's own calls wait for the head for minutes
    state = checkpoint.load()
    assert state["generation"] >= 2
    resumed = Evolution.from_state(state, fitness_by())
    resumed.run(50 - resumed.generation)
    whole = begun(fitness_by())
    whole.run(50)
    assert frozen(resumed.state_dict()) == frozen(whole.state_dict())
