"""What critics predict: numbers or probabilities, each against its definition written out."""

import math

import numpy as np
import pytest
import torch

from genoevo_mega.agents.distribution import tanh_gaussian
from genoevo_mega.agents.losses import q_outputs, q_values
from genoevo_mega.agents.value import Prediction
from genoevo_mega.config.critic import Value
from genoevo_mega.networks import ARCHITECTURES
from genoevo_mega.networks.mtsac import MlpNetwork
from tests.mega.test_critic import _made
from tests.mega.updates import BATCH, TASKS, drawn_batch, inputs_of

TARGETS = (-7.0, -2.0, -1.93, -0.4, 0.0, 0.77, 1.5, 2.0, 9.0)
CATEGORICAL = {"loss": "hl-gauss", "bins": 7, "range": 3.0}


def _two_hot(t, numbers):
    t = min(max(t, numbers[0]), numbers[-1])
    below = max(i for i in range(len(numbers)) if numbers[i] <= t + 1e-12)
    found = [0.0] * len(numbers)
    if below == len(numbers) - 1:
        found[below] = 1.0
    else:
        share = (t - numbers[below]) / (numbers[below + 1] - numbers[below])
        found[below], found[below + 1] = 1 - share, share
    return found


def _gauss(t, numbers, smoothing):
    t = min(max(t, numbers[0]), numbers[-1])
    distance = numbers[1] - numbers[0]

    def below(z):
        return 0.5 * (1 + math.erf((z - t) / (math.sqrt(2) * smoothing * distance)))

    shares = [below(z + distance / 2) - below(z - distance / 2) for z in numbers]
    return [share / sum(shares) for share in shares]


@pytest.mark.parametrize("bins", [2, 9, 21])
def test_two_hot_shares_a_target_between_its_neighbours(bins):
    prediction = Prediction(Value(loss="two-hot", bins=bins, range=2.0))
    numbers = np.linspace(-2, 2, bins).tolist()
    found = prediction.distribution(torch.tensor(TARGETS))
    np.testing.assert_allclose(found, [_two_hot(t, numbers) for t in TARGETS], atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(found @ prediction.numbers, np.clip(TARGETS, -2, 2), atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.3, 0.75, 2.0])
def test_hl_gauss_is_the_gaussians_share_of_every_bin(smoothing):
    prediction = Prediction(Value(loss="hl-gauss", bins=9, range=2.0, smoothing=smoothing))
    numbers = np.linspace(-2, 2, 9).tolist()
    found = prediction.distribution(torch.tensor(TARGETS))
    np.testing.assert_allclose(found, [_gauss(t, numbers, smoothing) for t in TARGETS], atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)


def test_a_value_is_the_mean_of_the_numbers():
    prediction = Prediction(Value(**CATEGORICAL))
    outputs = torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(1))
    weights = np.exp(outputs.double().numpy())
    expected = (weights / weights.sum(-1, keepdims=True)) @ np.linspace(-3, 3, 7)
    np.testing.assert_allclose(prediction.value(outputs), expected, rtol=1e-5, atol=1e-6)


def test_the_cross_entropys_gradient_is_the_difference_of_the_probabilities():
    prediction = Prediction(Value(**CATEGORICAL))
    rng = torch.Generator().manual_seed(1)
    outputs, target = torch.randn(2, 3, 4, 7, generator=rng, requires_grad=True), torch.randn(3, 4, generator=rng)
    parts, combine = prediction.compared(outputs, target)
    loss = combine(*parts)
    assert loss.shape == (2, 3, 4)
    [gradient] = torch.autograd.grad(loss.sum(), outputs)
    expected = torch.softmax(outputs, -1) - prediction.distribution(target)
    torch.testing.assert_close(gradient, expected.detach())


