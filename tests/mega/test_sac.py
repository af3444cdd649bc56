import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genoevo_mega.agents.distribution import MOST_ENTROPY, gaussian, tanh_gaussian
from genoevo_mega.agents.losses import actor_loss, critic_loss, q_values, temperature_loss
from genoevo_mega.agents.optimizers import frozen
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.config.sac import Sac
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.training.build import make_agent
from genoevo_runs.errors import ConfigError

TASKS, BATCH = 2, 16
SUITE = MetaWorldSuite(("reach-v3", "drawer-close-v3"), seed=1)


def _agent(**sac):
    config = build_config(preset("smoke"), {"sac": sac})
    return make_agent(config, SUITE), Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()


def _batch(discount=0.99, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = TASKS, BATCH
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng) * 2 - 1,
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, float(discount)),
        torch.zeros(shape, dtype=torch.int64),
    )


def _inputs(agent, batch, routing):
    """What an update with this batch that follows at once computes its losses from."""
    state = agent.rng.get_state()
    inputs = agent._inputs(batch, agent._noise(2, *batch.actions.shape), routing, routing)
    agent.rng.set_state(state)
    return inputs


def _numbers(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_log_probability_is_that_of_the_squashed_gaussian():
    agent, routing = _agent()
    observations = _batch().observations
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
    agent, routing = _agent(reward_scale=0.5)
    batch, state = _batch(discount), agent.rng.get_state()
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
    agent, routing = _agent(gradient_clip=1e9)
    twin, _ = _agent(gradient_clip=1e9)
    batch = _batch()
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
    agent, routing = _agent()
    actions = _batch().actions.requires_grad_()
    with frozen(agent.critics):
        value = q_values(agent.critics, _batch().observations, actions, routing)
    value.sum().backward()
    assert actions.grad.abs().max() > 0
    assert all(p.grad is None and p.requires_grad for p in agent.critics.parameters())


@pytest.mark.parametrize(
    ("share", "follower", "network"), [("tau", "target_critics", "critics"), ("actor_ema_tau", "actor_ema", "actor")]
)
def test_targets_and_average_move_by_their_share(share, follower, network):
    agent, routing = _agent(**{share: 0.25})
    before = _numbers(getattr(agent, follower))
    agent.update(_batch(), routing, routing)
    after = getattr(agent, follower).state_dict()
    for name, weight in getattr(agent, network).state_dict().items():
        expected = 0.75 * before[name] + 0.25 * weight
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=1e-6)


def test_greedy_actions_use_the_moving_average_of_the_actor():
    agent, routing = _agent(actor_ema_tau=0.25)
    agent.update(_batch(), routing, routing)
    observations = _batch().observations[:, 0]
    mean, _ = agent.actor_ema(observations[:, None], routing)[0].chunk(2, dim=-1)
    assert torch.equal(agent.act(observations, routing, greedy=True), torch.tanh(mean)[:, 0])


def test_by_default_the_average_is_the_actor_itself():
    agent, routing = _agent()
    agent.update(_batch(), routing, routing)
    averaged = agent.actor_ema.state_dict()
    assert all(torch.equal(averaged[name], weight) for name, weight in agent.actor.state_dict().items())


