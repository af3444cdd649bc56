"""One task's modules as a graph."""

from __future__ import annotations

from dataclasses import dataclass

from genoevo_mega.networks import Routing

Edges = dict[int, float]
"""Weights by source: 0 is the embedding, k the pool's module k."""


@dataclass(frozen=True)
class Graph:
    """One task's modules: ``inputs`` of each by its number in the pool, in rising order, and of the ``output``."""

    inputs: dict[int, Edges]
    output: Edges

    @classmethod
    def of_task(cls, routing: Routing, task: int, threshold: float = 0.0) -> Graph:
        """A task's graph, cut to the edges whose share of the output is above *threshold*.

        An edge's share is the sum over all paths from it to the output of the products of weights. A module without
        such an edge to the output is left out; one with keeps at least its strongest input.
        """
        stage = routing.stages[task]
        weights = {1: [1.0]}
        weights |= {k: routing.inputs[task, 0, k - 2, :k].tolist() for k in range(2, stage + 1)}
        output = routing.output[task, 0, : stage + 1].tolist()
        share = list(output)
        kept = {j for j, weight in enumerate(output) if weight > threshold}
        inputs = {}
        for k in range(stage, 0, -1):
            for j, weight in enumerate(weights[k]):
                share[j] += share[k] * weight
            if k in kept:
                strongest = max(weights[k])
                inputs[k] = {j: w for j, w in enumerate(weights[k]) if w == strongest or share[k] * w > threshold}
                kept |= set(inputs[k])
        return cls(dict(sorted(inputs.items())), {j: w for j, w in enumerate(output) if w > threshold})

    @classmethod
    def full(cls, modules: int) -> Graph:
        """The graph of a task that uses *modules* modules and every edge, with equal weights."""
        inputs = {k: dict.fromkeys(range(k), 1 / k) for k in range(1, modules + 1)}
        return cls(inputs, dict.fromkeys(range(modules + 1), 1 / (modules + 1)))

    def shares(self) -> dict[int, float]:
        """Each module's share of the output, and the embedding's by paths around all modules (number 0)."""
        share = {0: 0.0, **dict.fromkeys(self.inputs, 0.0)} | self.output
        for k in reversed(self.inputs):
            for j, weight in self.inputs[k].items():
                if j or k > 1:  # module 1 reads the embedding alone: that is module 1's share
                    share[j] += share[k] * weight
        return share
