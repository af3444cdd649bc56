"""The price of routes: multiply-adds of exported policies, from genotypes alone."""

from __future__ import annotations

import numpy as np

from genoevo import StagedLayout
from genoevo.decode import output_shares
from genoevo_mega.config.networks import Network
from genoevo_runs.arrays import Doubles, Flags, Ints


def multiply_adds(
    config: Network, inputs: int, outputs: int, weights: Doubles, stages: Ints, threshold: float = 0.0
) -> Ints:
    """Return the multiply-adds for one observation of each genotype's policy, (n,) int64.

    They are those of :attr:`~genoevo_mega.networks.single_task.TaskPolicy.multiply_adds`: the layers', and one for
    each number that a weight scales.

    Parameters
    ----------
    config
        Sizes of the modular network.
    inputs, outputs
        Features of an observation, and the action's numbers.
    weights
        (n, G) float64 of :func:`genoevo.decode.decode_population`.
    stages
        (n,) int64, the stage of each genotype.
    threshold
        Share of the output up to which an edge is cut, as by
        :meth:`~genoevo_mega.networks.module_graph.ModuleGraph.of_task`.

    """
    weights = weights.astype(np.float32).astype(np.float64)  # a routing holds float32
    most = int(stages.max())
    segments = StagedLayout(1).segments(most)
    shares = output_shares(weights, stages)
    kept = np.zeros((len(weights), most + 1), np.bool_)
    scaled = np.zeros(len(weights), np.int64)
    for stage in np.unique(stages):
        rows, segment = stages == stage, segments[stage - 1]
        kept[rows, : stage + 1] = weights[rows, segment] > threshold
        scaled[rows] = _scaled(weights[rows, segment], kept[rows, : stage + 1])
    for module in range(most, 1, -1):
        of_module = weights[:, segments[module - 2]]
        strongest = of_module == of_module.max(axis=1, keepdims=True)
        edges = kept[:, module, None] & (strongest | (shares[:, module, None] * of_module > threshold))
        scaled += _scaled(of_module, edges)
        kept[:, :module] |= edges
    width, layers = config.width, config.embedding_layers
    fixed = inputs * width + (layers - 1) * width**2 + width * outputs
    costs: Ints = fixed + 2 * width * config.hidden * kept[:, 1:].sum(axis=1) + width * scaled
    return costs


def _scaled(weights: Doubles, edges: Flags) -> Ints:
    """Return how many *edges* of each sum (n, k) scale a layer: all, or none if the only one has weight 1."""
    counts: Ints = edges.sum(axis=1)
    copied = (counts == 1) & ((weights == 1) & edges).any(axis=1)
    return np.where(copied, 0, counts)
