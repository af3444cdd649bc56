"""Runs that move to a cluster whose nodes round differently."""

import numpy as np
import pytest

from genoevo_mega.envs import ray_nodes
from genoevo_mega.experiments import runs
from genoevo_runs import machine
from tests.cluster.training import train


@pytest.fixture
def another_node(three_nodes, monkeypatch):
    """A node whose processor has fewer vector instructions than this machine's, beside three that have them."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    if not found:
        pytest.skip("NumPy has no other instructions for this processor")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", found[-1])
    node = three_nodes.add(1)
    monkeypatch.delenv("NPY_DISABLE_CPU_FEATURES")
    yield
    three_nodes.kill(node)


@pytest.mark.usefixtures("another_node")
def test_nodes_of_several_kinds_are_told_and_noted(tmp_path):
    train(tmp_path / "run", "local", steps=400, compute={"workers": 2}, schedule={"double_buffering": False})
    told = []
    where = {"compute": {"rollouts": "ray"}}
    trainer = runs.resume(tmp_path / "run", tell=told.append, settings=where)
    trainer.run(420)
    (line,) = told
    assert line.startswith("from step 400 the run is not bit for bit what it would have been: rollout_processors ")
    assert "nodes of several kinds" in line
    here, there = runs.info(tmp_path / "run")["machines"]
    assert here["facts"]["rollout_processors"] == machine.arithmetic()
    kinds = there["facts"]["rollout_processors"].split(ray_nodes.SEVERAL)
    assert len(kinds) == 2
    assert machine.arithmetic() in kinds
    assert there["line"] == line
