"""Networks of every architecture against their rules, written out row by row in numpy."""

import numpy as np
import pytest
import torch

from genoevo_mega.config.networks import ARCHITECTURES as NAMES
from genoevo_mega.config.run import Config, build_config
from genoevo_mega.networks import ARCHITECTURES, Routing
from tests.mega.architectures import FIXED, SMALL

TASKS, BATCH, INPUTS, OUTPUTS = 3, 4, 5, 2
ROUTING = Routing(torch.zeros(TASKS, 1, 1, 1), torch.zeros(TASKS, 1, 1), (0,) * TASKS)


def _network(architecture, ensemble=2, seed=0, precision=torch.float32, layer_norm=False, **sizes):
    network, group = ARCHITECTURES[architecture]
    config = getattr(build_config({group: SMALL[group] | sizes}), group)
    rng = torch.Generator().manual_seed(seed)
    given = {"tasks": TASKS, "ensemble": ensemble, "config": config, "precision": precision, "layer_norm": layer_norm}
    made = network(INPUTS, OUTPUTS, rng=rng, **given)
    with torch.no_grad():  # nothing may be 0: biases count too, and the layers that give routes are drawn small
        made.core.flat.add_(0.3 * torch.randn(made.core.flat.shape, generator=rng))
    return made


def _x(rows=BATCH, seed=2):
    return torch.randn(TASKS, rows, INPUTS, generator=torch.Generator().manual_seed(seed))


def test_the_config_names_the_architectures_that_are_registered():
    assert tuple(ARCHITECTURES) == NAMES
    assert all(group in Config.model_fields for _, group in ARCHITECTURES.values())


# ------------------------------------------------------------------- every rule once more, row by row, in numpy


def _relu(v):
    return np.maximum(v, 0)


def _normal_relu(v):
    return _relu((v - v.mean()) / np.sqrt(v.var() + 1e-5))


def _softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def _mlp(tensors, x, task, relu, heads):
    of_task, *layers = tensors
    hidden, (head, bias) = layers[:-2], layers[-2:]
    x = relu(x @ hidden[0] + hidden[1][0] + of_task[task, 0])
    for weight, offset in zip(hidden[2::2], hidden[3::2], strict=True):
        x = relu(x @ weight + offset[0])
    return x @ head[task] + bias[task, 0] if heads else x @ head + bias[0]


def _mtsac(tensors, x, task, relu):
    return _mlp(tensors, x, task, relu, heads=False)


def _mtmhsac(tensors, x, task, relu):
    return _mlp(tensors, x, task, relu, heads=True)


def _paco(tensors, x, task, relu):
    mixture, *layers = tensors
    own = [sum(mixture[task, k] * layer[k] for k in range(len(layer))) for layer in layers]
    for weight, bias in zip(own[:-2:2], own[1:-2:2], strict=True):
        x = relu(x @ weight + bias[0])
    return x @ own[-2] + own[-1][0]


def _moore(tensors, x, task, relu):
    mixture, *layers, head, bias = tensors
    experts = []
    for k in range(len(layers[0])):
        h = x
        for i in range(0, len(layers), 2):
            h = h @ layers[i][k] + layers[i + 1][k, 0]
            h = h if i == len(layers) - 2 else relu(h)
        experts.append(h)
    # The Q of a QR decomposition is the Gram-Schmidt basis up to signs.
    q, r = np.linalg.qr(np.stack(experts, axis=1))
    basis = q * np.sign(np.diag(r))
    return np.tanh(basis @ mixture[task, 0]) @ head[task] + bias[task, 0]


def _soft_modules(tensors, x, task, relu, layers=3, n=2):
    of_task, of_all, *rest = tensors
    dense, modules = rest[: -2 * layers], rest[-2 * layers :]

    def linear(v):
        weight, bias = dense.pop(0), dense.pop(0)
        return v @ weight + bias[0]

    observation = linear(relu(linear(x)))
    embedding = linear(relu(linear(relu(observation * (of_task[task, 0] + of_all[0, 0])))))
    shares = []
    for layer in range(layers):
        gate = embedding if layer == 0 else linear(np.concatenate([s.ravel() for s in shares])) * embedding
        logits = linear(relu(gate)).reshape(-1, n)
        shares.append(np.stack([_softmax(row) for row in logits]))
    sources = [relu(observation)] * n
    for layer, share in enumerate(shares):
        weight, bias = modules[2 * layer : 2 * layer + 2]
        out = [sources[j] @ weight[j] + bias[j, 0] for j in range(n)]
        sources = [relu(sum(p * o for p, o in zip(row, out, strict=True))) for row in share]
    return linear(sources[0])


def _d2r(tensors, x, task, relu, modules=5, top=2):
    of_task, of_all, *rest = tensors
    layers = list(zip(rest[::2], rest[1::2], strict=True))

    def linear(v):
        weight, bias = layers.pop(0)
        return v @ weight + bias[0]

    observation = linear(relu(linear(x)))
    gate = observation * (of_task[task, 0] + of_all[0, 0])
    logits = linear(relu(linear(relu(linear(gate)))))
    outputs = [relu(linear(relu(observation)))]
    for candidates in range(1, modules + 1):
        own, logits = logits[:candidates], logits[candidates:]
        best = np.argsort(-own)[:top]
        mixed = sum(p * outputs[j] for p, j in zip(_softmax(own[best]), best, strict=True))
        if candidates < modules:
            outputs.append(relu(linear(mixed)) + mixed)
    return linear(mixed)


