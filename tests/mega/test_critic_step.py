"""The loss of residual critics in one call: what it computes is the definitions' within rounding."""

import pytest
import torch

from genoevo_mega.agents import critic_step
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.networks.embedding import without_vectors
from genoevo_mega.training.build import make_agent
from tests.mega.updates import SUITE

TASKS, ROWS, COUNT = len(SUITE.names), 6, 10
INPUTS = SUITE.observation_size + SUITE.action_size
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def _agent(loss, twins, task_embedding):
    critic = {"kind": "residual", "width": 20, "blocks": 2, "task_embedding": task_embedding}
    value = {"loss": loss, "bins": 21, "twins": twins}
    compute = {"kernels": "compiled"}
    agent = make_agent(build_config(preset("smoke"), {"critic": critic, "value": value, "compute": compute}), SUITE)
    rng = torch.Generator().manual_seed(1)
    for parameter in (*agent.critics.parameters(), *agent.target_critics.parameters()):
        parameter.data.add_(0.2 * torch.randn(parameter.shape, generator=rng))
    return agent


def _transitions(scale):
    rng = torch.Generator().manual_seed(2)
    rows, next_rows = torch.randn(2, TASKS, ROWS, INPUTS, generator=rng)
    fixed, discounts = torch.randn(TASKS, ROWS, generator=rng), torch.rand(TASKS, ROWS, generator=rng)
    return rows, next_rows, scale * fixed, discounts


def _by_definition(agent, rows, next_rows, fixed, discounts):
    prediction = agent.prediction
    with torch.no_grad():
        following = prediction.joined(prediction.value(agent.target_critics(next_rows, None)))
    outputs = agent.critics(rows, None)
    parts, combine = prediction.compared(outputs, fixed + discounts * following)
    loss = combine(*parts).sum() / COUNT
    parameters = list(agent.critics.parameters())
    return torch.autograd.grad(loss, parameters), loss.detach(), prediction.value(outputs.detach()).sum()


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["within the range", "beyond it"])
@pytest.mark.parametrize("task_embedding", [0, 3])
@pytest.mark.parametrize("twins", ["mean", "minimum"])
@pytest.mark.parametrize("loss", ["squared", "two-hot", "hl-gauss"])
def test_loss_values_and_gradients_are_the_definitions(loss, twins, task_embedding, scale):
    agent, given = _agent(loss, twins, task_embedding), _transitions(scale)
    expected, loss, values = _by_definition(agent, *given)
    gradients, *found = critic_step.critic_step(agent.critics, agent.target_critics, *given, agent.prediction, COUNT)
    torch.testing.assert_close(found, [loss, values], **CLOSE)
    for parameter, gradient in zip(agent.critics.parameters(), expected, strict=True):
        torch.testing.assert_close(gradients[parameter], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


@pytest.mark.parametrize("loss", ["squared", "two-hot", "hl-gauss"])
@pytest.mark.parametrize("at", ["fixed", "rows", "next_rows"])
@pytest.mark.parametrize(("twins", "task_embedding"), [("minimum", 0), ("mean", 3)])
def test_what_is_not_a_number_gives_a_gradient_that_is_none(loss, at, twins, task_embedding):
    agent = _agent(loss, twins, task_embedding)
    rows, next_rows, fixed, discounts = _transitions(1.0)
    {"fixed": fixed, "rows": rows, "next_rows": next_rows}[at].view(-1)[0] = torch.nan
    given = rows, next_rows, fixed, discounts, agent.prediction, COUNT
    gradients, loss, _ = critic_step.critic_step(agent.critics, agent.target_critics, *given)
    assert torch.isnan(loss)
    assert not torch.isfinite(gradients[without_vectors(agent.critics).core.flat]).all()


def test_the_caller_is_told_before_the_long_call():
    agent, told = _agent("hl-gauss", "mean", 3), []
    given = *_transitions(1.0), agent.prediction, COUNT
    critic_step.critic_step(agent.critics, agent.target_critics, *given, lambda: told.append(1))
    assert told == [1]
