"""Sweeps whose nodes are lost, on a directory that the nodes share."""

import os
import re
import signal
import threading
from contextlib import contextmanager, suppress

import pytest

from genoevo.evaluation import ray_cluster
from genoevo_runs import manifest, pools
from genoevo_runs.errors import RunError
from genoevo_runs.pools import RayPool
from tests.cluster.cluster import IMPATIENT, cluster, fill_stores, wait_until
from tests.cluster.sweeps import Slowly, SlowlyOnItsOwnMachine, planned, result, trained_here


@pytest.fixture(scope="module")
def nodes():
    with cluster(0, 1, 1, 1, 1, _system_config=IMPATIENT) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The result of the first run, undisturbed."""
    return trained_here(planned(tmp_path_factory.mktemp("here"))[0])


def holder(run):
    """Return the process that the lock of a run names, or None."""
    with suppress(FileNotFoundError, IndexError):
        return int((run.directory / "lock").read_text().split()[1])


def node_of(run, nodes):
    (node,) = (node for node in nodes.nodes if holder(run) in nodes.actors(node, "Slowly"))
    return node


def test_a_directory_that_a_node_does_not_share_is_refused_in_one_line(nodes, tmp_path, monkeypatch):
    @contextmanager
    def elsewhere(directory):
        yield directory / "on-another-disk"

    monkeypatch.setattr(pools, "_visible", elsewhere)
    (event,) = RayPool(tmp_path, 1, ["test"]).run(planned(tmp_path)[:1])
    assert event.event == "failed"
    assert re.fullmatch(rf"{tmp_path} on \S+ is not the sweep's: all nodes must share the directory", event.text)
    assert not [*tmp_path.iterdir()]


def test_runs_whose_node_or_process_is_killed_are_resumed_and_end_the_same(nodes, here, tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_Runner", Slowly)
    by_node, by_process = planned(tmp_path / "cluster")
    (tmp_path / "cluster").mkdir()
    slow = tmp_path / "cluster" / "slow"
    slow.touch()

    def lose():
        wait_until(lambda: all(manifest.newest_first(run.directory) for run in (by_node, by_process)), 300)
        os.kill(holder(by_process), signal.SIGKILL)
        nodes.kill(node_of(by_node, nodes))
        slow.unlink()

    killer = threading.Thread(target=lose)
    killer.start()
    pool = RayPool(tmp_path / "cluster", 1, ["test"])
    events = [(event.run.seed, event.event) for event in pool.run([by_node, by_process])]
    killer.join()
    assert {*events} == {(1, "lost"), (1, "done"), (2, "lost"), (2, "done")}
    assert [run.state for run in (by_node, by_process)] == ["done", "done"]
    assert result(by_node) == here
    assert result(by_process) == trained_here(planned(tmp_path / "here")[1])


def test_a_node_that_is_cut_off_and_comes_back_leaves_the_run_to_its_new_node(nodes, here, tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_Runner", SlowlyOnItsOwnMachine)
    run, _ = planned(tmp_path)
    (tmp_path / "slow").touch()

    def cut_off():
        wait_until(lambda: manifest.newest_first(run.directory), 300)
        process, node = holder(run), node_of(run, nodes)
        come_back = nodes.suspend(node, "Slowly")
        wait_until(lambda: holder(run) not in {None, process}, 300)
        (tmp_path / "slow").unlink()
        come_back()

    cutter = threading.Thread(target=cut_off)
    cutter.start()
    events = [event.event for event in RayPool(tmp_path, 1, ["test"]).run([run])]
    cutter.join()
    assert events == ["lost", "done"]
    assert result(run) == here


def test_full_object_stores_change_nothing(nodes, here, tmp_path):
    run, _ = planned(tmp_path)
    held = fill_stores()
    assert [event.event for event in RayPool(tmp_path, 1, ["test"]).run([run])] == ["done"]
    assert len(held) > 3
    assert result(run) == here


def test_a_sweep_that_loses_its_head_names_it_and_is_resumed_exactly(nodes, here, tmp_path, monkeypatch):
    """The last test of this file: no other has this cluster's head."""
    monkeypatch.setattr(ray_cluster, "EVERY", 0.05)
    monkeypatch.setattr(pools, "_Runner", SlowlyOnItsOwnMachine)
    run, _ = planned(tmp_path)
    (tmp_path / "slow").touch()

    def lose():
        wait_until(lambda: manifest.newest_first(run.directory), 300)
        monkeypatch.setattr(ray_cluster, "WITHIN", 2.0)
        nodes.nodes[0].kill_gcs_server()

    loser = threading.Thread(target=lose)
    loser.start()
    with pytest.raises(RunError, match=r"the head of the Ray cluster at [\d.:]+ has not answered for 2 s"):
        list(RayPool(tmp_path, 1, ["test"]).run([run]))
    loser.join()
    # Its run, whose node still stands, is told to save and stop. The resumed one waits for that.
    assert (tmp_path / pools.STOP).exists()
    wait_until(lambda: not (run.directory / "lock").exists(), 180)
    assert run.state == "begun"
    assert trained_here(run) == here
