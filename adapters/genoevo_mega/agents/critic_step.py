"""The loss of residual critics and its gradient in one call of a compiled function.

The call holds Python's lock for none of its time, so that another thread can compute meanwhile
(``sac.simultaneous``). It computes what :func:`genoevo_mega.agents.direct.critic_gradients` composes of several calls
for other networks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genoevo_mega.agents.value import Prediction
from genoevo_mega.kernels import ADDRESS, NUMBER, SIZE, address, kernels
from genoevo_mega.networks.compiled import ResidualSizes
from genoevo_mega.networks.embedding import EmbeddedCritics, beside, without_vectors
from genoevo_mega.networks.residual import ResidualNetwork


class _Step(ctypes.Structure):
    """``CriticStep`` of ``kernels/critic.h``."""

    _fields_ = [
        ("sizes", ResidualSizes),
        *((name, ADDRESS) for name in ("rows", "next_rows", "flat", "target_flat", "fixed", "discounts", "numbers")),
        *((name, ADDRESS) for name in ("of_flat", "of_rows")),
        ("smoothing", NUMBER),
        ("share", NUMBER),
        ("minimum", SIZE),
    ]


def usable(critics: nn.Module) -> bool:
    """Return whether :func:`critic_step` computes the loss of *critics*."""
    return isinstance(without_vectors(critics), ResidualNetwork)


def critic_step(
    critics: Any,
    targets: Any,
    rows: Tensor,
    next_rows: Tensor,
    fixed: Tensor,
    discounts: Tensor,
    prediction: Prediction,
    count: int,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[dict[nn.Parameter, Tensor | None], Tensor, Tensor]:
    """Return gradients by parameter, the loss and the sum of all values, 0-d, of residual *critics*.

    *rows* and *next_rows* (tasks, n, inputs) are observations with actions. The target of a transition is
    ``fixed + discounts * value`` (tasks, n), of the next row's joined value by the *targets*. The loss is summed over
    both critics and all transitions and divided by *count*. *meanwhile* is called
    before the long call, during which another thread can have Python's lock.
    """
    inputs, embedded = rows.shape[-1], isinstance(critics, EmbeddedCritics)
    if embedded:
        rows, next_rows = beside(rows, critics.unit_vectors()), beside(next_rows, targets.unit_vectors())
    network = without_vectors(critics)
    flat, target_flat = network.core.flat, without_vectors(targets).core.flat  # type: ignore[union-attr]
    held = [each.contiguous() for each in (rows, next_rows, flat, target_flat, fixed, discounts, prediction.numbers)]
    of_flat, of_rows = torch.empty_like(flat), torch.empty_like(held[0]) if embedded else None
    settings = prediction.settings
    smoothing = settings.smoothing if settings.loss == "hl-gauss" else 0.0
    sizes = network.sizes_for(held[0])  # type: ignore[operator]
    places = map(address, (*held, of_flat, of_rows))
    step = _Step(sizes, *places, smoothing, 1 / count, settings.twins == "minimum")
    memory, found = rows.new_empty(kernels().critic_memory(ctypes.byref(sizes))), torch.empty(2, dtype=torch.float64)
    if meanwhile is not None:
        meanwhile()
    kernels().critic_step(ctypes.byref(step), memory.data_ptr(), found.data_ptr())
    loss, values = found.float()
    gradients: dict[nn.Parameter, Tensor | None] = {flat: of_flat}
    if of_rows is not None:
        gradients[critics.vectors] = critics.gradient(of_rows[..., inputs:])
    return gradients, loss, values
