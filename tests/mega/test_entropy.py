"""Temperatures, the entropy that they aim at, and bounds of the actions' standard deviation."""

import math

import numpy as np
import pytest
import torch

from genoevo_mega.agents.distribution import MOST_ENTROPY, tanh_gaussian
from genoevo_mega.agents.losses import temperature_loss
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.training.build import make_agent
from genoevo_runs.errors import ConfigError
from tests.mega.updates import drawn_batch, inputs_of, sac_agent


def test_each_temperature_moves_toward_its_tasks_target_entropy():
    agent, routing = sac_agent()
    with torch.no_grad():
        agent.actor.core.tensors()[-1][..., 4:] = -8.0  # hardly any noise: entropy far below -|A|
    agent.update(drawn_batch(), routing, routing)
    assert (agent.log_temperature > 0).all()


def test_the_target_entropy_is_a_number_for_each_action_dimension():
    assert sac_agent()[0].target_entropy.tolist() == [-4.0, -4.0]
    assert sac_agent(target_entropy=-0.5)[0].target_entropy.tolist() == [-2.0, -2.0]


def test_the_temperatures_gradient_is_the_entropys_distance_from_the_target():
    (agent, routing), (half, _) = sac_agent(), sac_agent(target_entropy=-0.5)
    for each in (agent, half):
        each.update(drawn_batch(), routing, routing)
    torch.testing.assert_close(agent.log_temperature.grad - half.log_temperature.grad, torch.full((2,), 2.0))


def test_the_largest_entropy_is_that_of_the_squashed_gaussian():
    z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    weights = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])

    def entropy(std):
        output = torch.tensor([0.0, math.log(std)], dtype=torch.float64).expand(len(z), 2)
        return float(-(weights * tanh_gaussian(output, z[:, None])[1]).sum())

    found = [entropy(std) for std in np.arange(0.8, 0.95, 0.002)]
    assert max(found) == pytest.approx(MOST_ENTROPY, abs=1e-5)


def test_dimensions_that_a_task_does_not_use_add_their_largest_entropy_to_its_target():
    settings = {"suite": "pendulum,point", "sac": {"count_used_actions": True}}
    config = build_config(preset("synthetic"), settings)
    suite = make_suite(config)
    assert suite.action_dimensions == (1, 2)
    expected = torch.tensor([-1.0 + MOST_ENTROPY, -2.0])
    torch.testing.assert_close(make_agent(config, suite).target_entropy, expected)
    every = build_config(preset("synthetic"), {"suite": "pendulum,point"})
    assert make_agent(every, suite).target_entropy.tolist() == [-2.0, -2.0]


def test_a_suite_that_says_nothing_uses_every_dimension():
    assert sac_agent(count_used_actions=True)[0].target_entropy.tolist() == [-4.0, -4.0]


STDS = pytest.mark.parametrize(("least", "std"), [(-20.0, math.exp(-8)), (-1.0, math.exp(-1))])


def _narrow(least):
    """An agent whose actor asks for a standard deviation of exp(-8), a routing, and the actor's means."""
    agent, routing = sac_agent(log_std_min=least)
    with torch.no_grad():
        weight, bias = agent.actor.core.tensors()[-2:]
        weight[..., 4:], bias[..., 4:] = 0.0, -8.0
        return agent, routing, agent.actor(drawn_batch().observations, routing)[0][..., :4]


@STDS
def test_actions_have_the_settings_least_standard_deviation(least, std):
    agent, routing, mean = _narrow(least)
    state = agent.rng.get_state()
    drawn = agent.act(drawn_batch().observations[:, 0], routing)
    agent.rng.set_state(state)
    torch.testing.assert_close(drawn, torch.tanh(mean[:, 0] + std * agent._noise(2, 1, 4)[:, 0]))


@STDS
def test_losses_have_the_settings_least_standard_deviation(least, std):
    agent, routing, mean = _narrow(least)
    raw = mean + std * inputs_of(agent, drawn_batch(), routing).batch.noise
    squash = 2 * (math.log(2) - raw - torch.nn.functional.softplus(-2 * raw))
    log_prob = (torch.distributions.Normal(mean, std).log_prob(raw) - squash).sum(-1)
    found = agent.update(drawn_batch(), routing, routing)["entropy"]
    torch.testing.assert_close(found, -log_prob.mean(), rtol=1e-4, atol=1e-4)


def test_actions_have_the_settings_largest_standard_deviation():
    agent, routing = sac_agent(log_std_max=-3.0)
    state, rows = agent.rng.get_state(), drawn_batch().observations
    drawn = agent.act(rows[:, 0], routing)
    agent.rng.set_state(state)
    output = agent.actor(rows, routing)[0]
    assert output[..., 4:].min() > -3  # it asks for more
    torch.testing.assert_close(drawn, torch.tanh(output[:, 0, :4] + math.exp(-3) * agent._noise(2, 1, 4)[:, 0]))


def test_bounds_of_the_standard_deviation_are_in_order():
    with pytest.raises(ConfigError, match=r"sac.log_std_min = -2.0: must be below sac.log_std_max, which is -3.0"):
        build_config({"sac": {"log_std_min": -2.0, "log_std_max": -3.0}})


def test_the_temperatures_derivative_is_their_losss_value_at_one():
    log_alpha, log_prob = torch.tensor([0.3, -2.0], requires_grad=True), torch.tensor([5.0, -9.0])
    [expected] = torch.autograd.grad(temperature_loss(log_alpha, log_prob, -4.0).sum(), log_alpha)
    assert expected.tolist() == [-1.0, 13.0]
    assert torch.equal(temperature_loss(1.0, log_prob, -4.0), expected)
