"""Updates that leave out tasks whose loss is too large, and modules that no task uses."""

import pytest
import torch

from genoevo_mega.agents.losses import critic_loss
from genoevo_mega.agents.threads import ShardPool
from tests.mega.updates import BATCH, TASKS, drawn_batch, inputs_of, numbers_of, sac_agent, weights_of


def _exploding(seed):
    """Transitions whose first task has enormous rewards; the second task's are the same for every *seed*."""
    batch, other = drawn_batch(), drawn_batch(seed=seed)
    for name in ("observations", "actions", "next_observations"):
        getattr(batch, name)[0] = getattr(other, name)[0]
    batch.rewards[0] = 1e4 * (1 + other.rewards[0])
    return batch


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tasks_train_as_if_one_whose_loss_explodes_were_not_there(precision):
    ends = []
    for seed in (1, 2):
        agent, routing = sac_agent(mask_loss_above=1e3, precision=precision)
        losses = [agent.update(_exploding(seed), routing, routing) for _ in range(3)]
        assert [each["masked"].tolist() for each in losses] == [[1, 0]] * 3
        assert all(each["critic_loss"] < 1e3 for each in losses)
        ends.append(weights_of(agent))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_the_gradient_is_that_of_the_other_tasks_share_of_the_loss():
    (agent, routing), (twin, _) = (sac_agent(mask_loss_above=1e3, gradient_clip=1e9) for _ in range(2))
    batch = _exploding(1)
    losses = critic_loss(twin.nets, *inputs_of(twin, batch, routing), twin._terms())
    of_task = losses.per_transition().mean(2).sum(0)[1]
    expected = torch.autograd.grad(of_task / TASKS, list(twin.critics.parameters()))
    agent.update(batch, routing, routing)
    for parameter, gradient in zip(agent.critics.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_a_goal_that_overflows_is_above_every_limit_and_skips_no_update():
    agent, routing = sac_agent(mask_loss_above=1e30)
    batch = drawn_batch()
    batch.rewards[1, 3] = torch.inf
    losses = agent.update(batch, routing, routing)
    assert losses["masked"].tolist() == [0, 1]
    assert losses["skipped"] == 0
    assert all(torch.isfinite(weight).all() for weight in weights_of(agent))


def test_a_task_whose_actor_loss_alone_is_above_still_trains_the_critics():
    (agent, routing), (twin, _) = (sac_agent(mask_loss_above=1e3) for _ in range(2))
    for each in (agent, twin):
        with torch.no_grad():
            each.actor.core.tensors()[-1][..., 4:] = -8.0  # hardly any noise: log probabilities far above 0
    with torch.no_grad():
        agent.log_temperature[0] = 8.0
    before = agent.log_temperature.clone()
    # Without a next value the critics do not know of the temperature.
    losses = [each.update(drawn_batch(discount=0.0), routing, routing) for each in (agent, twin)]
    assert [each["masked"].tolist() for each in losses] == [[1, 0], [0, 0]]
    assert torch.equal(losses[0]["critic_loss"], losses[1]["critic_loss"])
    assert all(torch.equal(a, b) for a, b in zip(agent.critics.parameters(), twin.critics.parameters(), strict=True))
    assert (agent.log_temperature != before).tolist() == [False, True]
    assert abs(losses[0]["actor_loss"]) < 1e3


def test_a_limit_that_no_loss_reaches_changes_no_bit():
    (plain, routing), (limited, _) = sac_agent(), sac_agent(mask_loss_above=1e30)
    for seed in range(3):
        losses = [agent.update(drawn_batch(seed=seed), routing, routing) for agent in (plain, limited)]
        assert losses[1].pop("masked").tolist() == [0, 0]
        assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(weights_of(plain), weights_of(limited), strict=True))


def test_shards_of_a_batch_leave_out_the_same_tasks():
    ends = []
    for shards in (1, 2, 2):
        agent, routing = sac_agent(mask_loss_above=1e3, gradient_clip=1e9)
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
    agent, routing = sac_agent()
    agent.executor.pool = ShardPool(shards)
    agent.grow()
    before = numbers_of(agent.actor.pool[-1])
    agent.update(drawn_batch(), routing, routing)
    assert all(torch.equal(before[name], value) for name, value in agent.actor.pool[-1].state_dict().items())
