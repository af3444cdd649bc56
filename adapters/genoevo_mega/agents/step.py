"""The inputs and the result of a gradient step of soft actor-critic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from genoevo_mega.agents.losses import Shard
from genoevo_mega.agents.replay import Batch
from genoevo_mega.networks import Routing


class StepInputs(NamedTuple):
    """A batch with its noise, and the routings of actor and critics, all on the agent's device.

    ``actor_routing`` has leaves that require grad if the actor's loss is differentiated with respect to them.
    """

    batch: Shard
    actor_routing: Routing
    critic_routing: Routing


class StepResult(NamedTuple):
    """The metrics of a step, and the gradients of :meth:`Routing.trainable` of the actor's routing."""

    metrics: dict[str, Tensor]
    routing_gradients: Sequence[Tensor | None]


class ActInputs(NamedTuple):
    """Observations (tasks, 1, observation_size), a routing, and noise (tasks, 1, action_size)."""

    observations: Tensor
    routing: Routing
    noise: Tensor


def step_inputs(
    batch: Batch,
    noise: Tensor,
    actor_routing: Routing,
    critic_routing: Routing,
    to_device: Callable[[Tensor], Tensor],
) -> StepInputs:
    """Return what a gradient step takes, moved by *to_device*; *noise* (2, tasks, n, action_size) is there."""
    shard = Shard(
        to_device(batch.observations),
        to_device(batch.actions),
        to_device(batch.rewards),
        to_device(batch.next_observations),
        to_device(batch.discounts),
        *noise,
    )
    of_critics = critic_routing.detached().map(to_device)
    of_actor = of_critics
    if actor_routing is not critic_routing:
        of_actor = actor_routing.detached().map(to_device)
    if actor_routing.requires_grad:
        of_actor = of_actor.leaves()
    return StepInputs(shard, of_actor, of_critics)
