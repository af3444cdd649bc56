"""Compiled functions: what they compute is the definitions' within rounding."""

import pytest
import torch

from genoevo_mega.agents import compiled, distribution
from genoevo_mega.agents.optimizers import ClippedAdam, polyak_update
from genoevo_mega.agents.value import Prediction
from genoevo_mega.config.critic import Critic, Value
from genoevo_mega.config.networks import Network
from genoevo_mega.networks import ModularNetwork, ResidualNetwork, Routing
from tests.mega.test_slots import _routing

TASKS, ROWS, INPUTS = 7, 6, 5
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def _perturbed(network):
    rng = torch.Generator().manual_seed(3)
    for parameter in network.parameters():  # no bias is 0
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return network


def _modular(modules, ensemble=2, layer_norm=True, outputs=3):
    settings = {"tasks": TASKS, "modules": modules, "ensemble": ensemble, "layer_norm": layer_norm, "sparse": True}
    sizes = Network(width=12, hidden=7, modules="residual")
    return _perturbed(ModularNetwork(INPUTS, outputs, config=sizes, rng=torch.Generator().manual_seed(0), **settings))


def _residual(outputs=3, blocks=2):
    rng, sizes = torch.Generator().manual_seed(0), Critic(width=20, blocks=blocks)
    return _perturbed(ResidualNetwork(INPUTS, outputs, tasks=TASKS, ensemble=2, config=sizes, rng=rng))


def _x(rows=ROWS):
    return torch.randn(TASKS, rows, INPUTS, generator=torch.Generator().manual_seed(2))


def _check(network, routing, rows=ROWS):
    found = []
    for network.compiled in (True, False):
        x = _x(rows).requires_grad_()
        out = network(x, routing)
        assert ("Pass" in type(out.grad_fn).__name__) == network.compiled
        found.append([out, *torch.autograd.grad(out.square().sum(), [x, *network.parameters()], allow_unused=True)])
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=2e-5, atol=2e-5 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("stages", "density"),
    [
        ((1,) * TASKS, 0.5),
        ((3, 1, 2, 3, 3, 2, 1), 0.5),
        ((3, 1, 2, 3, 3, 2, 1), 1.0),
        ((24, 3, 11, 24, 7, 1, 20), 0.2),
    ],
    ids=str,
)
def test_a_modular_network_and_its_gradients_are_the_definitions(stages, density, outputs, layer_norm):
    network = _modular(max(stages) + 1, 2, layer_norm, outputs)
    _check(network, _routing(stages, density, dtype=torch.float32))


def test_several_genotypes_of_a_task_compute_some_rows_each():
    several = [_routing((4, 2, 3, 4, 1, 4, 2), 0.5, seed, torch.float32) for seed in range(3)]
    inputs, output = (torch.cat([one[part] for one in several], dim=1) for part in range(2))
    _check(_modular(4), Routing(inputs, output, several[0].stages))


def test_tasks_that_reach_no_module_read_the_embedding_alone():
    routing = _routing((4,) * TASKS, 0.5, dtype=torch.float32)
    routing.output[[0, 3]] = torch.eye(5)[0]
    _check(_modular(4), routing)


@pytest.mark.parametrize("outputs", [1, 2, 21])
@pytest.mark.parametrize("blocks", [1, 3])
def test_a_residual_network_and_its_gradients_are_the_definitions(outputs, blocks):
    _check(_residual(outputs, blocks), None)


@pytest.mark.parametrize("network", [_modular(3), _residual()], ids=["modular", "residual"])
def test_a_frozen_network_passes_gradients_to_its_input_alone(network):
    routing, found = _routing((3,) * TASKS, 0.5, dtype=torch.float32), []
    network.requires_grad_(False)
    for network.compiled in (True, False):
        x = _x().requires_grad_()
        found.append(torch.autograd.grad(network(x, routing).square().sum(), x)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", [_modular(3), _residual()], ids=["modular", "residual"])
def test_weights_that_change_between_forward_and_backward_are_noticed(network):
    network.compiled = True
    out = network.requires_grad_(True)(_x(), _routing((3,) * TASKS, 0.5, dtype=torch.float32))
    with torch.no_grad():
        network.core.flat.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("network", [_modular(3), _residual()], ids=["modular", "residual"])
def test_what_is_not_a_number_is_passed_on(network):
    routing, x = _routing((3,) * TASKS, 0.5, dtype=torch.float32), _x()
    x[2, 1, 0] = float("nan")
    for network.compiled in (True, False):
        spoilt = network(x, routing).isnan().any(-1)
        assert spoilt[:, 2, 1].all()
        assert spoilt.sum() == 2


@pytest.mark.parametrize("bounds", [(-1.0, 0.5), (-20.0, 2.0), (-100.0, 20.0)])
@pytest.mark.parametrize("actions", [1, 3, 300])
def test_actions_log_probabilities_and_their_gradients_are_the_definitions(actions, bounds):
    rng, found, shape = torch.Generator().manual_seed(0), [], (3, 60)
    output = torch.randn(*shape, 2 * actions, generator=rng) * torch.tensor([0.01, 2.0, 40.0])[:, None, None]
    noise = torch.randn(*shape, actions, generator=rng)
    weights = torch.randn(*shape, actions + 1, generator=rng)
    for draw in (compiled.tanh_gaussian, distribution.tanh_gaussian):
        leaf = output.clone().requires_grad_()
        action, log_prob = draw(leaf, noise, bounds)
        total = (action * weights[..., :-1]).sum() + (log_prob * weights[..., -1]).sum()
        found.append([action.detach(), log_prob.detach(), *torch.autograd.grad(total, leaf)])
    for mine, theirs in zip(*found, strict=True):
        largest = float(theirs.abs().max())
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6 * max(1.0, largest))


