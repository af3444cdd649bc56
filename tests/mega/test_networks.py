import numpy as np
import pytest
import torch

from genoevo_mega.config.networks import Network
from genoevo_mega.networks import ModularNetwork, Routing, modular

SIZES = Network(width=12, hidden=7)
TASKS, BATCH, INPUTS, OUTPUTS, MODULES = 4, 5, 6, 3, 5
STAGES = (3, 1, 5, 3)


def _network(ensemble=2, modules=MODULES, seed=0, precision=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    settings = {"tasks": TASKS, "modules": modules, "ensemble": ensemble, "config": SIZES, "precision": precision}
    return ModularNetwork(INPUTS, OUTPUTS, rng=rng, **settings)


def _routing(stages=STAGES, rows=1, seed=1, modules=MODULES):
    rng = np.random.default_rng(seed)
    inputs = np.zeros((TASKS, rows, modules - 1, modules), np.float32)
    output = np.zeros((TASKS, rows, modules + 1), np.float32)
    for task, stage in enumerate(stages):
        for module in range(2, stage + 1):
            inputs[task, :, module - 2, :module] = rng.dirichlet(np.ones(module), rows)
        output[task, :, : stage + 1] = rng.dirichlet(np.ones(stage + 1), rows)
    return Routing(torch.from_numpy(inputs), torch.from_numpy(output), stages)


def _x(seed=2, rows=BATCH):
    return torch.randn(TASKS, rows, INPUTS, generator=torch.Generator().manual_seed(seed))


def _layers(network):
    """Task bias, and (weight, bias) pairs: embedding, pool by module, head."""
    task_bias, *core = network.core.tensors()
    pairs = list(zip(core[::2], core[1::2], strict=True))
    pool = [[tuple(tensors[:2]), tuple(tensors[2:])] for tensors in (module.tensors() for module in network.pool)]
    return task_bias, pairs[:-1], pool, pairs[-1]


def _reference(network, x, routing, member, task):
    """The rules of the agent for one task and one member of the ensemble, in float64 numpy."""

    def linear(layer, v):
        weight, bias = (tensor[member].detach().double().numpy() for tensor in layer)
        return v @ weight + bias

    def relu(v):
        return np.maximum(v, 0)

    task_bias, (first, *others), pool, head = _layers(network)
    h = relu(linear(first, x[task].double().numpy()) + task_bias[member, task].detach().double().numpy())
    for layer in others:
        h = relu(linear(layer, h))
    hidden = [h]
    inputs, output = routing.inputs[task].double().numpy(), routing.output[task].double().numpy()
    for k in range(1, routing.stages[task] + 1):
        mixed = h if k == 1 else sum(inputs[:, k - 2, j, None] * hidden[j] for j in range(k))
        inner, outer = pool[k - 1]
        hidden.append(relu(linear(outer, relu(linear(inner, mixed)))))
    return linear(head, sum(output[:, j, None] * hidden[j] for j in range(len(hidden))))


@pytest.mark.parametrize("rows", [1, BATCH])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_the_output_is_that_of_the_rules_for_mixed_stages(rows, ensemble):
    network, x, routing = _network(ensemble), _x(), _routing(rows=rows)
    out = network(x, routing)
    assert out.shape == (ensemble, TASKS, BATCH, OUTPUTS)
    for member in range(ensemble):
        for task in range(TASKS):
            expected = _reference(network, x, routing, member, task)
            np.testing.assert_allclose(out[member, task].detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def _written_out(network, x, routing):
    """The same rules task by task with autograd's own derivatives."""
    task_bias, (first, *others), pool, head = _layers(network)

    def linear(layer, v):
        return v @ layer[0][member] + layer[1][member]

    members = []
    for member in range(network.ensemble):
        outputs = []
        for task, stage in enumerate(routing.stages):
            h = torch.relu(linear(first, x[task]) + task_bias[member, task])
            for layer in others:
                h = torch.relu(linear(layer, h))
            hidden = [h]
            for k in range(1, stage + 1):
                h = hidden[0]
                if k > 1:
                    h = sum(routing.inputs[task, :, k - 2, j, None] * hidden[j] for j in range(k))
                for layer in pool[k - 1]:
                    h = torch.relu(linear(layer, h))
                hidden.append(h)
            outputs.append(linear(head, sum(routing.output[task, :, j, None] * hidden[j] for j in range(stage + 1))))
        members.append(torch.stack(outputs))
    return torch.stack(members)


def _learnt(routing):
    """The same weights in float64, which ask for a gradient."""
    return Routing(*(weights.double().requires_grad_() for weights in routing[:2]), routing.stages)


@pytest.mark.parametrize("stages", [STAGES, (5, 5, 5, 5), (2, 1, 1, 1)])
@pytest.mark.parametrize("rows", [1, BATCH])
def test_gradients_are_those_of_the_written_out_rules(rows, stages):
    network, routing = _network(precision=torch.float64).double(), _learnt(_routing(stages, rows=rows))
    x = _x().double().requires_grad_()
    found = []
    for compute in (network, lambda *args: _written_out(network, *args)):
        network.zero_grad()
        x.grad = routing.inputs.grad = routing.output.grad = None
        compute(x, routing).square().sum().backward()
        found.append([x.grad, routing.inputs.grad, routing.output.grad, *(p.grad for p in network.parameters())])
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, BATCH])
def test_a_frozen_network_passes_gradients_to_the_weights_that_ask_for_them(rows):
    network, routing = _network(precision=torch.float64).double().requires_grad_(False), _learnt(_routing(rows=rows))
    gradients = torch.autograd.grad(network(_x().double(), routing).square().sum(), routing[:2])
    written_out = torch.autograd.grad(_written_out(network, _x().double(), routing).square().sum(), routing[:2])
    for mine, theirs in zip(gradients, written_out, strict=True):
        assert mine.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_weights_that_ask_for_no_gradient_cost_nothing_in_the_backward_pass(monkeypatch):
    monkeypatch.setattr(modular._Mixing, "gradients_of_weights", lambda *_: pytest.fail("nobody has asked"))
    network, x = _network(), _x().requires_grad_()
    network(x, _routing()).sum().backward()
    assert x.grad.abs().max() > 0


