"""Critics that read a trained vector for each task, and pass it on to the actor.

The vectors are those of BRC (Nauman et al. 2025, arXiv 2505.23150): of unit norm, trained by the critics' loss, read
by the actor without gradient. Both critics share them. The targets have a moving average of them.

The norm of the parameters is free, they are divided by it before they are read. They start near norm 1.

Departures:

1. Networks read the task one-hot, too: BRC's read the vector alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genoevo_mega.networks.compiled import Back, Gradients
from genoevo_mega.networks.routing import Routing


class EmbeddedCritics(nn.Module):
    """Critics that read (tasks, batch, *inputs*), beside which their *network* reads a vector of *size* numbers.

    Parameters
    ----------
    network
        The critics, for *size* more inputs.
    tasks, size
        The number of vectors, and of their numbers.
    rng
        Draws the vectors.

    """

    def __init__(self, network: nn.Module, tasks: int, size: int, rng: torch.Generator) -> None:
        super().__init__()
        self.network = network
        self.vectors = nn.Parameter(torch.randn(tasks, 1, size, generator=rng) / math.sqrt(size))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        out: Tensor = self.network(beside(x, self.unit_vectors()), routing)
        return out

    def recorded(self, x: Tensor, routing: Routing) -> tuple[Tensor, Back]:
        """Return what a network's ``recorded`` does; vectors have a gradient whenever weights have."""
        inputs = x.shape[-1]
        out, back_network = self.network.recorded(beside(x, self.unit_vectors().detach()), routing)  # type: ignore[operator]

        def back(gradient: Tensor, needs_x: bool, needs_weights: bool) -> Gradients:
            of_row, found = back_network(gradient, True, needs_weights)
            of_x, of_vectors = of_row.split([inputs, self.vectors.shape[-1]], dim=-1)
            if needs_weights:
                found = [*found, (self.vectors, self.gradient(of_vectors))]
            return of_x, found

        return out, back

    def gradient(self, of_unit_vectors: Tensor) -> Tensor:
        """Return the gradient of the vectors from that of every row's unit vector (tasks, batch, size).

        Of v / |v| that is (g - u (u g)) / |v|, with u = v / |v|.
        """
        vectors, given = self.vectors.detach(), of_unit_vectors.sum(1, keepdim=True)
        norm = vectors.norm(dim=-1, keepdim=True)
        unit = vectors / norm
        return (given - unit * (unit * given).sum(-1, keepdim=True)) / norm

    def unit_vectors(self) -> Tensor:
        """Return the vectors (tasks, 1, size), each of norm 1."""
        return nn.functional.normalize(self.vectors, dim=-1)

    @property
    def parameter_count(self) -> int:
        """The number of parameters in all members of the ensemble; the vectors, which they share, are not counted."""
        count: int = self.network.parameter_count  # type: ignore[assignment]
        return count

    def operations(self, stages: tuple[int, ...], *, first_layer: bool = True) -> float:
        """Return what a network does; gradients always pass the first layer, on their way to the vectors."""
        count: float = self.network.operations(stages)  # type: ignore[operator]
        return count


def task_vectors_of(critics: nn.Module) -> Tensor | None:
    """Return the unit vectors (tasks, 1, size) of critics, without gradient; None if they have none."""
    return critics.unit_vectors().detach() if isinstance(critics, EmbeddedCritics) else None


def beside(x: Tensor, vectors: Tensor | None) -> Tensor:
    """Return rows (tasks, batch, ...) with the vector (tasks, 1, size) of their task behind them."""
    return x if vectors is None else torch.cat([x, vectors.expand(-1, x.shape[1], -1)], dim=-1)


def without_vectors(critics: nn.Module) -> nn.Module:
    """Return the network of critics, whether or not they have vectors."""
    return critics.network if isinstance(critics, EmbeddedCritics) else critics