REFERENCES = {
    "mtsac": _mtsac,
    "mtmhsac": _mtmhsac,
    "paco": _paco,
    "moore": _moore,
    "soft-modules": _soft_modules,
    "d2r": _d2r,
}


@pytest.mark.parametrize(("layer_norm", "relu"), [(False, _relu), (True, _normal_relu)])
@pytest.mark.parametrize("architecture", FIXED)
def test_the_output_is_that_of_the_rules_row_by_row(architecture, layer_norm, relu):
    network, x = _network(architecture, layer_norm=layer_norm), _x()
    out = network(x, ROUTING).detach().numpy()
    assert out.shape == (2, TASKS, BATCH, OUTPUTS)
    for member in range(2):
        tensors = [tensor[member].detach().double().numpy() for tensor in network.core.tensors()]
        for task in range(TASKS):
            for row in range(BATCH):
                expected = REFERENCES[architecture](tensors, x[task, row].double().numpy(), task, relu)
                np.testing.assert_allclose(out[member, task, row], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_a_batch_in_parts_has_the_outputs_and_summed_gradients_of_the_whole(architecture, layer_norm):
    network, x = _network(architecture, layer_norm=layer_norm).double(), _x().double()
    network.precision = torch.float64
    whole = network(x, ROUTING)
    parts = [network(part, ROUTING) for part in x.split([1, 3], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)
    expected = torch.autograd.grad(whole.square().sum(), list(network.parameters()))
    found = [torch.autograd.grad(part.square().sum(), list(network.parameters())) for part in parts]
    for mine, *theirs in zip(expected, *found, strict=True):
        torch.testing.assert_close(sum(theirs), mine)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_gradients_are_those_of_finite_differences(architecture, layer_norm):
    made = _network(architecture, ensemble=1, layer_norm=layer_norm)
    network, x = made.double(), _x().double().requires_grad_()
    network.precision = torch.float64
    if architecture == "d2r":  # ResRouting bends gradients on purpose; with every source likely it does not
        network._sources = 1
    direction = torch.randn(network.core.flat.shape, generator=torch.Generator().manual_seed(7)).double()
    of_x = torch.randn(x.shape, generator=torch.Generator().manual_seed(8)).double()
    loss = network(x, ROUTING).square().sum()
    weights, inputs = torch.autograd.grad(loss, [network.core.flat, x])

    def at(step):
        with torch.no_grad():
            network.core.flat.add_(direction, alpha=step)
            value = network(x + step * of_x, ROUTING).square().sum()
            network.core.flat.sub_(direction, alpha=step)
        return float(value)

    slope = (at(1e-6) - at(-1e-6)) / 2e-6
    assert float((weights * direction).sum() + (inputs * of_x).sum()) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(("logit", "trained"), [(-5.0, False), (4.9, True)])
def test_a_source_below_its_share_is_not_trained_and_passes_gradients_through_its_shortcut_alone(logit, trained):
    network = _network("d2r", modules=2, sources=2)
    tensors = network.core.tensors()
    with torch.no_grad():
        tensors[10].zero_()
        tensors[11].copy_(torch.tensor([0.0, 5.0, logit]).expand_as(tensors[11]))  # module 2 reads 1; the head both
    network(_x(), ROUTING).square().sum().backward()
    gradients = network.core.tensors(network.core.flat.grad)
    assert gradients[12].abs().max() > 0
    assert bool(gradients[14].abs().max() > 0) == trained


@pytest.mark.parametrize("architecture", FIXED)
def test_tasks_are_told_apart_and_members_are_independent(architecture):
    network = _network(architecture)
    out = network(_x()[:1].expand(TASKS, -1, -1), ROUTING)
    assert not torch.allclose(out[:, 0], out[:, 1])
    out[0].sum().backward()
    assert all(gradient[1].abs().max() == 0 for gradient in network.core.tensors(network.core.flat.grad))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_bf16_agrees_with_fp32_within_its_rounding(architecture, layer_norm):
    exact, rounded = (
        _network(architecture, precision=kind, layer_norm=layer_norm)(_x(50), ROUTING)
        for kind in (torch.float32, torch.bfloat16)
    )
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    # The median: near a tie of two routes bf16 may take the other one.
    assert (exact - rounded).abs().median() < 0.05 * exact.abs().median()


def test_operations_are_two_for_every_weight_that_a_row_meets():
    expected = {
        "mtsac": 5 * 7 + 7 * 6 + 6 * 2,
        "mtmhsac": 5 * 7 + 7 * 6 + 6 * 2,
        "paco": 5 * 7 + 7 * 6 + 6 * 2,
        "moore": 3 * (5 * 7 + 7 * 6) + 6 * 2,
        "soft-modules": 5 * 8
        + 8 * 8
        + 8 * 5
        + 5 * 5
        + 3 * (5 * 4)
        - 5 * 2
        + 4 * 5
        + 8 * 5
        + 2 * (8 * 6 + 2 * 36)
        + 12,
        "d2r": 5 * 8 + 8 * 8 + 8 * 5 + 5 * 5 + 5 * 15 + 8 * 6 + 4 * 36 + 12,
    }
    first = {"moore": 3 * 5 * 7, "soft-modules": 5 * 8, "d2r": 5 * 8}
    for architecture in FIXED:
        network = _network(architecture)
        assert network.operations((0, 0, 0)) == 2 * 2 * 3 * expected[architecture]
        rest = expected[architecture] - first.get(architecture, 5 * 7)
        assert network.operations((0, 0, 0), first_layer=False) == 2 * 2 * 3 * rest
