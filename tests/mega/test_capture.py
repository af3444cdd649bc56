from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genoevo_mega.agents.cuda_graph import Captured, CudaGraph
from genoevo_mega.agents.replay import Batch
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.networks import ARCHITECTURES, Routing
from genoevo_mega.training.build import make_agent

SUITE = MetaWorldSuite(("reach-v3", "drawer-close-v3"), seed=1)


class DeviceOnly(TorchDispatchMode):
    """Refuses much of what a CUDA graph cannot record: tensors made of Python's numbers, numbers read from tensors,
    and results whose size depends on numbers.
    """

    refused = ("lift_fresh", "_local_scalar_dense", "nonzero", "masked_select", "equal")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        by_mask = name in ("index", "index_put_") and any(x is not None and x.dtype is torch.bool for x in args[1])
        assert not by_mask, "a mask needs the host"
        assert name not in self.refused, f"{name} needs the host"
        return func(*args, **(kwargs or {}))


class RecordedGraph:
    """What a CUDA graph does, on the CPU: capturing runs nothing, replaying fills the captured outputs.

    Replaying runs the function again, so that it does not show memory that moved since the capture.
    """

    def __init__(self):
        self.captures = 0

    def warm(self, function):
        return function()

    def capture(self, function):
        self.captures += 1
        self._function, self._outputs = function, []
        return self._outputs

    def replay(self):
        with DeviceOnly():
            self._outputs[:] = self._function()


def _updated(captured, updates, grow_after=None, architecture="mega", **more):
    """An agent after so many updates, each with other transitions, captured or not."""
    config = build_config(preset("smoke"), {"architecture": architecture, "sac": {"batch_size": 16}}, more)
    agent = make_agent(config, SUITE)
    evolver = Evolver.fresh(config.evolution, list(SUITE.names), 1)
    routing, graphs = evolver.acting_routing(), []
    if captured:
        agent._step = Captured(agent._gradient_step, lambda: graphs.append(RecordedGraph()) or graphs[-1])
    losses = []
    for seed in range(updates):
        if seed == grow_after:
            agent.grow()
            routing = routing._replace(stages=(2, 3))
        losses.append({name: float(value) for name, value in agent.update(_batch(seed), routing, routing).items()})
    return agent, losses, graphs


def _batch(seed):
    rng = torch.Generator().manual_seed(seed)
    shape = 2, 16
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng),
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, 0.99),
        torch.zeros(shape, dtype=torch.int64),
    )


@pytest.mark.parametrize("grow_after", [None, 6])
def test_captured_updates_are_the_same_updates(grow_after):
    plain, expected, _ = _updated(False, 12, grow_after)
    captured, losses, graphs = _updated(True, 12, grow_after)
    assert losses == expected
    assert all(
        torch.equal(a, b) for a, b in zip(plain.critics.parameters(), captured.critics.parameters(), strict=True)
    )
    assert all(torch.equal(a, b) for a, b in zip(plain.actor.parameters(), captured.actor.parameters(), strict=True))
    assert [graph.captures for graph in graphs] == ([1] if grow_after is None else [1, 1])


def test_a_removed_module_begins_a_new_graph():
    agent, _, graphs = _updated(True, 6)
    agent.grow()
    agent.shrink()
    routing = Evolver.fresh(build_config(preset("smoke")).evolution, list(SUITE.names), 1).acting_routing()
    for seed in range(6, 12):
        agent.update(_batch(seed), routing, routing)
    assert [graph.captures for graph in graphs] == [1, 1]


@pytest.mark.parametrize("genotypes", [1, 16])
def test_captured_updates_take_two_routings_of_one_genotype_or_one_for_each_transition(genotypes):
    config = build_config(preset("smoke"), {"sac": {"batch_size": 16}})
    evolver = Evolver.fresh(config.evolution, list(SUITE.names), 1)
    rng, ends = np.random.default_rng(1), []
    drawn = [evolver.update_routing(torch.zeros(2, 16, dtype=torch.int64), rng) for _ in range(2 * genotypes)]
    actor, critic = (
        Routing(torch.cat([r.inputs for r in half], 1), torch.cat([r.output for r in half], 1), drawn[0].stages)
        for half in (drawn[:genotypes], drawn[genotypes:])
    )
    for captured in (False, True):
        agent = make_agent(config, SUITE)
        if captured:
            agent._step = Captured(agent._gradient_step, RecordedGraph)
        for seed in range(6):
            agent.update(_batch(seed), actor, critic)
        ends.append([*agent.actor.parameters(), *agent.critics.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"mega"}))
def test_captured_updates_of_other_architectures_need_no_host(architecture):
    _, expected, _ = _updated(False, 5, architecture=architecture)
    _, losses, [graph] = _updated(True, 5, architecture=architecture)
    assert (losses, graph.captures) == (expected, 1)


@pytest.mark.parametrize("simultaneous", [False, True])
def test_captured_updates_of_residual_critics_need_no_host(simultaneous):
    settings = {"critic": {"kind": "residual", "width": 8}, "sac": {"batch_size": 16, "simultaneous": simultaneous}}
    _, expected, _ = _updated(False, 5, **settings)
    _, losses, [graph] = _updated(True, 5, **settings)
    assert (losses, graph.captures) == (expected, 1)


LEARNER = {
    "critic": {"width": 8, "blocks": 1, "layers": 2, "task_embedding": 3},
    "value": {"bins": 7, "twins": "mean"},
    "normalise": {"observations": True, "rewards": True},
}


