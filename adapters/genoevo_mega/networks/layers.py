"""The layers of an ensemble, with their parameters in one tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """The tensors of an ensemble in one flat parameter.

    The optimizer, gradient norms and moving averages then take one operation for a block, not one for each of its
    tensors.
    """

    def __init__(self, tensors: list[Tensor]) -> None:
        super().__init__()
        self.shapes = [tensor.shape for tensor in tensors]
        self._sizes = [shape.numel() for shape in self.shapes]
        self.flat = nn.Parameter(torch.cat([tensor.flatten() for tensor in tensors]))
        self._own: list[Tensor] = []

    def tensors(self, flat: Tensor | None = None) -> list[Tensor]:
        """Return views of the parameter, or of *flat*, which is shaped like it."""
        parts = torch.split_with_sizes(self.flat if flat is None else flat, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def own_tensors(self, precision: torch.dtype) -> list[Tensor]:
        """Return the parameter's tensors in *precision*, without gradients; views if it is the parameter's own.

        Views are made once for as long as the parameter stays at its place in memory.
        """
        if precision != self.flat.dtype:
            return self.tensors(self.flat.detach().to(precision))
        if not self._own or self._own[0].data_ptr() != self.flat.data_ptr():
            self._own = self.tensors(self.flat.detach())
        return self._own


def normalised(x: Tensor, width: int | None = None) -> Tensor:
    """Shift and scale the last axis to mean 0 and variance 1: LayerNorm (Ba et al. 2016) without parameters.

    *width* is the axis's size. torch's export to ONNX does not know the size of some products, but that of their
    parameters.
    """
    return nn.functional.layer_norm(x, (x.shape[-1] if width is None else width,))


def shared(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply one layer for all tasks and return (ensemble, tasks, batch, out).

    *x* is (ensemble, tasks, batch, in), *weight* (ensemble, in, out) and *bias* (ensemble, 1, out).
    """
    return torch.baddbmm(bias, x.flatten(1, 2), weight).unflatten(1, (x.shape[1], -1))


def separate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a layer of its own for each task and return (ensemble, tasks, batch, out).

    *x* is (ensemble, tasks, batch, in), *weight* (ensemble, tasks, in, out) and *bias* (ensemble, tasks, 1, out).
    """
    out = torch.baddbmm(bias.flatten(0, 1), x.flatten(0, 1), weight.flatten(0, 1))
    return out.unflatten(0, weight.shape[:2])


def linear(ensemble: int, inputs: int, outputs: int, rng: torch.Generator, gain: float = 1.0) -> list[Tensor]:
    """Draw weights (ensemble, inputs, outputs), He-uniform times *gain*; biases (ensemble, 1, outputs) are 0."""
    bound = gain * math.sqrt(6 / inputs)
    weight = torch.empty(ensemble, inputs, outputs).uniform_(-bound, bound, generator=rng)
    return [weight, torch.zeros(ensemble, 1, outputs)]
