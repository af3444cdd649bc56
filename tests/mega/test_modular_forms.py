"""Modules that are plain or residual, with LayerNorm and without: the network, its policies and their files."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from genoevo_mega.agents.cuda_graph import Captured
from genoevo_mega.config.networks import Network
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.networks import ModularNetwork, Routing, modular
from genoevo_mega.networks.modular_layers import Form, ModuleLayers
from genoevo_mega.policies.export import export_tasks
from genoevo_mega.training.build import make_agent, make_structure
from tests.mega.test_capture import SUITE, RecordedGraph, _batch

FORMS = [("plain", False), ("plain", True), ("residual", False), ("residual", True)]
CHANGED = FORMS[1:]


@pytest.fixture(scope="module", params=FORMS, ids=str)
def trained(request, untrained):
    """A small run, without a bias of 0 in its actor."""
    modules, layer_norm = request.param
    kind = {"decoding": {"kind": "sparse"}} if layer_norm else {}
    genotypes = {"start_stage": 4, "precision": 1}
    made = untrained(
        "smoke", 4, network={"modules": modules}, layer_norm=layer_norm, genotypes=genotypes, seed=3, **kind
    )
    rng = torch.Generator().manual_seed(1)
    for parameter in made.agent.actor_ema.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return made


def _observations(trained, rows=200):
    return torch.randn(2, rows, trained.suite.observation_size, generator=torch.Generator().manual_seed(7))


def _ln(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def _relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize("slots", [True, False])
@pytest.mark.parametrize(("modules", "layer_norm"), FORMS)
def test_the_network_is_the_formulas_in_numpy(modules, layer_norm, slots):
    rng = torch.Generator().manual_seed(4)
    sizes = Network(width=9, hidden=5, modules=modules)
    network = ModularNetwork(
        6, 3, tasks=2, modules=2, ensemble=1, config=sizes, rng=rng, layer_norm=layer_norm, precision=torch.float64
    ).double()
    network.slots, network.fused = slots, None
    for parameter in network.parameters():  # no bias is 0
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    inputs = torch.tensor([[[[0.25, 0.75]]], [[[0.5, 0.5]]]])
    routing = Routing(inputs, torch.tensor([[[0.25, 0.25, 0.5]], [[0.125, 0.5, 0.375]]]), (2, 2))
    x = torch.randn(2, 7, 6, generator=rng)
    out = network(x.double(), routing).detach().numpy()[0]

    task_bias, *core = [tensor.detach().numpy()[0] for tensor in network.core.tensors()]
    pool = [[tensor.detach().numpy()[0] for tensor in module.tensors()] for module in network.pool]
    before_relu = _ln if layer_norm else (lambda x: x)
    for task in range(2):
        h = _relu(before_relu(x[task].double().numpy() @ core[0] + core[1] + task_bias[task]))
        hidden = [_relu(before_relu(h @ core[2] + core[3]))]
        for inner, inner_bias, outer, outer_bias in pool:
            weights = inputs[task, 0, 0].numpy() if len(hidden) > 1 else [1.0]
            m = sum(w * h for w, h in zip(weights, hidden, strict=True))
            if modules == "residual":
                hidden.append(m + _relu(_ln(m) @ inner + inner_bias) @ outer + outer_bias)
            else:
                inside = _relu(before_relu(m @ inner + inner_bias))
                hidden.append(_relu(before_relu(inside @ outer + outer_bias)))
        mixed = sum(w * h for w, h in zip(routing.output[task, 0].numpy(), hidden, strict=True))
        expected = (mixed if (modules, layer_norm) == FORMS[0] else _ln(mixed)) @ core[4] + core[5]
        np.testing.assert_allclose(out[task], expected, rtol=1e-10)


def test_a_new_residual_module_is_close_to_the_identity():
    rng = torch.Generator().manual_seed(0)
    m = torch.randn(2, 3, 50, 64, generator=rng)
    module = ModuleLayers(2, 64, 32, Form(residual=True, layer_norm=False), rng)
    assert 0 < (module(m) - m).norm() < 0.2 * m.norm()


def test_initial_weights_of_plain_modules_do_not_depend_on_layer_norm():
    layers = [
        ModuleLayers(1, 8, 4, Form(residual=False, layer_norm=norm), torch.Generator().manual_seed(2))
        for norm in (False, True)
    ]
    assert torch.equal(layers[0].flat, layers[1].flat)


def test_a_tasks_policy_computes_what_the_network_of_all_tasks_does(trained):
    observations = _observations(trained)
    expected = trained.greedy(observations)
    assert not torch.allclose(expected[0], expected[1], atol=1e-2)
    for task in range(2):
        assert torch.allclose(trained.policy(task)(observations[task]), expected[task], atol=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_file_gives_the_actions_of_the_network(trained, kind, tmp_path):
    observations = _observations(trained)
    expected = trained.greedy(observations).numpy()
    for task, one in enumerate(export_tasks(trained, tmp_path / "out", kind=kind)):
        own, path = observations[task], tmp_path / "out" / one.file
        if kind == "onnx":
            actions = onnxruntime.InferenceSession(path).run(None, {"observation": own.numpy()})[0]
        else:
            actions = torch.jit.load(path)(own).numpy()
        assert np.abs(actions - expected[task]).max() < 1e-5
        assert one.difference < 1e-5


def test_multiply_adds_are_those_of_the_layers_and_of_the_weights_in_the_file(trained, tmp_path):
    for one in export_tasks(trained, tmp_path / "out"):
        graph = onnx.load(tmp_path / "out" / one.file).graph
        sizes = {constant.name: int(np.prod(constant.dims)) for constant in graph.initializer}
        products = sum(sizes[node.input[1]] for node in graph.node if node.op_type == "Gemm")
        scaled = sum(node.op_type == "Mul" and ".weight" in node.input[1] for node in graph.node)
        assert one.multiply_adds == products + scaled * trained.config.network.width


def test_a_policy_shows_the_activity_of_its_modules(trained):
    hidden = trained.policy(1).hidden(_observations(trained)[1])
    assert list(hidden) == trained.policy(1).graph.numbers
    assert all(float(h.abs().mean()) > 0 for h in hidden.values())


@pytest.mark.parametrize(("modules", "layer_norm"), CHANGED)
def test_captured_updates_need_no_host(monkeypatch, modules, layer_norm):
    monkeypatch.setattr(modular, "usable", lambda x, routing: False)  # as on CUDA
    changed = {"network": {"modules": modules}, "layer_norm": layer_norm, "sac": {"batch_size": 16}}
    config = build_config(preset("smoke"), changed)
    ends = []
    for captured in (False, True):
        agent = make_agent(config, SUITE)
        routing = make_structure(config, list(SUITE.names), 1).acting_routing()._replace(stages=(1, 2))
        if captured:
            agent._step = Captured(agent._gradient_step, RecordedGraph)
        for seed in range(6):
            agent.update(_batch(seed), routing, routing)
        ends.append([*agent.actor.parameters(), *agent.critics.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_shrinking_takes_back_the_last_growth():
    network = ModularNetwork(
        6, 3, tasks=2, modules=2, ensemble=1, config=Network(width=9, hidden=5), rng=torch.Generator()
    )
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    parameters = list(network.parameters())
    network.grow(torch.Generator().manual_seed(1))
    network.shrink()
    assert all(mine is theirs for mine, theirs in zip(network.parameters(), parameters, strict=True))
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