@pytest.mark.parametrize("place", [0, 2], ids=["mean", "log_std"])
@pytest.mark.parametrize("wrong", [float("nan"), float("-inf"), float("inf")])
def test_an_actors_output_that_is_not_finite_has_no_log_probability(wrong, place):
    output = torch.zeros(3, 4)
    output[1, place] = wrong
    _, log_prob = compiled.tanh_gaussian(output, torch.ones(3, 2))
    bounded = place == 2 and wrong == wrong
    assert log_prob.isnan().tolist() == [False, not bounded, False]


def _losses(prediction, outputs, target, weights):
    leaf = outputs.clone().requires_grad_()
    parts, combine = prediction.compared(leaf, target)
    loss, value = combine(*parts), prediction.value(leaf)
    return [loss, value, *(torch.autograd.grad((each * weights).sum(), leaf)[0] for each in (loss, value))]


@pytest.mark.parametrize("loss", ["hl-gauss", "two-hot", "squared"])
def test_values_losses_and_their_gradients_are_the_definitions(loss):
    rng, settings = torch.Generator().manual_seed(0), Value(loss=loss, bins=51)
    outputs = 5 * torch.randn(2, 3, 8, Prediction(settings).outputs, generator=rng)
    target, weights = 8 * torch.randn(3, 8, generator=rng), torch.randn(2, 3, 8, generator=rng)
    kinds = compiled.CompiledPrediction(settings), Prediction(settings)
    for mine, theirs in zip(*(_losses(kind, outputs, target, weights) for kind in kinds), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_masked_tasks_cross_entropy_has_no_gradient_whatever_its_numbers_are():
    outputs, target, weights = torch.zeros(2, 2, 4, 11), torch.zeros(2, 4), torch.ones(2, 2, 4)
    outputs[:, 0, 0, 0], target[0, 1], weights[:, 0] = float("nan"), float("nan"), 0
    loss, value, gradient, _ = _losses(
        compiled.CompiledPrediction(Value(loss="hl-gauss", bins=11)), outputs, target, weights
    )
    assert loss[:, 0, :2].isnan().all()
    assert value[:, 0, 0].isnan().all()
    assert not gradient[:, 0].any()
    assert gradient[:, 1].isfinite().all()


@pytest.mark.parametrize(("clip", "decay"), [(0.5, 0.1), (1e9, 0.0)])
def test_steps_are_adams_and_the_average_follows(clip, decay):
    rng, ends = torch.Generator().manual_seed(0), []
    start, gradients = torch.randn(2, 5000, generator=rng), torch.randn(6, 2, 5000, generator=rng)
    for step, follow in ((compiled.adam_step, compiled.polyak_update), (None, polyak_update)):
        network, average = ([torch.nn.Parameter(part.clone()) for part in start] for _ in range(2))
        adam = ClippedAdam(network, 0.01, clip, torch.device("cpu"), decay)
        adam.compiled = step
        norms = []
        for gradient in gradients:
            # The second parameter begins later.
            given = [gradient[0].clone(), gradient[1].clone() if len(norms) > 1 else None]
            norms.append(adam.apply_gradients(network, given))
            follow(average, network, 0.3)
        moments = [adam.state[p][name] for p in network for name in ("exp_avg", "exp_avg_sq", "step")]
        ends.append([*network, *average, *moments, *norms])
    for mine, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), 1e30])
def test_a_gradient_that_is_not_finite_changes_nothing(wrong):
    parameter = torch.nn.Parameter(torch.ones(40))
    adam = ClippedAdam([parameter], 0.1, 1.0, torch.device("cpu"))
    adam.compiled = compiled.adam_step
    adam.apply_gradients([parameter], [torch.ones(40)])
    before = [parameter.detach().clone(), *(value.clone() for value in adam.state[parameter].values())]
    gradient = torch.ones(40)
    gradient[17] = wrong
    assert not adam.apply_gradients([parameter], [gradient]).isfinite()
    after = [parameter.detach(), *adam.state[parameter].values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_average_that_moves_all_the_way_is_the_network():
    network, average = ([torch.nn.Parameter(torch.randn(100))] for _ in range(2))
    compiled.polyak_update(average, network, 1.0)
    assert torch.equal(average[0], network[0])