def test_bf16_agrees_with_fp32_within_its_rounding_and_keeps_fp32_outside():
    found = []
    for precision in (torch.float32, torch.bfloat16):
        network, x = _network(precision=precision), _x(rows=200).requires_grad_()
        inputs, output, stages = _routing()
        out = network(x, Routing(inputs.requires_grad_(), output.requires_grad_(), stages))
        out.square().sum().backward()
        found.append([out.detach(), x.grad, inputs.grad, output.grad, *(p.grad for p in network.parameters())])
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert not torch.equal(exact, rounded)
        # Eight bits, 0.4 %, at each of ten operations in a row; and units near 0 that are on in one of them alone.
        assert (exact - rounded).norm() < 0.08 * exact.norm()


def test_operations_are_two_for_every_weight_that_a_row_meets():
    network = _network(ensemble=2)
    core = INPUTS * 12 + 12 * 12 + 12 * OUTPUTS
    assert network.operations((1, 3)) == 2 * 2 * (2 * core + 4 * 2 * 12 * 7)


def test_weights_that_change_between_forward_and_backward_are_noticed():
    network = _network()
    loss = network(_x(), _routing()).sum()
    with torch.no_grad():
        network.core.flat.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_modules_are_trained_where_the_core_is_frozen():
    network = _network()
    network.core.requires_grad_(False)
    network(_x(), _routing((5, 5, 5, 5))).sum().backward()
    assert network.core.flat.grad is None
    assert all(module.flat.grad.abs().max() > 0 for module in network.pool)


def test_a_frozen_network_passes_gradients_to_its_input_alone():
    network, routing, x = _network().requires_grad_(False), _routing(), _x().requires_grad_()
    network(x, routing).sum().backward()
    assert x.grad.abs().max() > 0
    assert all(p.grad is None for p in network.parameters())


def test_a_task_does_not_touch_modules_above_its_stage():
    network, routing = _network(), _routing((3, 3, 3, 3))
    network(_x(), routing).sum().backward()
    used = [module.flat.grad is not None for module in network.pool]
    assert used == [True, True, True, False, False]


def test_growth_keeps_every_parameter_object_and_adds_one_module():
    network = _network(modules=3)
    before = dict(network.named_parameters())
    network.grow(torch.Generator().manual_seed(5))
    after = dict(network.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert set(after) - set(before) == {"pool.3.flat"}
    assert network.parameter_count == sum(p.numel() for p in after.values())


def test_tasks_below_the_new_stage_compute_exactly_what_they_did_before_growth():
    network, x, routing = _network(modules=3), _x(), _routing((3, 1, 3, 2))
    before = network(x, routing)
    network.grow(torch.Generator().manual_seed(5))
    after = network(x, routing._replace(stages=(3, 1, 4, 2)))
    for task in (0, 1, 3):
        assert torch.equal(after[:, task], before[:, task])


def test_members_of_the_ensemble_are_independent():
    network = _network()
    out = network(_x(), _routing())
    out[0].sum().backward()
    for block in (network.core, *network.pool):
        of_first, of_second = zip(*block.tensors(block.flat.grad), strict=True)
        assert any(gradient.abs().max() > 0 for gradient in of_first)
        assert all(gradient.abs().max() == 0 for gradient in of_second)
    assert not torch.allclose(out[0], out[1])


def test_the_same_generator_gives_the_same_network():
    first, second = _network(seed=3).state_dict(), _network(seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_task_is_told_to_the_network():
    network, routing = _network(), _routing((1, 1, 1, 1))
    same = Routing(routing.inputs[:1].expand(4, -1, -1, -1), routing.output[:1].expand(4, -1, -1), routing.stages)
    out = network(_x()[:1].expand(4, -1, -1), same)
    assert not torch.allclose(out[:, 0], out[:, 1])


def test_preset_sizes_have_the_number_of_parameters_of_the_rules():
    rng = torch.Generator().manual_seed(0)
    network = ModularNetwork(39, 8, tasks=10, modules=3, ensemble=1, config=Network(), rng=rng)
    embedding = (39 + 10) * 400 + 400 + 400 * 400 + 400
    module = 400 * 128 + 128 + 128 * 400 + 400
    assert network.parameter_count == embedding + 3 * module + 400 * 8 + 8