@pytest.mark.parametrize("twins", ["minimum", "mean"])
@pytest.mark.parametrize("loss", ["squared", "two-hot", "hl-gauss"])
def test_the_critics_loss_is_the_written_out_one(loss, twins):
    agent, _, routing = _made(value={**CATEGORICAL, "loss": loss, "twins": twins})
    batch, numbers = drawn_batch(), np.linspace(-3, 3, 7).tolist()
    shard, alpha = inputs_of(agent, batch, routing).batch, agent.log_temperature.exp()[:, None]
    with torch.no_grad():
        output = agent.actor(batch.next_observations, routing)[0]
        action, log_prob = tanh_gaussian(output, shard.next_noise)
        both = agent.target_critics(torch.cat([batch.next_observations, action], -1), routing)
        own = agent.critics(torch.cat([batch.observations, batch.actions], -1), routing)
    values = both[..., 0] if loss == "squared" else torch.softmax(both, -1) @ torch.tensor(numbers)
    joined = values.mean(0) if twins == "mean" else torch.minimum(values[0], values[1])
    target = (batch.rewards + 0.99 * (joined - alpha * log_prob)).detach()
    if loss == "squared":
        expected = (own[..., 0] - target).square()
    else:
        rule = _two_hot if loss == "two-hot" else lambda t, numbers: _gauss(t, numbers, 0.75)
        goal = torch.tensor([[rule(float(t), numbers) for t in row] for row in target])
        expected = -(goal * torch.log_softmax(own, -1)).sum(-1)
    found = agent.update(batch, routing, routing)["critic_loss"]
    torch.testing.assert_close(found, expected.mean((1, 2)).sum(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("twins", ["minimum", "mean"])
def test_actor_and_candidates_see_the_twins_joined(twins):
    agent, _, routing = _made(value={**CATEGORICAL, "twins": twins})
    with torch.no_grad():  # the first critics hardly tell actions apart
        agent.critics.core.flat.add_(0.3 * torch.randn(agent.critics.core.flat.shape))
    batch = drawn_batch()
    shard, alpha = inputs_of(agent, batch, routing).batch, agent.log_temperature.exp()[:, None]
    output = agent.actor(batch.observations, routing)[0]

    def value(action):
        one, two = q_values(agent.critics, batch.observations, action, routing, agent.prediction)
        return ((one + two) / 2 if twins == "mean" else torch.minimum(one, two)).detach()

    greedy = torch.tanh(output[..., :4])
    torch.testing.assert_close(agent.values(batch.observations, routing, routing), value(greedy))
    action, log_prob = tanh_gaussian(output, shard.noise)
    agent.optimizers.critics.param_groups[0]["lr"] = 0.0  # the actor's loss is that of the critics after their step
    expected = (alpha * log_prob - value(action)).mean()
    torch.testing.assert_close(agent.update(batch, routing, routing)["actor_loss"], expected)


def test_critics_predict_as_many_numbers_as_there_are_bins():
    agent, _, routing = _made(value=CATEGORICAL)
    batch = drawn_batch()
    assert q_outputs(agent.critics, batch.observations, batch.actions, routing).shape == (2, TASKS, BATCH, 7)


@pytest.mark.parametrize("loss", ["two-hot", "hl-gauss"])
def test_a_goal_that_is_not_a_number_leaves_its_task_out_and_skips_no_update(loss):
    agent, _, routing = _made(sac={"mask_loss_above": 1e30}, value={**CATEGORICAL, "loss": loss})
    batch = drawn_batch()
    batch.rewards[1, 3] = torch.nan
    losses = agent.update(batch, routing, routing)
    assert losses["masked"].tolist() == [0, 1]
    assert losses["skipped"] == 0
    assert all(torch.isfinite(weight).all() for weight in agent.critics.parameters())


def test_perceptrons_of_critics_are_equal_for_every_architecture_and_size():
    shapes = set()
    for architecture in ARCHITECTURES:
        for size in (None, 6000):
            critic = {"kind": "mlp", "width": 12, "layers": 2}
            agent, *_ = _made(critic=critic, architecture=architecture, match_parameters=size)
            assert isinstance(agent.critics, MlpNetwork)
            shapes.add(tuple(agent.critics.core.shapes))
    (only,) = shapes
    assert [shape[-1] for shape in only] == [12, 12, 12, 12, 12, 1, 1]
