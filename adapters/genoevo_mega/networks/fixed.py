"""The common part of the networks whose structure does not evolve.

They read the task from the first axis of their input and nothing from the routing; their pool of modules is empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genoevo_mega.networks.layers import Block, normalised
from genoevo_mega.networks.routing import Routing


class FixedNetwork(nn.Module):
    """A network given by its initial tensors, :meth:`compute`, and the number of products that a row meets.

    Parameters
    ----------
    tensors
        All parameters' initial values, in the order in which :meth:`compute` gets them back.
    ensemble
        Independent copies; the first axis of every tensor.
    precision
        Of the arithmetic; parameters, input, output and gradients are float32.
    products
        Multiplications of one row's matrix products in one member: of all layers, and of those that read the input.
    by_task
        Positions, in the list that :meth:`prepared` returns, of the tensors whose second axis is the tasks.
    layer_norm
        Whether :meth:`activated` normalises.

    """

    of_other_tasks = "the other tasks' vectors"
    """The part that :meth:`alone` leaves out, in words."""

    def __init__(
        self,
        tensors: list[Tensor],
        *,
        ensemble: int,
        precision: torch.dtype,
        products: tuple[int, int],
        by_task: Sequence[int] = (),
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.ensemble, self.precision, self._products = ensemble, precision, products
        self._by_task, self.layer_norm = by_task, layer_norm
        self.core = Block(tensors)
        self.pool = nn.ModuleList()

    @property
    def parameter_count(self) -> int:
        """The number of parameters in all members of the ensemble."""
        return self.core.flat.numel()

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        tensors = self.core.tensors(self.core.flat.to(self.precision))
        rows = x.to(self.precision).expand(self.ensemble, *x.shape)
        return self.compute(rows, self.prepared(tensors)).to(x.dtype)

    def alone(self, task: int) -> list[Tensor]:
        """Copy the tensors with which :meth:`compute` is one task's network, for an input of that task alone."""
        tensors = self.prepared([tensor.detach() for tensor in self.core.tensors()])
        own = {position % len(tensors) for position in self._by_task}
        return [(t[:, task : task + 1] if i in own else t).clone() for i, t in enumerate(tensors)]

    def prepared(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return the tensors for :meth:`compute`, made once for all rows; by default the parameters themselves."""
        return tensors

    def compute(self, x: Tensor, tensors: list[Tensor]) -> Tensor:
        """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        raise NotImplementedError

    def activated(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return ReLU(x) of a hidden layer, or ReLU(LN(x)) with ``layer_norm``; LN has no parameters.

        *width* is as in :func:`~genoevo_mega.networks.layers.normalised`.
        """
        return torch.relu(normalised(x, width) if self.layer_norm else x)

    def operations(self, stages: tuple[int, ...], *, first_layer: bool = True) -> float:
        """Return the operations of all members' matrix products for one row of input of every task, forward."""
        every, first = self._products
        return 2.0 * self.ensemble * len(stages) * (every if first_layer else every - first)


def task_vectors(ensemble: int, tasks: int, size: int, rng: torch.Generator, inputs: int | None = None) -> Tensor:
    """Draw one trained vector per task (ensemble, tasks, 1, size): the columns that a one-hot picks from a layer.

    He-uniform for a layer of *inputs*, by default of the one-hot alone.
    """
    bound = math.sqrt(6 / (inputs or tasks))
    return torch.empty(ensemble, tasks, 1, size).uniform_(-bound, bound, generator=rng)


def task_heads(ensemble: int, tasks: int, inputs: int, outputs: int, rng: torch.Generator) -> list[Tensor]:
    """Draw a head per task: weights (ensemble, tasks, inputs, outputs), a tenth of He-uniform; biases, 0."""
    bound = 0.1 * math.sqrt(6 / inputs)
    weight = torch.empty(ensemble, tasks, inputs, outputs).uniform_(-bound, bound, generator=rng)
    return [weight, torch.zeros(ensemble, tasks, 1, outputs)]
