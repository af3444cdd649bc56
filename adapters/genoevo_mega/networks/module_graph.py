"""One task's modules as a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genoevo.decode import output_shares
from genoevo_mega.networks.routing import Routing

THRESHOLD = 1e-8
"""Share of the output up to which exported policies lack an edge. Together these edges change no action by 1e-5."""
Edges = dict[int, float]
"""Weights by source: 0 is the embedding, k the pool's module k."""


@dataclass(frozen=True)
class ModuleGraph:
    """The modules that one task uses, and the weights of the edges between them.

    ``inputs`` holds each module's edges by its number in the pool, in rising order, and ``output`` those of the
    output. Other modules and edges of the task's genotype are left out: a sparse
    :class:`~genoevo_mega.networks.routing.Routing` of one genotype, for modules that are in the order of
    :attr:`numbers`.
    """

    inputs: dict[int, Edges]
    output: Edges

    @classmethod
    def of_task(cls, routing: Routing, task: int, threshold: float = 0.0) -> ModuleGraph:
        """Return a task's graph, cut to the edges whose share of the output is above *threshold*.

        An edge's share is the sum over all paths from it to the output of the products of weights. A module without
        such an edge to the output is left out; one with keeps at least its strongest input.
        """
        stage = routing.stages[task]
        weights = {1: [1.0]}
        weights |= {k: routing.inputs[task, 0, k - 2, :k].tolist() for k in range(2, stage + 1)}
        output = routing.output[task, 0, : stage + 1].tolist()
        every = {k: dict(enumerate(weights[k])) for k in range(1, stage + 1)}
        share = cls(every, dict(enumerate(output))).shares()
        kept = {j for j, weight in enumerate(output) if weight > threshold}
        inputs = {}
        for k in range(stage, 0, -1):
            if k in kept:
                strongest = max(weights[k])
                inputs[k] = {j: w for j, w in every[k].items() if w == strongest or share[k] * w > threshold}
                kept |= set(inputs[k])
        return cls(dict(sorted(inputs.items())), {j: w for j, w in enumerate(output) if w > threshold})

    @classmethod
    def full(cls, modules: int) -> ModuleGraph:
        """Return the graph of a task that uses *modules* modules and every edge, with equal weights."""
        inputs = {k: dict.fromkeys(range(k), 1 / k) for k in range(1, modules + 1)}
        return cls(inputs, dict.fromkeys(range(modules + 1), 1 / (modules + 1)))

    @property
    def numbers(self) -> list[int]:
        """The number 0 of the embedding, then the modules' numbers in the pool."""
        return [0, *self.inputs]

    def shares(self) -> dict[int, float]:
        """Return each module's share of the output, and the embedding's by paths around module 1 (number 0)."""
        stage = max(1, *self.numbers)
        weights = [self.inputs.get(k, {}).get(j, 0.0) for k in range(2, stage + 1) for j in range(k)]
        weights += [self.output.get(j, 0.0) for j in range(stage + 1)]
        [share] = output_shares(np.array([weights]), np.array([stage])).tolist()
        return {k: share[k] for k in self.numbers}

    def mix_inputs(self, k: int, hidden: list[Tensor]) -> Tensor:
        """Return the weighted sum of *hidden* (batch, width) that the k-th module of the graph reads."""
        return _weighted(self.inputs[self.numbers[k]], dict(zip(self.numbers, hidden, strict=False)))

    def mix_output(self, hidden: list[Tensor]) -> Tensor:
        """Return the weighted sum of *hidden* (batch, width) that the head reads."""
        return _weighted(self.output, dict(zip(self.numbers, hidden, strict=True)))


def _weighted(edges: Edges, hidden: dict[int, Tensor]) -> Tensor:
    terms = [hidden[j] if weight == 1.0 else weight * hidden[j] for j, weight in edges.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
