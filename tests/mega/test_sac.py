"""Soft actor-critic: each loss and step against its definition."""

import math

import numpy as np
import pytest
import torch

from genoevo_mega.agents.distribution import gaussian, tanh_gaussian
from genoevo_mega.agents.losses import actor_loss, critic_loss, q_values
from genoevo_mega.agents.optimizers import frozen
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import build_config
from genoevo_mega.config.sac import Sac
from genoevo_runs.errors import ConfigError
from tests.mega.updates import BATCH, TASKS, Products, drawn_batch, inputs_of, numbers_of, sac_agent


def test_log_probability_is_that_of_the_squashed_gaussian():
    agent, routing = sac_agent()
    observations = drawn_batch().observations
    noise = torch.randn(TASKS, BATCH, 4, generator=torch.Generator().manual_seed(3))
    output = agent.actor(observations, routing)[0]
    action, log_prob = tanh_gaussian(output, noise)
    mean, log_std = gaussian(output)
    normal = torch.distributions.Normal(mean, log_std.exp())
    tanh = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    expected = tanh.log_prob(torch.tanh(mean + log_std.exp() * noise).clamp(-1 + 1e-6, 1 - 1e-6)).sum(-1)
    torch.testing.assert_close(log_prob, expected, rtol=1e-3, atol=1e-3)
    assert action.abs().max() <= 1


@pytest.mark.parametrize("discount", [0.9, 0.0])
def test_the_critic_loss_is_the_written_out_bellman_error(discount):
    agent, routing = sac_agent(reward_scale=0.5)
    batch, state = drawn_batch(discount), agent.rng.get_state()
    with torch.no_grad():
        output = agent.actor(batch.next_observations, routing)[0]
        action, log_prob = tanh_gaussian(output, agent._noise(2, TASKS, BATCH, 4)[0])
        joined = torch.cat([batch.next_observations, action], -1)
        future = (
            agent.target_critics(joined, routing)[..., 0].min(0).values
            - agent.log_temperature.exp()[:, None] * log_prob
        )
        goal = 0.5 * batch.rewards + discount * future
        value = agent.critics(torch.cat([batch.observations, batch.actions], -1), routing)[..., 0]
        expected = ((value - goal) ** 2).mean(dim=(1, 2)).sum()
    agent.rng.set_state(state)
    torch.testing.assert_close(agent.update(batch, routing, routing)["critic_loss"], expected)


def test_the_first_step_follows_the_gradient_of_the_written_out_losses():
    agent, routing = sac_agent(gradient_clip=1e9)
    twin, _ = sac_agent(gradient_clip=1e9)
    batch = drawn_batch()
    agent.update(batch, routing, routing)

    temperature = twin.log_temperature.detach().exp()[:, None]
    with torch.no_grad():
        output = twin.actor(batch.next_observations, routing)[0]
        action, log_prob = tanh_gaussian(output, twin._noise(2, TASKS, BATCH, 4)[0])
        future = q_values(twin.target_critics, batch.next_observations, action, routing).min(0).values
        goal = batch.rewards + 0.99 * (future - temperature * log_prob)
    loss = (q_values(twin.critics, batch.observations, batch.actions, routing) - goal).square().mean((1, 2)).sum()
    loss.backward()
    # Adam's first step moves every weight by the learning rate against the sign of its gradient.
    for mine, theirs in zip(agent.critics.parameters(), twin.critics.parameters(), strict=True):
        clear = theirs.grad.abs() > 1e-6
        moved = (mine - theirs)[clear]
        torch.testing.assert_close(moved, -3e-4 * theirs.grad[clear].sign(), rtol=1e-2, atol=1e-7)


def test_the_actors_step_leaves_no_gradient_in_the_critics():
    agent, routing = sac_agent()
    actions = drawn_batch().actions.requires_grad_()
    with frozen(agent.critics):
        value = q_values(agent.critics, drawn_batch().observations, actions, routing)
    value.sum().backward()
    assert actions.grad.abs().max() > 0
    assert all(p.grad is None and p.requires_grad for p in agent.critics.parameters())


@pytest.mark.parametrize(
    ("share", "follower", "network"), [("tau", "target_critics", "critics"), ("actor_ema_tau", "actor_ema", "actor")]
)
def test_targets_and_average_move_by_their_share(share, follower, network):
    agent, routing = sac_agent(**{share: 0.25})
    before = numbers_of(getattr(agent, follower))
    agent.update(drawn_batch(), routing, routing)
    after = getattr(agent, follower).state_dict()
    for name, weight in getattr(agent, network).state_dict().items():
        expected = 0.75 * before[name] + 0.25 * weight
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=1e-6)


def test_greedy_actions_use_the_moving_average_of_the_actor():
    agent, routing = sac_agent(actor_ema_tau=0.25)
    agent.update(drawn_batch(), routing, routing)
    observations = drawn_batch().observations[:, 0]
    mean, _ = agent.actor_ema(observations[:, None], routing)[0].chunk(2, dim=-1)
    assert torch.equal(agent.act(observations, routing, greedy=True), torch.tanh(mean)[:, 0])


