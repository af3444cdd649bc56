"""The losses of soft actor-critic (Haarnoja et al. 2018), as functions of networks, transitions and routings.

Nothing here knows of threads, masks, devices or optimizers, and every source of randomness is an argument.
Actor and critics each have a routing of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoevo_mega.agents.distribution import BOUNDS, Bounds, tanh_gaussian
from genoevo_mega.agents.value import SQUARED, Prediction
from genoevo_mega.networks import Routing
from genoevo_mega.networks.embedding import beside, task_vectors_of


class Networks(NamedTuple):
    """The networks of an agent.

    The actor maps an observation to mean and log standard deviation of an action, a critic maps observation and
    action to the outputs of :class:`~genoevo_mega.agents.value.Prediction`. ``target_critics`` and ``actor_ema`` are
    moving averages of ``critics`` and ``actor``.
    """

    actor: nn.Module
    critics: nn.Module
    target_critics: nn.Module
    actor_ema: nn.Module

    def policy(self, observations: Tensor, routing: Routing, *, averaged: bool = False) -> Tensor:
        """Return the output (tasks, n, 2 action_size) of the actor, or of its moving average.

        Beside observations it reads the critics' vector of its task, if they have any, without gradient.
        """
        actor = self.actor_ema if averaged else self.actor
        output: Tensor = actor(beside(observations, task_vectors_of(self.critics)), routing)[0]
        return output


class Weights(NamedTuple):
    """The parameters of an agent's networks, in their order: listing them takes longer than a small product."""

    actor: list[nn.Parameter]
    critics: list[nn.Parameter]
    target_critics: list[nn.Parameter]
    actor_ema: list[nn.Parameter]

    @classmethod
    def of(cls, networks: Iterable[nn.Module]) -> Weights:
        """List the parameters of *networks*, in the order of the fields, until a module comes or goes."""
        return cls(*(list(network.parameters()) for network in networks))


class Terms(NamedTuple):
    """What the losses need beside networks, transitions and routings.

    ``alpha`` (tasks, 1) holds the temperatures. ``reward_scale`` is one factor of rewards, or one of each task
    (tasks, 1). ``bounds`` are those of :func:`~genoevo_mega.agents.distribution.gaussian`. ``draw`` is
    :func:`~genoevo_mega.agents.distribution.tanh_gaussian`, or a function that computes the same.
    """

    alpha: Tensor
    reward_scale: Tensor | float = 1.0
    bounds: Bounds = BOUNDS
    prediction: Prediction = SQUARED
    draw: Callable[[Tensor, Tensor, Bounds], tuple[Tensor, Tensor]] = tanh_gaussian


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

    The loss (..., tasks, n) is what ``combine`` makes of ``parts``, each (..., tasks, n). ``info`` holds detached
    sums over the transitions, which are added over shards.
    """

    parts: tuple[Tensor, ...]
    combine: Callable[..., Tensor]
    info: dict[str, Tensor]

    def per_transition(self, active: Tensor | None = None) -> Tensor:
        """Return the losses (..., tasks, n), with 0 for tasks that are not *active* (tasks,) bool.

        Parts are masked before they are combined: the derivative of an infinite square times 0 is not a number.
        """
        return self.combine(*(mask_tasks(active, part) for part in self.parts))


def critic_loss(
    nets: Networks, shard: Shard, actor_routing: Routing, critic_routing: Routing, terms: Terms
) -> TaskLoss:
    """Return the loss (2, tasks, n) of both critics against the soft target of their joined target values.

    ``info["value"]`` is the sum of all predicted values.
    """
    prediction = terms.prediction
    with torch.no_grad():
        output = nets.policy(shard.next_observations, actor_routing)
        next_action, next_log_prob = terms.draw(output, shard.next_noise, terms.bounds)
        next_q = q_values(nets.target_critics, shard.next_observations, next_action, critic_routing, prediction)
        next_q = prediction.joined(next_q)
        td_target = terms.reward_scale * shard.rewards + shard.discounts * (next_q - terms.alpha * next_log_prob)
    outputs = q_outputs(nets.critics, shard.observations, shard.actions, critic_routing)
    parts, combine = prediction.compared(outputs, td_target)
    return TaskLoss(parts, combine, {"value": prediction.value(outputs.detach()).sum()})


def actor_loss(
    nets: Networks, shard: Shard, actor_routing: Routing, critic_routing: Routing, terms: Terms
) -> TaskLoss:
    """Return alpha log pi(a|s) - Q(s, a), (tasks, n), for the joined value Q of both critics.

    Gradients reach the actor and, if its weights require grad, *actor_routing*. ``info["log_prob"]`` (tasks,) is the
    sum of log probabilities.
    """
    output = nets.policy(shard.observations, actor_routing)
    action, log_prob = terms.draw(output, shard.noise, terms.bounds)
    q = q_values(nets.critics, shard.observations, action, critic_routing, terms.prediction)
    q = terms.prediction.joined(q)
    return TaskLoss((terms.alpha * log_prob - q,), _as_it_is, {"log_prob": log_prob.detach().sum(1)})


def _as_it_is(loss: Tensor) -> Tensor:
    return loss


def temperature_loss(log_alpha: Tensor | float, log_prob: Tensor, target_entropy: Tensor | float) -> Tensor:
    """Return -log alpha (log pi + target entropy), (tasks,), for mean log probabilities *log_prob* (tasks,).

    *target_entropy* is one number or (tasks,).
    It is linear in *log_alpha*: its derivative is its value at ``log_alpha = 1.0``.
    """
    return -log_alpha * (log_prob + target_entropy)


def q_outputs(critics: nn.Module, observations: Tensor, actions: Tensor, routing: Routing) -> Tensor:
    """Return both critics' outputs (2, tasks, n, outputs)."""
    outputs: Tensor = critics(torch.cat([observations, actions], dim=-1), routing)
    return outputs


def q_values(
    critics: nn.Module, observations: Tensor, actions: Tensor, routing: Routing, prediction: Prediction = SQUARED
) -> Tensor:
    """Return both critics' values (2, tasks, n)."""
    return prediction.value(q_outputs(critics, observations, actions, routing))


def mask_tasks(active: Tensor | None, x: Tensor) -> Tensor:
    """Return *x* (..., tasks, n) with zeros, also for gradients, for tasks that are not *active* (tasks,) bool.

    None means that every task is active.
    """
    return x if active is None else torch.where(active[:, None], x, 0)
