"""What a critic predicts: a number, or the probabilities of evenly spaced numbers.

A number is trained by the squared error. Probabilities p_i of numbers z_1 .. z_n, from -range to range, are trained
by the cross-entropy with a target distribution; the value is their mean, sum_i p_i z_i. Targets beyond the range
count as its ends. The target distribution of a number t is one of two (Farebrother et al. 2024, arXiv 2403.03950):

- ``two-hot``: the two z_i next to t share all probability so that the mean is t.
- ``hl-gauss`` (Imani and White 2018, arXiv 1806.04613): p_i is the share of a Gaussian around t, of standard
  deviation ``smoothing`` distances, within half a distance of z_i; shares are divided by their sum.

Both values become one by their minimum (Fujimoto et al. 2018, arXiv 1802.09477), or by their mean as in BRC (Nauman
et al. 2025, arXiv 2505.23150).

Departures:

1. Farebrother et al. divide the range into n bins. Here the middles of the first and last bin are the ends of the
   range, so that ``two-hot`` and ``hl-gauss`` predict the same numbers.
2. BRC projects the targets' complete distribution (Bellemare et al. 2017, arXiv 1707.06887). Here the target is the
   distribution of one number, the temporal-difference target.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genoevo_mega.config.critic import Value

_CPU, _SQUARED = torch.device("cpu"), Value()

Compared = tuple[tuple[Tensor, ...], Callable[..., Tensor]]
"""Tensors (..., tasks, n), and the function that makes of them a loss of this shape."""


class Prediction:
    """The meaning of a critic's outputs.

    Parameters
    ----------
    settings
        The loss, its numbers, and how two values become one.
    device
        Where the outputs are.

    Attributes
    ----------
    outputs
        Outputs of a critic: 1, or ``bins``.

    """

    def __init__(self, settings: Value = _SQUARED, device: torch.device = _CPU) -> None:
        self.settings = settings
        self.outputs = 1 if settings.loss == "squared" else settings.bins
        most, distance = settings.range, 2 * settings.range / (settings.bins - 1)
        # On the device from the start: a captured graph makes no tensor of a host's numbers.
        self.numbers = torch.linspace(-most, most, settings.bins, device=device)
        outer = most + distance / 2
        self.edges = torch.linspace(-outer, outer, settings.bins + 1, device=device)
        self.distance = distance

    def value(self, outputs: Tensor) -> Tensor:
        """Return values (...) of a critic's outputs (..., outputs)."""
        if self.outputs == 1:
            return outputs[..., 0]
        return torch.softmax(outputs, dim=-1) @ self.numbers

    def joined(self, values: Tensor) -> Tensor:
        """Return one value (...) of the values (2, ...) of both critics."""
        return values.mean(0) if self.settings.twins == "mean" else values.amin(0)

    def compared(self, outputs: Tensor, target: Tensor) -> Compared:
        """Return the loss of outputs (2, tasks, n, outputs) for a target (tasks, n), in two steps.

        The tensors are made first, so that tasks can be masked before they are combined: the derivative of what is
        not finite, times 0, is not a number.
        """
        if self.outputs == 1:
            return (outputs[..., 0] - target,), torch.square
        log_probabilities = torch.log_softmax(outputs, dim=-1).movedim(-1, 0)
        goal = self.distribution(target).movedim(-1, 0).unsqueeze(1).expand_as(log_probabilities)
        return (log_probabilities, goal), _cross_entropy

    def distribution(self, target: Tensor) -> Tensor:
        """Return the probabilities (..., outputs) of the numbers for a target (...)."""
        target = target.clamp(-self.settings.range, self.settings.range)[..., None]
        if self.settings.loss == "two-hot":
            return (1 - (self.numbers - target).abs() / self.distance).clamp(min=0)
        spread = math.sqrt(2) * self.settings.smoothing * self.distance
        below = torch.erf((self.edges - target) / spread)
        return below.diff(dim=-1) / (below[..., -1:] - below[..., :1])


SQUARED = Prediction()
"""A number, trained by the squared error; of two, the smaller."""


def _cross_entropy(log_probabilities: Tensor, goal: Tensor) -> Tensor:
    return -(log_probabilities * goal).sum(0)