def test_by_default_the_average_is_the_actor_itself():
    agent, routing = sac_agent()
    agent.update(drawn_batch(), routing, routing)
    averaged = agent.actor_ema.state_dict()
    assert all(torch.equal(averaged[name], weight) for name, weight in agent.actor.state_dict().items())


def test_gradients_are_clipped_to_the_norm():
    agent, routing = sac_agent(gradient_clip=1e-3)
    agent.update(drawn_batch(), routing, routing)
    norm = torch.nn.utils.get_total_norm([p.grad for p in agent.critics.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_an_actor_that_does_not_wait_for_the_critics_cannot_leave_out_their_diverging_tasks():
    with pytest.raises(ConfigError, match=r"sac.mask_loss_above = 10: must be null with sac.simultaneous = true"):
        build_config({"sac": {"simultaneous": True, "mask_loss_above": 10}})


def test_greedy_actions_do_not_draw_noise_and_are_the_tanh_of_the_mean():
    agent, routing = sac_agent()
    observations = drawn_batch().observations[:, 0]
    state = agent.rng.get_state()
    action = agent.act(observations, routing, greedy=True)
    assert torch.equal(agent.rng.get_state(), state)
    assert torch.equal(action, torch.tanh(gaussian(agent.actor(observations[:, None], routing)[0])[0])[:, 0])


def test_growth_adds_the_module_everywhere_with_fresh_state_and_keeps_all_else():
    agent, routing = sac_agent()
    for _ in range(3):
        agent.update(drawn_batch(), routing, routing)
    parameters = {
        name: numbers_of(getattr(agent, name)) for name in ("actor", "actor_ema", "critics", "target_critics")
    }
    old = {name: list(getattr(agent, name).parameters()) for name in ("actor", "critics")}
    moments = {name: [getattr(agent.optimizers, name).state[p]["exp_avg"].clone() for p in old[name]] for name in old}
    agent.grow()
    for name, before in parameters.items():
        network = getattr(agent, name)
        assert len(network.pool) == 3
        assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    for name in old:
        kept = [getattr(agent.optimizers, name).state[p]["exp_avg"] for p in old[name]]
        assert all(torch.equal(a, b) for a, b in zip(moments[name], kept, strict=True))
        assert all(p not in getattr(agent.optimizers, name).state for p in getattr(agent, name).pool[-1].parameters())
    new = agent.target_critics.pool[-1].state_dict()
    assert all(torch.equal(new[key], value) for key, value in agent.critics.pool[-1].state_dict().items())
    assert not any(p.requires_grad for p in agent.target_critics.parameters())


def test_losses_and_actions_of_many_updates_stay_finite():
    agent, routing = sac_agent()
    for seed in range(30):
        losses = agent.update(drawn_batch(seed=seed), routing, routing)
    assert all(math.isfinite(float(value)) for value in losses.values())
    assert torch.isfinite(agent.act(drawn_batch().observations[:, 0], routing)).all()


def test_actor_and_critics_each_follow_a_routing_of_their_own():
    agent, routing = sac_agent()
    swapped = routing.map(lambda weights: weights.flip(0))
    assert not torch.equal(swapped.output, routing.output)
    shard, *_ = inputs_of(agent, drawn_batch(), routing)
    terms, alpha = agent._terms(), agent.log_temperature.detach().exp()[:, None]
    action, log_prob = tanh_gaussian(agent.actor(shard.observations, swapped)[0], shard.noise)
    expected = alpha * log_prob - q_values(agent.critics, shard.observations, action, routing).amin(0)
    assert torch.equal(actor_loss(agent.nets, shard, swapped, routing, terms).per_transition(), expected)

    next_action, next_log_prob = tanh_gaussian(agent.actor(shard.next_observations, swapped)[0], shard.next_noise)
    future = q_values(agent.target_critics, shard.next_observations, next_action, routing).amin(0)
    td_target = shard.rewards + shard.discounts * (future - alpha * next_log_prob)
    expected = (q_values(agent.critics, shard.observations, shard.actions, routing) - td_target).square()
    losses = critic_loss(agent.nets, shard, swapped, routing, terms)
    assert torch.equal(losses.per_transition(), expected)
    assert torch.equal(agent.update(drawn_batch(), swapped, routing)["critic_loss"], expected.sum() / (TASKS * BATCH))


@pytest.mark.parametrize("rows", [1, BATCH])
def test_the_actors_loss_gives_its_routing_the_same_gradient_in_one_shard_and_in_two(rows):
    found = []
    for shards in (1, 2):
        agent, routing = sac_agent()
        agent.executor.pool = ShardPool(shards)
        own = routing.map(lambda weights: weights.repeat_interleave(rows, dim=1).requires_grad_())
        agent.update(drawn_batch(), own, routing)
        found.append((own.inputs.grad, own.output.grad))
    for one, two in zip(*found, strict=True):
        assert one.shape[1] == rows
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-7)
    assert found[0][1].abs().max() > 0


def test_operations_are_those_of_the_products_that_an_update_takes():
    agent, routing = sac_agent(batch_size=BATCH)
    with Products() as products:
        agent.update(drawn_batch(), routing, routing)
    assert products.operations == agent.operations(routing.stages)


def test_learning_rate_of_the_papers_relatives_is_the_default():
    assert Sac().learning_rate == 3e-4
    assert np.isclose(Sac().gamma, 0.99)
