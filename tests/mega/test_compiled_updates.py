"""Updates and runs by compiled functions: those of the definitions within rounding, and exact by themselves."""

import numpy as np
import pytest
import torch

from genoevo_mega import kernels as kernels_of
from genoevo_mega.agents import direct
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training.build import check_kernels, make_agent, make_structure
from genoevo_runs.errors import ConfigError
from tests.mega.checkpoint.tiny import resumed_to, train
from tests.mega.updates import SUITE, drawn_batch, inputs_of

RESIDUAL = {"network": {"modules": "residual"}, "layer_norm": True, "decoding": {"kind": "sparse"}}
CRITICS = {"critic": {"kind": "residual", "width": 20, "task_embedding": 3}}


def _config(*changes, compiled_too=True):
    compute = {"compute": {"kernels": "compiled" if compiled_too else "torch"}}
    return build_config(preset("smoke"), RESIDUAL, {"genotypes": {"start_stage": 3}}, compute, *changes)


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize(
    "change",
    [{}, CRITICS | {"value": {"loss": "hl-gauss", "bins": 21, "twins": "mean"}, "sac": {"weight_decay": 0.01}}],
    ids=["genotype", "residual"],
)
@pytest.mark.parametrize("order", [{}, {"sac": {"simultaneous": True}}], ids=["in turn", "simultaneous"])
def test_an_update_is_the_definitions_within_rounding(change, order, shards):
    ends = []
    for compiled_too in (True, False):
        agent = make_agent(_config(change, order, compiled_too=compiled_too), SUITE)
        agent.executor.pool = ShardPool(shards)
        routing = make_structure(_config(change), list(SUITE.names), 1).acting_routing()
        metrics = [agent.update(drawn_batch(seed=seed), routing, routing) for seed in range(3)]
        assert direct.usable(agent.nets, inputs_of(agent, drawn_batch(), routing), agent.prediction) == compiled_too
        actions = agent.act(drawn_batch().observations[:, 0], routing, greedy=True)
        ends.append([*(value for found in metrics for value in found.values()), actions, *agent.critics.parameters()])
    for mine, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("order", [{}, {"sac": {"simultaneous": True}}], ids=["in turn", "simultaneous"])
@pytest.mark.parametrize("architecture", ["mtmhsac", "soft-modules"])
def test_compiled_critics_need_no_compiled_actor(architecture, order, shards):
    ends = []
    for compiled_too in (True, False):
        config = _config(CRITICS, {"architecture": architecture}, order, compiled_too=compiled_too)
        agent = make_agent(config, SUITE)
        agent.executor.pool = ShardPool(shards)
        routing = make_structure(config, list(SUITE.names), 1).acting_routing()
        assert direct.usable(agent.nets, inputs_of(agent, drawn_batch(), routing), agent.prediction) == compiled_too
        metrics = [agent.update(drawn_batch(seed=seed), routing, routing) for seed in range(3)]
        parameters = *agent.actor.parameters(), *agent.critics.parameters()
        ends.append([*(value for found in metrics for value in found.values()), *parameters])
    for mine, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [CRITICS, {}, CRITICS | {"architecture": "soft-modules"}],
    ids=["residual", "genotype", "residual for soft-modules"],
)
def test_simultaneous_losses_give_the_same_bits_with_one_thread_and_with_two(change):
    config, ends = _config(change, {"sac": {"simultaneous": True}, "compute": {"threads": 2}}), []
    assert make_agent(config, SUITE).threads == 2
    for threads in (1, 2):
        agent = make_agent(config, SUITE)
        agent.executor.pool = ShardPool(threads)
        routing = make_structure(config, list(SUITE.names), 1).acting_routing()
        for seed in range(5):
            agent.update(drawn_batch(seed=seed), routing, routing)
        ends.append([*agent.actor.parameters(), *agent.critics.parameters(), *agent.target_critics.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


@pytest.mark.parametrize(
    ("changes", "threads"),
    [
        ([CRITICS], 2),
        ([], 2),
        ([{"critic": {"kind": "mlp"}}], 1),
        ([{"network": {"modules": "plain"}}], 1),
        ([{"architecture": "mtmhsac"}], 1),
        ([CRITICS, {"architecture": "mtmhsac"}], 2),
        ([CRITICS, {"architecture": "mtmhsac", "genotypes": {"update_with": "stored"}}], 2),
        ([CRITICS, {"sac": {"precision": "bf16"}}], 1),
        ([CRITICS, {"genotypes": {"update_with": "stored"}}], 1),
        ([{"genotypes": {"update_with": "stored"}}], 1),
        ([CRITICS, {"genotypes": {"hybrid_rate": 0.1}, "decoding": {"kind": "dense"}}], 1),
    ],
)
def test_two_threads_have_a_loss_each_where_compiled_functions_compute_both(changes, threads):
    config = _config({"sac": {"simultaneous": True}, "compute": {"threads": 2}}, *changes)
    agent, structure = make_agent(config, SUITE), make_structure(config, list(SUITE.names), 1)
    batch = drawn_batch()
    routing = structure.update_routing(batch.genotypes, np.random.default_rng(0))
    assert agent.threads == threads
    assert direct.usable(agent.nets, inputs_of(agent, batch, routing), agent.prediction) == (threads == 2)


def test_an_update_without_kernels_is_torchs_bit_for_bit(monkeypatch):
    def none():
        raise kernels_of.KernelsUnavailableError("there is no C compiler")

    monkeypatch.setattr("genoevo_mega.training.build.kernels", none)
    routing = make_structure(_config(), list(SUITE.names), 1).acting_routing()
    agents = [make_agent(_config(compiled_too=wanted), SUITE) for wanted in (True, False)]
    for agent in agents:
        agent.update(drawn_batch(), routing, routing)
    assert all(torch.equal(a, b) for a, b in zip(*(agent.actor.parameters() for agent in agents), strict=True))
    with pytest.raises(ConfigError, match=r"compute\.kernels = 'compiled': must be torch, because there is no C"):
        check_kernels(_config())


@pytest.mark.parametrize(
    ("critics", "threads", "simultaneous"),
    [(CRITICS, 1, False), (CRITICS, 2, False), (CRITICS, 2, True), ({}, 2, True)],
    ids=["one thread", "two", "a loss each", "a loss each, genotype"],
)
def test_a_compiled_run_in_parts_equals_the_run_in_one_through_growth(tmp_path, critics, threads, simultaneous):
    compute = {"kernels": "compiled", "threads": threads, "smallest_shard": 12}
    settings = RESIDUAL | critics | {"genotypes": {"update_with": "sample"}, "compute": compute}
    settings["decoding"] = {"kind": "dense"}  # so that the pool grows at once
    settings |= {"sac": {"random_steps": 10, "batch_size": 24, "simultaneous": simultaneous}, "steps": 120}
    whole = train(tmp_path / "whole", **settings)
    assert whole.state.agent.actor.compiled
    assert whole.state.agent.threads == threads
    train(tmp_path / "parts", **settings | {"steps": 55})
    resumed_to(tmp_path / "parts", 120)
    whole, parts = (runs.info(tmp_path / name) for name in ("whole", "parts"))
    assert whole["pool_size"] == 3  # it grew
    assert parts["digest"] == whole["digest"]
    if simultaneous:
        train(tmp_path / "one thread", **settings | {"compute": compute | {"threads": 1}})
        assert runs.info(tmp_path / "one thread")["digest"] == whole["digest"]
