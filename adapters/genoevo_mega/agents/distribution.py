"""The policy's distribution: a Gaussian whose samples are squashed by tanh to actions in [-1, 1].

An actor's output (..., 2 action_size) is the Gaussian's mean, then the logarithm of its standard deviation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
Bounds = tuple[float, float]
"""The least and the largest logarithm of a standard deviation."""
BOUNDS: Bounds = (LOG_STD_MIN, LOG_STD_MAX)
MOST_ENTROPY = 0.68364
"""The largest entropy of one dimension, in nats: at mean 0 and standard deviation 0.874."""


def gaussian(output: Tensor, bounds: Bounds = BOUNDS) -> tuple[Tensor, Tensor]:
    """Split an actor's output into mean and log standard deviation, each (..., action_size)."""
    mean, log_std = output.chunk(2, dim=-1)
    return mean, log_std.clamp(*bounds)


def mean_action(output: Tensor) -> Tensor:
    """Return the greedy action (..., action_size)."""
    return torch.tanh(output.chunk(2, dim=-1)[0])


def draw_action(output: Tensor, noise: Tensor, bounds: Bounds = BOUNDS) -> Tensor:
    """Return the action (..., action_size) that standard normal *noise* of this shape draws."""
    mean, log_std = gaussian(output, bounds)
    return torch.tanh(mean + log_std.exp() * noise)


def tanh_gaussian(output: Tensor, noise: Tensor, bounds: Bounds = BOUNDS) -> tuple[Tensor, Tensor]:
    """Return the action of :func:`draw_action` and its log probability (...)."""
    mean, log_std = gaussian(output, bounds)
    raw = mean + log_std.exp() * noise
    density = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(x)^2), stable for large |x|.
    squash = 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))
    return torch.tanh(raw), (density - squash).sum(-1)