@pytest.mark.parametrize("kind", ["genotype", "residual", "mlp"])
@pytest.mark.parametrize("loss", ["two-hot", "hl-gauss"])
def test_captured_updates_of_every_critic_and_prediction_need_no_host(kind, loss):
    parts = {name: {**group, **({"kind": kind} if name == "critic" else {})} for name, group in LEARNER.items()}
    parts["value"]["loss"] = loss
    _, expected, _ = _updated(False, 5, **parts)
    _, losses, [graph] = _updated(True, 5, **parts)
    assert (losses, graph.captures) == (expected, 1)


def test_a_graph_sees_statistics_that_change_after_its_capture():
    ends = []
    for captured in (False, True):
        config = build_config(preset("smoke"), {"sac": {"batch_size": 16}}, LEARNER)
        agent, found, places = make_agent(config, SUITE), [], set()
        if captured:
            agent._step = Captured(agent._gradient_step, RecordedGraph)
            agent._act = Captured(agent._draw_actions, RecordedGraph)
        routing = Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()
        for seed in range(8):
            agent.normaliser._moments.add(_batch(seed).observations[:, 0].numpy(), np.ones(2, bool))
            agent.normaliser._returns.largest += seed
            agent.normaliser._publish()
            places.add(tuple(getattr(agent.normaliser, name).data_ptr() for name in ("_mean", "_scale", "_largest")))
            found.append(float(agent.update(_batch(seed), routing, routing)["critic_loss"]))
            found += agent.act(_batch(seed).observations[:, 0], routing).flatten().tolist()
        assert len(places) == 1  # a graph reads them there
        ends.append(found)
    assert ends[0] == ends[1]


def test_what_is_on_the_device_already_is_not_copied():
    agent = make_agent(build_config(preset("smoke")), SUITE)
    agent.device = torch.device("cuda")
    there = SimpleNamespace(device=torch.device("cuda", 0))  # as tensors on "cuda" name their device
    assert agent.to_device(there) is there


def test_captured_actions_are_the_same_actions():
    config = build_config(preset("smoke"), {"sac": {"batch_size": 16}})
    routing = Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()._replace(stages=(1, 2))
    ends = []
    for captured in (False, True):
        agent = make_agent(config, SUITE)
        if captured:
            agent._act = Captured(agent._draw_actions, RecordedGraph)
        ends.append([agent.act(_batch(seed).observations[:, 0], routing) for seed in range(6)])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_captured_updates_give_weights_the_same_gradients_and_leave_out_the_same_tasks():
    config = build_config(preset("smoke"), {"sac": {"batch_size": 16, "mask_loss_above": 50.0}})
    inputs, output, stages = Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()
    ends = []
    for captured in (False, True):
        agent, found = make_agent(config, SUITE), []
        if captured:
            agent._step = Captured(agent._gradient_step, RecordedGraph)
        for seed in range(6):
            batch = _batch(seed)
            batch.rewards[seed % 2] *= 100
            routing = Routing(inputs.clone().requires_grad_(), output.clone().requires_grad_(), stages)
            masked = agent.update(batch, routing, routing)["masked"]
            assert masked.argmax() == seed % 2
            assert routing.output.grad[1 - seed % 2].abs().max() > 0
            found += [masked, routing.inputs.grad, routing.output.grad]
        ends.append(found)
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_graph_is_captured_once_and_again_for_another_key_or_shape():
    graphs = []
    doubled = Captured(
        lambda inputs: {"y": inputs[1] * inputs[0]}, lambda: graphs.append(RecordedGraph()) or graphs[-1]
    )
    for key, size in ((2, 3), (5, 3), (5, 4)):
        for value in range(6):
            assert doubled((key, torch.full((size,), float(value))))["y"].tolist() == [key * value] * size
    assert [graph.captures for graph in graphs] == [1, 1, 1]


def test_outputs_of_an_earlier_replay_are_not_overwritten():
    doubled = Captured(lambda x: {"y": x * 2}, RecordedGraph)
    kept = [doubled(torch.tensor(float(value)))["y"] for value in range(6)]
    assert [float(value) for value in kept] == [0, 2, 4, 6, 8, 10]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [None, "genotype", "residual", "mlp"])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_gpus_losses_are_those_of_the_cpu_within_rounding(precision, kind):
    learner = {}
    if kind is not None:
        learner = LEARNER | {"critic": LEARNER["critic"] | {"kind": kind}, "value": {"loss": "hl-gauss", "bins": 7}}
    settings = {"sac": {"batch_size": 64, "precision": precision}, "compute": {"device": "cuda"}}
    there = make_agent(build_config(preset("smoke"), settings, learner), SUITE)
    config = build_config(preset("smoke"), {"sac": {"batch_size": 64}}, learner)
    here = make_agent(config, SUITE)
    routing = Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()._replace(stages=(1, 2))
    assert isinstance(there._step, Captured)
    assert isinstance(there._step._new_recorder(), CudaGraph)
    for seed in range(20):
        rng = torch.Generator().manual_seed(seed)
        x = torch.randn(4, 2, 64, 39, generator=rng)
        batch = Batch(x[0], x[1, ..., :4].tanh(), x[2, ..., 0], x[3], torch.full((2, 64), 0.99), torch.zeros(2, 64))
        losses = [agent.update(batch, routing, routing) for agent in (here, there)]
        for name in losses[0]:
            tolerance = 1e-3 if precision == "fp32" else 5e-2
            torch.testing.assert_close(losses[1][name].cpu(), losses[0][name], rtol=tolerance, atol=tolerance)
        actions = [agent.act(batch.observations[:, 0], routing) for agent in (here, there)]
        torch.testing.assert_close(actions[1], actions[0], rtol=tolerance, atol=tolerance)
