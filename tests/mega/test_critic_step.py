"""The loss of compiled critics in one call: what it computes is the definitions' within rounding."""

import pytest
import torch

from genoevo_mega.agents.critic_step import critic_step
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.networks.embedding import without_vectors
from genoevo_mega.training.build import make_agent, make_structure
from tests.mega.updates import SUITE

TASKS, ROWS, COUNT = len(SUITE.names), 6, 10
INPUTS = SUITE.observation_size + SUITE.action_size
KINDS = {
    "residual": {"critic": {"kind": "residual", "width": 20, "blocks": 2}},
    "genotype": {
        "network": {"modules": "residual", "width": 20, "hidden": 7},
        "decoding": {"kind": "dense"},
        "genotypes": {"start_stage": 3},
        "layer_norm": True,
    },
}


def _agent(kind, loss, twins, task_embedding, kernels="compiled"):
    """An agent, and the routing of its critics."""
    critic, value = {"task_embedding": task_embedding}, {"loss": loss, "bins": 21, "twins": twins}
    changes = KINDS[kind], {"critic": critic, "value": value, "compute": {"kernels": kernels}}
    config = build_config(preset("smoke"), *changes)
    agent = make_agent(config, SUITE)
    rng = torch.Generator().manual_seed(1)
    for parameter in (*agent.critics.parameters(), *agent.target_critics.parameters()):
        parameter.data.add_(0.2 * torch.randn(parameter.shape, generator=rng))
    return agent, make_structure(config, list(SUITE.names), 1).acting_routing()


def _transitions(scale):
    rng = torch.Generator().manual_seed(2)
    rows, next_rows = torch.randn(2, TASKS, ROWS, INPUTS, generator=rng)
    fixed, discounts = torch.randn(TASKS, ROWS, generator=rng), torch.rand(TASKS, ROWS, generator=rng)
    return rows, next_rows, scale * fixed, discounts


def _by_definition(agent, routing, rows, next_rows, fixed, discounts):
    prediction = agent.prediction
    with torch.no_grad():
        following = prediction.joined(prediction.value(agent.target_critics(next_rows, routing)))
    outputs = agent.critics(rows, routing)
    parts, combine = prediction.compared(outputs, fixed + discounts * following)
    loss = combine(*parts).sum() / COUNT
    parameters = list(agent.critics.parameters())
    return torch.autograd.grad(loss, parameters), loss.detach(), prediction.value(outputs.detach()).sum()


def _in_one_call(agent, routing, rows, next_rows, *others, meanwhile=None):
    given = rows, next_rows, routing, *others, agent.prediction, COUNT, meanwhile
    return critic_step(agent.critics, agent.target_critics, *given)


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["within the range", "beyond it"])
@pytest.mark.parametrize("task_embedding", [0, 3])
@pytest.mark.parametrize("twins", ["mean", "minimum"])
@pytest.mark.parametrize("loss", ["squared", "two-hot", "hl-gauss"])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_values_and_gradients_are_the_definitions(kind, loss, twins, task_embedding, scale):
    settings, given = (kind, loss, twins, task_embedding), _transitions(scale)
    (agent, routing), (twin, _) = _agent(*settings), _agent(*settings, kernels="torch")
    expected, loss, values = _by_definition(twin, routing, *given)
    gradients, *found = _in_one_call(agent, routing, *given)
    torch.testing.assert_close(found, [loss, values], rtol=1e-5, atol=1e-5)
    for parameter, gradient in zip(agent.critics.parameters(), expected, strict=True):
        torch.testing.assert_close(gradients[parameter], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


@pytest.mark.parametrize("loss", ["squared", "two-hot", "hl-gauss"])
@pytest.mark.parametrize("at", ["fixed", "rows", "next_rows"])
@pytest.mark.parametrize(("twins", "task_embedding"), [("minimum", 0), ("mean", 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_number_gives_a_gradient_that_is_none(kind, loss, at, twins, task_embedding):
    agent, routing = _agent(kind, loss, twins, task_embedding)
    rows, next_rows, fixed, discounts = _transitions(1.0)
    {"fixed": fixed, "rows": rows, "next_rows": next_rows}[at].view(-1)[0] = torch.nan
    gradients, loss, _ = _in_one_call(agent, routing, rows, next_rows, fixed, discounts)
    assert torch.isnan(loss)
    assert not all(torch.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_caller_is_told_before_the_long_call(kind):
    (agent, routing), given = _agent(kind, "hl-gauss", "mean", 3), _transitions(1.0)
    flat = without_vectors(agent.critics).core.flat
    _, before, _ = _in_one_call(agent, routing, *given, meanwhile=lambda: flat.data.zero_())
    _, zeroed, _ = _in_one_call(agent, routing, *given)
    assert before == zeroed
