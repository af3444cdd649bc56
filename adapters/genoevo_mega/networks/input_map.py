"""What stands between one task's observation and its actor, as constants."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class InputMap(NamedTuple):
    """What an actor sees of one task's observation, by constants.

    ``scaled`` are mean and scale (observation_size,), which make (observation - mean) * scale of it; None leaves it
    as it is. ``constants`` (n,) are numbers behind it, None for none.
    """

    scaled: tuple[Tensor, Tensor] | None
    constants: Tensor | None

    def folded(self, weight: Tensor, bias: Tensor) -> list[Tensor]:
        """Return weight (observation_size, out) and bias (1, out) of the layer whose input is the map's output.

        *weight* (observation_size + n, out) and *bias* (1, out) are those of the layer.
        """
        more = 0 if self.constants is None else len(self.constants)
        rows, extra = (part.double() for part in weight.split([len(weight) - more, more]))
        bias = bias.double()
        if self.constants is not None:
            bias = bias + self.constants.double() @ extra
        if self.scaled is not None:
            mean, scale = (each.double() for each in self.scaled)
            rows = scale[:, None] * rows
            bias = bias - mean @ rows
        return [rows.to(weight.dtype), bias.to(weight.dtype)]