def test_gradients_are_clipped_to_the_norm():
    agent, routing = _agent(gradient_clip=1e-3)
    agent.update(_batch(), routing, routing)
    norm = torch.nn.utils.get_total_norm([p.grad for p in agent.critics.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_each_temperature_moves_toward_its_tasks_target_entropy():
    agent, routing = _agent()
    with torch.no_grad():
        agent.actor.core.tensors()[-1][..., 4:] = -8.0  # hardly any noise: entropy far below -|A|
    agent.update(_batch(), routing, routing)
    assert (agent.log_temperature > 0).all()


def test_the_target_entropy_is_a_number_for_each_action_dimension():
    assert _agent()[0].target_entropy.tolist() == [-4.0, -4.0]
    assert _agent(target_entropy=-0.5)[0].target_entropy.tolist() == [-2.0, -2.0]


def test_the_temperatures_gradient_is_the_entropys_distance_from_the_target():
    (agent, routing), (half, _) = _agent(), _agent(target_entropy=-0.5)
    for each in (agent, half):
        each.update(_batch(), routing, routing)
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
    assert _agent(count_used_actions=True)[0].target_entropy.tolist() == [-4.0, -4.0]


STDS = pytest.mark.parametrize(("least", "std"), [(-20.0, math.exp(-8)), (-1.0, math.exp(-1))])


def _narrow(least):
    """An agent whose actor asks for a standard deviation of exp(-8), a routing, and the actor's means."""
    agent, routing = _agent(log_std_min=least)
    with torch.no_grad():
        weight, bias = agent.actor.core.tensors()[-2:]
        weight[..., 4:], bias[..., 4:] = 0.0, -8.0
        return agent, routing, agent.actor(_batch().observations, routing)[0][..., :4]


@STDS
def test_actions_have_the_settings_least_standard_deviation(least, std):
    agent, routing, mean = _narrow(least)
    state = agent.rng.get_state()
    drawn = agent.act(_batch().observations[:, 0], routing)
    agent.rng.set_state(state)
    torch.testing.assert_close(drawn, torch.tanh(mean[:, 0] + std * agent._noise(2, 1, 4)[:, 0]))


@STDS
def test_losses_have_the_settings_least_standard_deviation(least, std):
    agent, routing, mean = _narrow(least)
    raw = mean + std * _inputs(agent, _batch(), routing).batch.noise
    squash = 2 * (math.log(2) - raw - torch.nn.functional.softplus(-2 * raw))
    log_prob = (torch.distributions.Normal(mean, std).log_prob(raw) - squash).sum(-1)
    found = agent.update(_batch(), routing, routing)["entropy"]
    torch.testing.assert_close(found, -log_prob.mean(), rtol=1e-4, atol=1e-4)


def test_actions_have_the_settings_largest_standard_deviation():
    agent, routing = _agent(log_std_max=-3.0)
    state, rows = agent.rng.get_state(), _batch().observations
    drawn = agent.act(rows[:, 0], routing)
    agent.rng.set_state(state)
    output = agent.actor(rows, routing)[0]
    assert output[..., 4:].min() > -3  # it asks for more
    torch.testing.assert_close(drawn, torch.tanh(output[:, 0, :4] + math.exp(-3) * agent._noise(2, 1, 4)[:, 0]))


def test_bounds_of_the_standard_deviation_are_in_order():
    with pytest.raises(ConfigError, match=r"sac.log_std_min = -2.0: must be below sac.log_std_max, which is -3.0"):
        build_config({"sac": {"log_std_min": -2.0, "log_std_max": -3.0}})


def test_an_actor_that_does_not_wait_for_the_critics_cannot_leave_out_their_diverging_tasks():
    with pytest.raises(ConfigError, match=r"sac.mask_loss_above = 10: must be null with sac.simultaneous = true"):
        build_config({"sac": {"simultaneous": True, "mask_loss_above": 10}})


def test_greedy_actions_do_not_draw_noise_and_are_the_tanh_of_the_mean():
    agent, routing = _agent()
    observations = _batch().observations[:, 0]
    state = agent.rng.get_state()
    action = agent.act(observations, routing, greedy=True)
    assert torch.equal(agent.rng.get_state(), state)
    assert torch.equal(action, torch.tanh(gaussian(agent.actor(observations[:, None], routing)[0])[0])[:, 0])


def test_growth_adds_the_module_everywhere_with_fresh_state_and_keeps_all_else():
    agent, routing = _agent()
    for _ in range(3):
        agent.update(_batch(), routing, routing)
    parameters = {
        name: _numbers(getattr(agent, name)) for name in ("actor", "actor_ema", "critics", "target_critics")
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
    agent, routing = _agent()
    for seed in range(30):
        losses = agent.update(_batch(seed=seed), routing, routing)
    assert all(math.isfinite(float(value)) for value in losses.values())
    assert torch.isfinite(agent.act(_batch().observations[:, 0], routing)).all()


def test_the_temperatures_derivative_is_their_losss_value_at_one():
    log_alpha, log_prob = torch.tensor([0.3, -2.0], requires_grad=True), torch.tensor([5.0, -9.0])
    [expected] = torch.autograd.grad(temperature_loss(log_alpha, log_prob, -4.0).sum(), log_alpha)
    assert expected.tolist() == [-1.0, 13.0]
    assert torch.equal(temperature_loss(1.0, log_prob, -4.0), expected)


def test_actor_and_critics_each_follow_a_routing_of_their_own():
    agent, routing = _agent()
    swapped = routing.map(lambda weights: weights.flip(0))
    assert not torch.equal(swapped.output, routing.output)
    shard, *_ = _inputs(agent, _batch(), routing)
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
    assert torch.equal(agent.update(_batch(), swapped, routing)["critic_loss"], expected.sum() / (TASKS * BATCH))


@pytest.mark.parametrize("rows", [1, BATCH])
def test_the_actors_loss_gives_its_routing_the_same_gradient_in_one_shard_and_in_two(rows):
    found = []
    for shards in (1, 2):
        agent, routing = _agent()
        agent.executor.pool = ShardPool(shards)
        own = routing.map(lambda weights: weights.repeat_interleave(rows, dim=1).requires_grad_())
        agent.update(_batch(), own, routing)
        found.append((own.inputs.grad, own.output.grad))
    for one, two in zip(*found, strict=True):
        assert one.shape[1] == rows
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-7)
    assert found[0][1].abs().max() > 0


class _Products(TorchDispatchMode):
    """Counts the operations of all matrix products."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        aten = torch.ops.aten
        factors = {aten.mm: args[:2], aten.bmm: args[:2], aten.baddbmm: args[1:3]}.get(function.overloadpacket)
        if factors:
            self.operations += 2 * factors[0].numel() * factors[1].shape[-1]
        return function(*args, **(kwargs or {}))


def test_operations_are_those_of_the_products_that_an_update_takes():
    agent, routing = _agent(batch_size=BATCH)
    with _Products() as products:
        agent.update(_batch(), routing, routing)
    assert products.operations == agent.operations(routing.stages)


def test_learning_rate_of_the_papers_relatives_is_the_default():
    assert Sac().learning_rate == 3e-4
    assert np.isclose(Sac().gamma, 0.99)


# ------------------------------------------------------------------------------------------- tasks that are left out


def _exploding(seed):
    """Transitions whose first task has enormous rewards; the second task's are the same for every *seed*."""
    batch, other = _batch(), _batch(seed=seed)
    for name in ("observations", "actions", "next_observations"):
        getattr(batch, name)[0] = getattr(other, name)[0]
    batch.rewards[0] = 1e4 * (1 + other.rewards[0])
    return batch


def _weights(agent):
    parts = (agent.actor, agent.critics, agent.target_critics, agent.actor_ema)
    return [agent.log_temperature, *(p for part in parts for p in part.parameters())]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tasks_train_as_if_one_whose_loss_explodes_were_not_there(precision):
    ends = []
    for seed in (1, 2):
        agent, routing = _agent(mask_loss_above=1e3, precision=precision)
        losses = [agent.update(_exploding(seed), routing, routing) for _ in range(3)]
        assert [each["masked"].tolist() for each in losses] == [[1, 0]] * 3
        assert all(each["critic_loss"] < 1e3 for each in losses)
        ends.append(_weights(agent))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_the_gradient_is_that_of_the_other_tasks_share_of_the_loss():
    (agent, routing), (twin, _) = (_agent(mask_loss_above=1e3, gradient_clip=1e9) for _ in range(2))
    batch = _exploding(1)
    losses = critic_loss(twin.nets, *_inputs(twin, batch, routing), twin._terms())
    of_task = losses.per_transition().mean(2).sum(0)[1]
    expected = torch.autograd.grad(of_task / TASKS, list(twin.critics.parameters()))
    agent.update(batch, routing, routing)
    for parameter, gradient in zip(agent.critics.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_a_goal_that_overflows_is_above_every_limit_and_skips_no_update():
    agent, routing = _agent(mask_loss_above=1e30)
    batch = _batch()
    batch.rewards[1, 3] = torch.inf
    losses = agent.update(batch, routing, routing)
    assert losses["masked"].tolist() == [0, 1]
    assert losses["skipped"] == 0
    assert all(torch.isfinite(weight).all() for weight in _weights(agent))


def test_a_task_whose_actor_loss_alone_is_above_still_trains_the_critics():
    (agent, routing), (twin, _) = (_agent(mask_loss_above=1e3) for _ in range(2))
    for each in (agent, twin):
        with torch.no_grad():
            each.actor.core.tensors()[-1][..., 4:] = -8.0  # hardly any noise: log probabilities far above 0
    with torch.no_grad():
        agent.log_temperature[0] = 8.0
    before = agent.log_temperature.clone()
    # Without a next value the critics do not know of the temperature.
    losses = [each.update(_batch(discount=0.0), routing, routing) for each in (agent, twin)]
    assert [each["masked"].tolist() for each in losses] == [[1, 0], [0, 0]]
    assert torch.equal(losses[0]["critic_loss"], losses[1]["critic_loss"])
    assert all(torch.equal(a, b) for a, b in zip(agent.critics.parameters(), twin.critics.parameters(), strict=True))
    assert (agent.log_temperature != before).tolist() == [False, True]
    assert abs(losses[0]["actor_loss"]) < 1e3


def test_a_limit_that_no_loss_reaches_changes_no_bit():
    (plain, routing), (limited, _) = _agent(), _agent(mask_loss_above=1e30)
    for seed in range(3):
        losses = [agent.update(_batch(seed=seed), routing, routing) for agent in (plain, limited)]
        assert losses[1].pop("masked").tolist() == [0, 0]
        assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(_weights(plain), _weights(limited), strict=True))


def test_shards_of_a_batch_leave_out_the_same_tasks():
    ends = []
    for shards in (1, 2, 2):
        agent, routing = _agent(mask_loss_above=1e3, gradient_clip=1e9)
        agent.executor.pool = ShardPool(shards)
        batch = _exploding(1)
        # The second shard alone does not show it.
        batch.rewards[0, BATCH // 2 :] = 0
        assert agent.update(batch, routing, routing)["masked"].tolist() == [1, 0]
        ends.append([parameter.grad for each in (agent.critics, agent.actor) for parameter in each.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends[1:], strict=True))
    for one, two in zip(*ends[:2], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shards", [1, 2])
def test_modules_that_no_task_uses_are_left_alone(shards):
    agent, routing = _agent()
    agent.executor.pool = ShardPool(shards)
    agent.grow()
    before = _numbers(agent.actor.pool[-1])
    agent.update(_batch(), routing, routing)
    assert all(torch.equal(before[name], value) for name, value in agent.actor.pool[-1].state_dict().items())
