"""Losses computed and differentiated in shards, one thread for each, with diverging tasks masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genoevo_mega.agents.losses import Shard, TaskLoss
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.networks import Routing

Work = tuple[Shard, Routing, Routing]
"""A shard with the routings of actor and critics for its transitions."""
Loss = Callable[..., TaskLoss]
Direct = Callable[..., tuple[dict[Any, Tensor | None], Tensor, dict[str, Tensor]]]


class Gradients(NamedTuple):
    """A loss and its gradients.

    ``gradients`` are in the order of the parameters, None for one that the loss does not depend on. ``loss`` is 0-d,
    the mean over all transitions of all tasks. ``info`` is the losses' own, summed over shards. ``active``
    (tasks,) bool marks the tasks that are not masked; None if no task ever is.
    """

    gradients: Sequence[Tensor | None]
    loss: Tensor
    info: dict[str, Tensor]
    active: Tensor | None


class Executor:
    """Computes losses and their gradients.

    Parameters
    ----------
    threads
        Threads that share an update.
    limit
        A task whose mean loss is above it, or is not a number, adds nothing to loss and gradients; None for no limit.

    """

    def __init__(self, threads: int, limit: float | None) -> None:
        self.pool, self.limit = ShardPool(threads), limit

    def split(self, batch: Shard, actor_routing: Routing, critic_routing: Routing, at_once: int = 1) -> list[Work]:
        """Split the transitions into shards, and the routings with them if they have one genotype for each.

        There are enough threads for the shards of *at_once* losses.
        """
        wanted = self.pool.size // at_once
        if wanted <= 1:
            return [(batch, actor_routing, critic_routing)]
        shards = len(batch.rewards.chunk(wanted, dim=1))  # a tensor may have fewer chunks than asked for
        chunks = zip(*(tensor.chunk(shards, dim=1) for tensor in batch), strict=True)
        routings = (routing.split(shards) for routing in (actor_routing, critic_routing))
        return [(Shard(*chunk), *pair) for chunk, *pair in zip(chunks, *routings, strict=True)]  # type: ignore[misc]

    def value_and_grad(
        self,
        loss: Loss,
        shards: Sequence[Work],
        parameters: Sequence[Tensor],
        active: Tensor | None = None,
        direct: Direct | None = None,
    ) -> Gradients:
        """Return *loss* of all *shards*, and its gradients with respect to *parameters*.

        *active* (tasks,) bool are the tasks that are not yet masked, None for all. The sum over active tasks is
        divided by the number of all transitions: a task's gradient does not depend on how many others are masked.
        Gradients are added in the order of the shards, so that results do not depend on the threads' timing.
        *direct* differentiates the loss by compiled functions (:mod:`genoevo_mega.agents.direct`). It cannot mask
        tasks.
        """
        count = sum(shard.rewards.numel() for shard, *_ in shards)

        def backward(task_loss: TaskLoss) -> tuple[Sequence[Tensor | None], Tensor, dict[str, Tensor]]:
            mean = task_loss.per_transition(active).sum() / count
            gradients = torch.autograd.grad(mean, parameters, allow_unused=True)
            return gradients, mean.detach(), task_loss.info

        def directly(work: Work) -> tuple[Sequence[Tensor | None], Tensor, dict[str, Tensor]]:
            assert direct is not None
            found, mean, info = direct(*work, count=count)
            return [found.get(parameter) for parameter in parameters], mean, info

        if direct is not None:
            results = self.pool.map(directly, shards)
        elif self.limit is None:  # each shard forward and back at once
            results = self.pool.map(lambda shard: backward(loss(*shard)), shards)
        else:  # all forward, to see whose loss is above the limit, then all back
            losses = self.pool.map(lambda shard: loss(*shard), shards)
            rows = sum(shard.rewards.shape[1] for shard, *_ in shards)
            below = torch.stack([_per_task(each) for each in losses]).sum(0) / rows <= self.limit
            active = below if active is None else active & below
            results = self.pool.map(backward, losses)
        gradients, values, infos = zip(*results, strict=True)
        info = {name: _total([each[name] for each in infos]) for name in infos[0]}
        return Gradients(_summed(gradients), _total(values), info, active)


def _per_task(loss: TaskLoss) -> Tensor:
    """Return each task's sum (tasks,)."""
    losses = loss.per_transition().detach()
    return losses.sum([axis for axis in range(losses.dim()) if axis != losses.dim() - 2])


def _summed(of_shards: Sequence[Sequence[Tensor | None]]) -> Sequence[Tensor | None]:
    """Add the gradients of all shards, in order, to the first shard's; None stays None."""
    total, *others = of_shards
    for gradients in others:
        for first, other in zip(total, gradients, strict=True):
            if first is not None and other is not None:
                first.add_(other)
    return total


def _total(of_shards: Sequence[Any]) -> Any:
    first, *others = of_shards
    return sum(others, first)
