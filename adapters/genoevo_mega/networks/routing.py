"""The structure that evolution gives a network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genoevo.decode import over_paths
from genoevo_runs.arrays import Flags, Floats


class Routing(NamedTuple):
    """Decoded weights of one genotype per task (B = 1), or of one per transition (B = batch).

    A network also takes several genotypes per task, each for as many consecutive rows of the batch (B divides batch).

    Shapes
    ------
    inputs
        (tasks, B, M - 1, M) float32: row k - 2 holds the weights of module k's inputs h_0 .. h_(k-1), then zeros.
    output
        (tasks, B, M + 1) float32: the weights of h_0 .. h_N in the output, then zeros.
    stages
        The number of modules that each task uses.

    """

    inputs: Tensor
    output: Tensor
    stages: tuple[int, ...]

    def mix_inputs(self, k: int, hidden: list[Tensor]) -> Tensor:
        """Return the input of module *k*, sum_j w_kj h_j over *hidden* = h_0 .. h_(k-1) [P]; module 1 reads h_0 [R].

        The layers are (ensemble, tasks, batch, width) each, and so is the result: 0 for tasks of a stage below *k*.
        """
        return hidden[0] if k == 1 else _weighted(self.inputs[..., k - 2, :] * self._uses(slice(k, k + 1)), hidden)

    def mix_output(self, hidden: list[Tensor]) -> Tensor:
        """Return the head's input, sum_j o_j h_j over *hidden* = h_0 .. h_N [P]."""
        return _weighted(self.output[..., : len(hidden)] * self._uses(slice(len(hidden))), hidden)

    def _uses(self, modules: slice) -> Tensor:
        """Return 1 for tasks that use those *modules*, else 0; (tasks, 1, modules)."""
        return _used(self.stages, self.output.dtype, self.output.device)[..., modules]

    def for_rows(self, rows: int) -> Routing:
        """Return the routing with B = 1 or B = *rows*, the size of the batch: genotypes for several rows repeated."""
        genotypes = self.output.shape[1]
        if genotypes in (1, rows):
            return self
        return self.map(lambda weights: weights.repeat_interleave(rows // genotypes, dim=1))

    def edges(self) -> Floats:
        """Return the weights of every genotype, (tasks * B, N + 1, N + 1) for the largest stage N.

        Row k - 1 weighs the inputs h_0 .. of module k, the last row those of the output. What a task's stage does not
        have is 0. The tensors are on the CPU.
        """
        inputs, output = (weights.detach().flatten(0, 1).numpy() for weights in (self.inputs, self.output))
        most, stages = max(self.stages), np.repeat(self.stages, self.output.shape[1])[:, None]
        edges = np.zeros((len(output), most + 1, most + 1), output.dtype)
        edges[:, 0, 0] = 1
        edges[:, 1:most, :most] = inputs[:, : most - 1, :most]
        edges[:, most] = output[:, : most + 1]
        edges[:, :most] *= (np.arange(1, most + 1) <= stages)[:, :, None]
        edges[:, most] *= np.arange(most + 1) <= stages
        return edges

    def used(self) -> tuple[int, ...]:
        """Return the number of modules that each task's output depends on; the stages if B is not 1.

        A module counts that is on a path of weights above 0 to the output.
        """
        if self.output.shape[1] != 1:
            return self.stages
        return tuple(reached_by_edges(self.edges()).sum(axis=1).tolist())

    @property
    def requires_grad(self) -> bool:
        """Whether the weights' gradient is wanted."""
        return self.inputs.requires_grad or self.output.requires_grad

    def map(self, function: Callable[[Tensor], Tensor]) -> Routing:
        """Return the routing with *function* applied to both tensors of weights."""
        return Routing(function(self.inputs), function(self.output), self.stages)

    def detached(self) -> Routing:
        """Return the same weights without the graph that they were computed by."""
        return self.map(torch.Tensor.detach)

    def leaves(self) -> Routing:
        """Return the same weights as leaves of a new graph, which require grad."""
        return self.map(lambda weights: weights.detach().requires_grad_())

    def trainable(self) -> list[Tensor]:
        """Return the weights that require grad."""
        return [self.inputs, self.output] if self.requires_grad else []

    def split(self, shards: int) -> list[Routing]:
        """Split the weights with the transitions that they are for; with B = 1 every shard has them all."""
        if self.output.shape[1] == 1:
            return [self] * shards
        chunks = zip(self.inputs.chunk(shards, dim=1), self.output.chunk(shards, dim=1), strict=True)
        return [Routing(inputs, output, self.stages) for inputs, output in chunks]

    def backward(self, gradients: Sequence[Tensor | None]) -> None:
        """Add the gradients of :meth:`trainable` to whatever the weights are computed from."""
        pairs = [(w, g.to(w.device)) for w, g in zip(self.trainable(), gradients, strict=True) if g is not None]
        if pairs:
            weights, given = zip(*pairs, strict=True)
            torch.autograd.backward(weights, given)


def reached_by_edges(edges: Floats) -> Flags:
    """Return the modules on a path of weights above 0 to the output, (n, N) bool, from :meth:`Routing.edges`."""
    present = edges > 0
    return over_paths(present[:, -1].copy(), lambda module: present[:, module - 1, :module])[:, 1:]


@functools.cache
def _used(stages: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Cached for good: a copy from the host cannot be recorded in a CUDA graph, which reads the tensor at its address.
    used = [[float(stage >= module) for module in range(max(stages) + 1)] for stage in stages]
    return torch.tensor(used, dtype=dtype, device=device)[:, None]


def _weighted(weights: Tensor, hidden: list[Tensor]) -> Tensor:
    """Return the sum of *hidden*, (ensemble, tasks, batch, width) each, with *weights* (tasks, B, n)."""
    factors = weights.to(hidden[0].dtype).unsqueeze(-1)
    total = hidden[0] * factors[..., 0, :]
    for j, h in enumerate(hidden[1:], start=1):
        total = total + h * factors[..., j, :]
    return total
