"""The cosine between tasks' gradients; below 0 they conflict (Yu et al. 2020, "Gradient surgery").

All parameters count. Parameters that only one task uses agree with no other task's gradient and draw the cosine
towards 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genoevo_mega.agents.losses import Networks, Shard, Terms, actor_loss, critic_loss
from genoevo_mega.networks import Routing


def measure(
    nets: Networks, shard: Shard, actor_routing: Routing, critic_routing: Routing, terms: Terms
) -> dict[str, Tensor]:
    """Return the :func:`cosines` (tasks, tasks) of each loss, under ``critics`` and ``actor``; nothing is changed."""
    given = nets, shard, actor_routing, critic_routing, terms
    of_critics, of_actor = critic_loss(*given).per_transition(), actor_loss(*given).per_transition()
    return {
        "critics": cosines(of_critics.mean(2).sum(0), list(nets.critics.parameters())),
        "actor": cosines(of_actor.mean(1), list(nets.actor.parameters())),
    }


def cosines(losses: Tensor, weights: list[nn.Parameter]) -> Tensor:
    """Return the cosine between every two gradients of *losses* (tasks,), (tasks, tasks).

    It is 0 if one of them is 0 or not finite.
    """
    gradients = torch.stack([_flat(loss, weights) for loss in losses])
    directions = nn.functional.normalize(gradients, dim=1, eps=1e-30)
    return torch.nan_to_num(directions @ directions.T)


def _flat(loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for w, g in pairs])


def summary(cosine: Tensor, names: list[str]) -> dict[str, Any]:
    """Return two figures of a matrix of :func:`cosines`.

    ``conflicting`` is the share of pairs below 0, ``cosine`` each task's mean with the others.
    """
    n = len(names)
    others = cosine[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    means = others.mean(1).tolist()
    return {"conflicting": float((others < 0).float().mean()), "cosine": dict(zip(names, means, strict=True))}
