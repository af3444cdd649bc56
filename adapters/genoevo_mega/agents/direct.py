"""The losses of soft actor-critic and their gradients, for critics of compiled functions.

:mod:`genoevo_mega.agents.losses` is the definition, and the names are its own. Each function takes what the loss
takes, and the number of transitions of all tasks and shards; it returns gradients by parameter, the loss's share of
the mean, and what the loss's ``info`` holds. Autograd differentiates an actor that has no compiled functions, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genoevo_mega import kernels
from genoevo_mega.agents.compiled import CompiledPrediction, squashed, through_squashed
from genoevo_mega.agents.critic_step import critic_step
from genoevo_mega.agents.losses import Networks, Shard, Terms
from genoevo_mega.agents.step import StepInputs
from genoevo_mega.agents.value import Prediction
from genoevo_mega.networks import Routing
from genoevo_mega.networks.compiled import Back, Gradients
from genoevo_mega.networks.embedding import beside, task_vectors_of, without_vectors

Found = tuple[dict[nn.Parameter, Tensor | None], Tensor, dict[str, Tensor]]


def usable(nets: Networks, step: StepInputs, prediction: Prediction) -> bool:
    """Return whether compiled functions compute the critics in this step, which has one genotype of each task."""
    if not isinstance(prediction, CompiledPrediction) or not kernels.usable(*step.batch):
        return False
    routings = step.actor_routing, step.critic_routing
    if step.actor_routing.requires_grad or any(routing.output.shape[1] != 1 for routing in routings):
        return False
    critics = without_vectors(nets.critics), without_vectors(nets.target_critics)
    return all(_is_compiled(network, step.batch.observations, step.critic_routing) for network in critics)


@torch.no_grad()
def critic_gradients(
    nets: Networks,
    shard: Shard,
    actor_routing: Routing,
    critic_routing: Routing,
    terms: Terms,
    count: int,
    meanwhile: Callable[[], None] | None = None,
) -> Found:
    """Differentiate :func:`~genoevo_mega.agents.losses.critic_loss`.

    *meanwhile* is called before the long call of :mod:`~genoevo_mega.agents.critic_step`.
    """
    output = nets.policy(shard.next_observations, actor_routing)
    next_action, next_log_prob = squashed(output, shard.next_noise, terms.bounds)
    rows = torch.cat([shard.observations, shard.actions], dim=-1)
    next_rows = torch.cat([shard.next_observations, next_action], dim=-1)
    fixed = terms.reward_scale * shard.rewards - shard.discounts * (terms.alpha * next_log_prob)
    given = rows, next_rows, critic_routing, fixed, shard.discounts, terms.prediction, count
    gradients, loss, values = critic_step(nets.critics, nets.target_critics, *given, meanwhile)
    return gradients, loss, {"value": values}


@torch.no_grad()
def actor_gradients(
    nets: Networks, shard: Shard, actor_routing: Routing, critic_routing: Routing, terms: Terms, count: int
) -> Found:
    """Differentiate :func:`~genoevo_mega.agents.losses.actor_loss`."""
    prediction: Any = terms.prediction
    observations = shard.observations
    seen = beside(observations, task_vectors_of(nets.critics))
    output, back_actor = _recorded(nets.actor, seen, actor_routing)
    action, log_prob = squashed(output, shard.noise, terms.bounds)
    rows = torch.cat([observations, action], dim=-1)
    outputs, back_critics = nets.critics.recorded(rows, critic_routing)  # type: ignore[operator]
    q, gradient = prediction.joined_and_gradient(outputs, -1 / count)
    of_rows, _ = back_critics(gradient, True, False)
    of_log_prob = (terms.alpha / count).expand_as(log_prob)
    of_output = through_squashed(
        output, shard.noise, terms.bounds, action, of_rows[..., observations.shape[-1] :], of_log_prob
    )
    _, found = back_actor(of_output, False, True)
    return dict(found), (terms.alpha * log_prob - q).sum() / count, {"log_prob": log_prob.sum(1)}


def _is_compiled(network: nn.Module, x: Tensor, routing: Routing) -> bool:
    return hasattr(network, "recorded") and network.is_compiled_for(x, routing)  # type: ignore[operator]


def _recorded(network: nn.Module, x: Tensor, routing: Routing) -> tuple[Tensor, Back]:
    """Return the output of *network* and the function of its weights' gradient, by autograd if it is not compiled."""
    if _is_compiled(network, x, routing):
        return network.recorded(x, routing)  # type: ignore[operator,no-any-return]
    with torch.enable_grad():
        output = network(x, routing)

    def back(gradient: Tensor, needs_x: bool, needs_weights: bool) -> Gradients:
        assert not needs_x
        parameters = list(network.parameters())
        found = torch.autograd.grad(output, parameters, gradient, allow_unused=True)
        return None, list(zip(parameters, found, strict=True))

    return output.detach(), back
