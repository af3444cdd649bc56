"""How far tasks' gradients agree: the cosine between them, below 0 a conflict (Yu et al. 2020, "Gradient surgery").

All parameters count, those that a task has for itself among them: these agree with no other task's gradient and draw
the cosine towards 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def cosines(losses: Tensor, weights: list[nn.Parameter]) -> Tensor:
    """(tasks, tasks): the cosine between every two gradients of *losses* (tasks,); 0 where one is 0 or not finite."""
    gradients = torch.stack([_flat(loss, weights) for loss in losses])
    directions = nn.functional.normalize(gradients, dim=1, eps=1e-30)
    return torch.nan_to_num(directions @ directions.T)


def _flat(loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for w, g in pairs])


def summary(cosine: Tensor, names: list[str]) -> dict[str, Any]:
    """Of a matrix of :func:`cosines`: ``conflicting``, the share of pairs below 0; ``cosine``, each task's mean."""
    n = len(names)
    others = cosine[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    means = others.mean(1).tolist()
    return {"conflicting": float((others < 0).float().mean()), "cosine": dict(zip(names, means, strict=True))}
