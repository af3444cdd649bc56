"""The losses of soft actor-critic (Haarnoja et al. 2018), as functions of networks, transitions and routings.

Nothing here knows of threads, masks, devices or optimizers, and every source of randomness is an argument.
Actor and critics each have a routing of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoevo_mega.agents.distribution import LOG_STD_MIN, tanh_gaussian
from genoevo_mega.networks import Routing


class Networks(NamedTuple):
    """The networks of an agent.

    The actor maps an observation to mean and log standard deviation of an action, a critic maps observation and
    action to a value. ``target_critics`` and ``actor_ema`` are moving averages of ``critics`` and ``actor``.
    """

    actor: nn.Module
    critics: nn.Module
    target_critics: nn.Module
    actor_ema: nn.Module


class Shard(NamedTuple):
    """Some transitions of every task, and the standard normal noise of their next and present actions.

    Shapes are (tasks, n, observation_size), (tasks, n, action_size) and (tasks, n), all float32; ``discounts`` is 0
    if the task itself ended.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    discounts: Tensor
    next_noise: Tensor
    noise: Tensor


class TaskLoss(NamedTuple):
    """A loss of every transition, before tasks are masked and transitions averaged.

    ``values`` is (..., tasks, n); the loss is its square if ``squared``. ``info`` holds detached sums over the
    transitions, which are added over shards.
    """

    values: Tensor
    squared: bool
    info: dict[str, Tensor]

    def per_transition(self, active: Tensor | None = None) -> Tensor:
        """Return the losses (..., tasks, n), with 0 for tasks that are not *active* (tasks,) bool.

        Values are masked before they are squared: the derivative of an infinite square times 0 is not a number.
        """
        values = mask_tasks(active, self.values)
        return values.square() if self.squared else values


def critic_loss(
    nets: Networks,
    shard: Shard,
    actor_routing: Routing,
    critic_routing: Routing,
    *,
    alpha: Tensor,
    reward_scale: float,
    log_std_min: float = LOG_STD_MIN,
) -> TaskLoss:
    """Return the squared TD error (2, tasks, n) of both critics against the clipped double-Q soft target.

    *alpha* (tasks, 1) holds the temperatures. ``info["value"]`` is the sum of all predicted values.
    """
    with torch.no_grad():
        output = nets.actor(shard.next_observations, actor_routing)[0]
        next_action, next_log_prob = tanh_gaussian(output, shard.next_noise, log_std_min)
        next_q = q_values(nets.target_critics, shard.next_observations, next_action, critic_routing).amin(0)
        td_target = reward_scale * shard.rewards + shard.discounts * (next_q - alpha * next_log_prob)
    q = q_values(nets.critics, shard.observations, shard.actions, critic_routing)
    return TaskLoss(q - td_target, True, {"value": q.detach().sum()})


def actor_loss(
    nets: Networks,
    shard: Shard,
    actor_routing: Routing,
    critic_routing: Routing,
    *,
    alpha: Tensor,
    log_std_min: float = LOG_STD_MIN,
) -> TaskLoss:
    """Return alpha log pi(a|s) - min Q(s, a), (tasks, n).

    Gradients reach the actor and, if its weights require grad, *actor_routing*. ``info["log_prob"]`` (tasks,) is the
    sum of log probabilities.
    """
    output = nets.actor(shard.observations, actor_routing)[0]
    action, log_prob = tanh_gaussian(output, shard.noise, log_std_min)
    q = q_values(nets.critics, shard.observations, action, critic_routing).amin(0)
    return TaskLoss(alpha * log_prob - q, False, {"log_prob": log_prob.detach().sum(1)})


def temperature_loss(log_alpha: Tensor | float, log_prob: Tensor, target_entropy: Tensor | float) -> Tensor:
    """Return -log alpha (log pi + target entropy), (tasks,), for mean log probabilities *log_prob* (tasks,).

    *target_entropy* is one number or (tasks,).
    It is linear in *log_alpha*: its derivative is its value at ``log_alpha = 1.0``.
    """
    return -log_alpha * (log_prob + target_entropy)


def q_values(critics: nn.Module, observations: Tensor, actions: Tensor, routing: Routing) -> Tensor:
    """Return both critics' values (2, tasks, n)."""
    values: Tensor = critics(torch.cat([observations, actions], dim=-1), routing)[..., 0]
    return values


def mask_tasks(active: Tensor | None, x: Tensor) -> Tensor:
    """Return *x* (..., tasks, n) with zeros, also for gradients, for tasks that are not *active* (tasks,) bool.

    None means that every task is active.
    """
    return x if active is None else torch.where(active[:, None], x, 0)
