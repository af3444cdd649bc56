"""The loss of compiled critics and its gradient in one call of a compiled function.

The call holds Python's lock for none of its time, so that another thread can compute meanwhile
(``sac.simultaneous``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genoevo_mega.agents.value import Prediction
from genoevo_mega.kernels import ADDRESS, NUMBER, SIZE
from genoevo_mega.networks import Routing
from genoevo_mega.networks.embedding import EmbeddedCritics, beside, without_vectors


class _Loss(ctypes.Structure):
    """``Loss`` of ``kernels/critic.h``."""

    _fields_ = [
        *((name, ADDRESS) for name in ("fixed", "discounts", "numbers")),
        ("smoothing", NUMBER),
        ("share", NUMBER),
        ("minimum", SIZE),
    ]


def critic_step(
    critics: Any,
    targets: Any,
    rows: Tensor,
    next_rows: Tensor,
    routing: Routing,
    fixed: Tensor,
    discounts: Tensor,
    prediction: Prediction,
    count: int,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[dict[nn.Parameter, Tensor | None], Tensor, Tensor]:
    """Return gradients by parameter, the loss and the sum of all values, 0-d, of compiled *critics*.

    *rows* and *next_rows* (tasks, n, inputs) are observations with actions. The target of a transition is
    ``fixed + discounts * value`` (tasks, n), of the next row's joined value by the *targets*. The loss is summed over
    both critics and all transitions and divided by *count*. *meanwhile* is called before the long call, during which
    another thread can have Python's lock.
    """
    inputs, embedded = rows.shape[-1], isinstance(critics, EmbeddedCritics)
    if embedded:
        rows, next_rows = beside(rows, critics.unit_vectors()), beside(next_rows, targets.unit_vectors())
    network, settings = without_vectors(critics), prediction.settings
    held = [each.contiguous() for each in (fixed, discounts, prediction.numbers)]
    smoothing = settings.smoothing if settings.loss == "hl-gauss" else 0.0
    loss = _Loss(*(each.data_ptr() for each in held), smoothing, 1 / count, settings.twins == "minimum")
    found = torch.empty(2, dtype=torch.float64)
    step = network.step(without_vectors(targets), rows, next_rows, routing, loss, embedded)  # type: ignore[operator]
    if meanwhile is not None:
        meanwhile()
    of_rows, own = step(found)
    gradients: dict[nn.Parameter, Tensor | None] = dict(own)
    if embedded:
        gradients[critics.vectors] = critics.gradient(of_rows[..., inputs:])
    return gradients, *found.float()
