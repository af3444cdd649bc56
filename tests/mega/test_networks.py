import copy

import numpy as np
import pytest
import torch

from genoevo_mega.config.networks import Network
from genoevo_mega.networks import ModularNetwork, Routing, modular_fused
from genoevo_mega.networks.modular_fused import FusedModular

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


def _by_hand():
    """A network of width 1 with numbers to be followed by hand: two tasks, of stages 2 and 1, and two rows each.

    h_0 = relu(x_1 + 2 x_2 + bias of the task), which is 4 and 0 for task 1 (bias 1), 2 and 0 for task 2 (bias -1).
    h_1 = relu(2 relu(h_0 / 2 + 1) - 1), which is 5 and 1, 3 and 1.
    h_2 = 4 relu(5.25 - (h_0 + 3 h_1) / 4), which is 2 and 18 for task 1.
    The output is 2 (o_0 h_0 + o_1 h_1 + o_2 h_2) - 0.5.
    """
    network = ModularNetwork(
        2,
        1,
        tasks=2,
        modules=2,
        ensemble=1,
        config=Network(width=1, hidden=1, embedding_layers=1),
        rng=torch.Generator(),
    )
    numbers = {
        network.core: [[1, -1], [1, 2], [0], [2], [-0.5]],
        network.pool[0]: [[0.5], [1], [2], [-1]],
        network.pool[1]: [[-1], [5.25], [4], [0]],
    }
    with torch.no_grad():
        for block, values in numbers.items():
            for tensor, value in zip(block.tensors(), values, strict=True):
                tensor.copy_(torch.tensor(value, dtype=torch.float32).view(tensor.shape))
    x = torch.tensor([[1.0, 1.0], [-3.0, 0.0]]).expand(2, 2, 2)
    inputs = torch.tensor([[[[0.25, 0.75]]], [[[0.0, 0.0]]]])
    output = torch.tensor([[[0.25, 0.25, 0.5]], [[0.5, 0.5, 0.0]]])
    return network, x, Routing(inputs, output, (2, 1))


@pytest.mark.parametrize("fused", [FusedModular(), None])
def test_the_output_is_the_papers_formula_computed_by_hand(fused):
    network, x, routing = _by_hand()
    network.fused = fused
    assert network(x, routing).tolist() == [[[[6.0], [18.0]], [[4.5], [0.5]]]]


@pytest.mark.parametrize("fused", [FusedModular(), None])
def test_a_row_may_have_a_genotype_of_its_own(fused):
    network, x, routing = _by_hand()
    network.fused = fused
    routing = routing.map(lambda weights: weights.repeat_interleave(2, dim=1))
    routing.output[0, 1] = torch.tensor([0.0, 0.0, 1.0])
    routing.inputs[0, 0] = torch.tensor([[1.0, 0.0]])  # h_2 = 4 relu(5.25 - h_0) = 5
    assert network(x, routing).tolist() == [[[[9.0], [35.5]], [[4.5], [0.5]]]]


def test_weights_above_a_tasks_stage_count_for_nothing():
    network, x, routing = _by_hand()
    routing.output[1, 0, 2], routing.inputs[1] = 7.0, 7.0
    outputs = []
    for network.fused in (FusedModular(), None):
        outputs.append(network(x, routing).tolist())
    assert outputs == [[[[[6.0], [18.0]], [[4.5], [0.5]]]]] * 2


def test_the_plain_network_lets_a_module_that_overflows_spoil_the_tasks_that_do_not_use_it():
    network, x, routing = _by_hand()
    with torch.no_grad():
        network.pool[1].flat.fill_(torch.inf)
    network.fused = None
    assert network(x, routing)[0, 1].isnan().all()
    network.fused = FusedModular()
    assert network(x, routing)[0, 1].tolist() == [[4.5], [0.5]]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_network_that_is_traced_is_the_plain_one():
    network, x, routing = _by_hand()
    network.requires_grad_(False)
    traced = torch.jit.trace(lambda given: network(given, routing), x, check_trace=False)
    assert traced(2 * x).tolist() == network(2 * x, routing).tolist()
    assert "FusedModular" not in str(traced.graph)
    assert "_Pass" not in str(traced.graph)


def _plain(network):
    """The same network, parameters included, without the fast path."""
    plain = copy.copy(network)
    plain.fused = None
    return plain


@pytest.mark.parametrize("rows", [1, BATCH])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_fused_outputs_are_those_of_the_plain_network_for_mixed_stages(rows, ensemble):
    network, x, routing = _network(ensemble), _x(), _routing(rows=rows)
    out = network(x, routing)
    assert out.shape == (ensemble, TASKS, BATCH, OUTPUTS)
    torch.testing.assert_close(out, _plain(network)(x, routing), rtol=1e-4, atol=1e-6)


def _learnt(routing):
    """The same weights in float64, which ask for a gradient."""
    return Routing(*(weights.double().requires_grad_() for weights in routing[:2]), routing.stages)


@pytest.mark.parametrize("stages", [STAGES, (5, 5, 5, 5), (2, 1, 1, 1)])
@pytest.mark.parametrize("rows", [1, BATCH])
def test_fused_outputs_and_gradients_are_those_of_the_plain_network(rows, stages):
    network, routing = _network(precision=torch.float64).double(), _learnt(_routing(stages, rows=rows))
    x = _x().double().requires_grad_()
    found = []
    for compute in (network, _plain(network)):
        network.zero_grad()
        x.grad = routing.inputs.grad = routing.output.grad = None
        out = compute(x, routing)
        out.square().sum().backward()
        found.append([out, x.grad, routing.inputs.grad, routing.output.grad, *(p.grad for p in network.parameters())])
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, BATCH])
def test_a_frozen_network_passes_gradients_to_the_weights_that_ask_for_them(rows):
    network, routing = _network(precision=torch.float64).double().requires_grad_(False), _learnt(_routing(rows=rows))
    gradients = torch.autograd.grad(network(_x().double(), routing).square().sum(), routing[:2])
    plain = torch.autograd.grad(_plain(network)(_x().double(), routing).square().sum(), routing[:2])
    for mine, theirs in zip(gradients, plain, strict=True):
        assert mine.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_weights_that_ask_for_no_gradient_cost_nothing_in_the_backward_pass(monkeypatch):
    monkeypatch.setattr(modular_fused._Mixing, "gradients_of_weights", lambda *_: pytest.fail("nobody has asked"))
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
