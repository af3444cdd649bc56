import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genoevo_mega import sac
from genoevo_mega.build import make_agent
from genoevo_mega.config import Sac, build_config, preset
from genoevo_mega.evolve import Evolver
from genoevo_mega.replay import Batch
from genoevo_mega.tasks import MetaWorldSuite

TASKS, BATCH = 2, 16
SUITE = MetaWorldSuite(("reach-v3", "drawer-close-v3"), seed=1)


def _agent(**sac):
    config = build_config(preset("smoke"), {"sac": sac})
    return make_agent(config, SUITE), Evolver.fresh(config, list(SUITE.names), 1).acting()


def _batch(discount=0.99, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = TASKS, BATCH
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng) * 2 - 1,
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, discount),
        torch.zeros(shape, dtype=torch.int64),
    )


def _numbers(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_log_probability_is_that_of_the_squashed_gaussian():
    agent, routing = _agent()
    observations = _batch().observations
    noise = torch.randn(TASKS, BATCH, 4, generator=torch.Generator().manual_seed(3))
    action, log_prob = agent._sample(observations, routing, noise)
    mean, log_std = agent._policy(observations, routing)
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
        action, log_prob = agent._sample(batch.next_observations, routing, agent._noise(2, TASKS, BATCH, 4)[0])
        joined = torch.cat([batch.next_observations, action], -1)
        future = (
            agent.targets(joined, routing)[..., 0].min(0).values - agent.log_temperature.exp()[:, None] * log_prob
        )
        goal = 0.5 * batch.rewards + discount * future
        value = agent.critics(torch.cat([batch.observations, batch.actions], -1), routing)[..., 0]
        expected = ((value - goal) ** 2).mean(dim=(1, 2)).sum()
    agent.rng.set_state(state)
    torch.testing.assert_close(agent.update(batch, routing)["critic_loss"], expected)


def test_the_first_step_follows_the_gradient_of_the_written_out_losses():
    agent, routing = _agent(gradient_clip=1e9)
    twin, _ = _agent(gradient_clip=1e9)
    batch = _batch()
    agent.update(batch, routing)

    temperature = twin.log_temperature.detach().exp()[:, None]
    with torch.no_grad():
        action, log_prob = twin._sample(batch.next_observations, routing, twin._noise(2, TASKS, BATCH, 4)[0])
        future = twin._value(twin.targets, batch.next_observations, action, routing).min(0).values
        goal = batch.rewards + 0.99 * (future - temperature * log_prob)
    loss = (twin._value(twin.critics, batch.observations, batch.actions, routing) - goal).square().mean((1, 2)).sum()
    loss.backward()
    # Adam's first step moves every weight by the learning rate against the sign of its gradient.
    for mine, theirs in zip(agent.critics.parameters(), twin.critics.parameters(), strict=True):
        clear = theirs.grad.abs() > 1e-6
        moved = (mine - theirs)[clear]
        torch.testing.assert_close(moved, -3e-4 * theirs.grad[clear].sign(), rtol=1e-2, atol=1e-7)


def test_the_actors_step_leaves_no_gradient_in_the_critics():
    agent, routing = _agent()
    actions = _batch().actions.requires_grad_()
    with sac._frozen(agent.critics):
        value = agent._value(agent.critics, _batch().observations, actions, routing)
    value.sum().backward()
    assert actions.grad.abs().max() > 0
    assert all(p.grad is None and p.requires_grad for p in agent.critics.parameters())


@pytest.mark.parametrize(
    ("share", "follower", "network"), [("tau", "targets", "critics"), ("average", "averaged", "actor")]
)
def test_targets_and_average_move_by_their_share(share, follower, network):
    agent, routing = _agent(**{share: 0.25})
    before = _numbers(getattr(agent, follower))
    agent.update(_batch(), routing)
    after = getattr(agent, follower).state_dict()
    for name, weight in getattr(agent, network).state_dict().items():
        expected = 0.75 * before[name] + 0.25 * weight
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=1e-6)


def test_greedy_actions_use_the_moving_average_of_the_actor():
    agent, routing = _agent(average=0.25)
    agent.update(_batch(), routing)
    observations = _batch().observations[:, 0]
    mean, _ = agent.averaged(observations[:, None], routing)[0].chunk(2, dim=-1)
    assert torch.equal(agent.act(observations, routing, greedy=True), torch.tanh(mean)[:, 0])


def test_by_default_the_average_is_the_actor_itself():
    agent, routing = _agent()
    agent.update(_batch(), routing)
    averaged = agent.averaged.state_dict()
    assert all(torch.equal(averaged[name], weight) for name, weight in agent.actor.state_dict().items())


def test_gradients_are_clipped_to_the_norm():
    agent, routing = _agent(gradient_clip=1e-3)
    agent.update(_batch(), routing)
    norm = torch.nn.utils.get_total_norm([p.grad for p in agent.critics.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_each_temperature_moves_toward_its_tasks_target_entropy():
    agent, routing = _agent()
    with torch.no_grad():
        agent.actor.core.tensors()[-1][..., 4:] = -8.0  # hardly any noise: entropy far below -|A|
    agent.update(_batch(), routing)
    assert (agent.log_temperature > 0).all()


def test_greedy_actions_do_not_draw_noise_and_are_the_tanh_of_the_mean():
    agent, routing = _agent()
    observations = _batch().observations[:, 0]
    state = agent.rng.get_state()
    action = agent.act(observations, routing, greedy=True)
    assert torch.equal(agent.rng.get_state(), state)
    assert torch.equal(action, torch.tanh(agent._policy(observations[:, None], routing)[0])[:, 0])


def test_growth_adds_the_module_everywhere_with_fresh_state_and_keeps_all_else():
    agent, routing = _agent()
    for _ in range(3):
        agent.update(_batch(), routing)
    parameters = {name: _numbers(getattr(agent, name)) for name in ("actor", "averaged", "critics", "targets")}
    old = {name: list(getattr(agent, name).parameters()) for name in ("actor", "critics")}
    moments = {name: [agent.optimisers[name].state[p]["exp_avg"].clone() for p in old[name]] for name in old}
    agent.grow()
    for name, before in parameters.items():
        network = getattr(agent, name)
        assert len(network.pool) == 3
        assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    for name in old:
        kept = [agent.optimisers[name].state[p]["exp_avg"] for p in old[name]]
        assert all(torch.equal(a, b) for a, b in zip(moments[name], kept, strict=True))
        assert all(p not in agent.optimisers[name].state for p in getattr(agent, name).pool[-1].parameters())
    new = agent.targets.pool[-1].state_dict()
    assert all(torch.equal(new[key], value) for key, value in agent.critics.pool[-1].state_dict().items())
    assert not any(p.requires_grad for p in agent.targets.parameters())


def test_losses_and_actions_of_many_updates_stay_finite():
    agent, routing = _agent()
    for seed in range(30):
        losses = agent.update(_batch(seed=seed), routing)
    assert all(math.isfinite(float(value)) for value in losses.values())
    assert torch.isfinite(agent.act(_batch().observations[:, 0], routing)).all()


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
        agent.update(_batch(), routing)
    assert products.operations == agent.operations(routing.stages)


def test_learning_rate_of_the_papers_relatives_is_the_default():
    assert Sac().learning_rate == 3e-4
    assert np.isclose(Sac().gamma, 0.99)
