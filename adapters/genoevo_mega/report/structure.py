"""How the elites use the modules: each task's graph, and which tasks share modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from genoevo import Genotype, Population, StagedLayout, decode
from genoevo.community import Decoding
from genoevo.decode import decode_population, output_shares, stages_of
from genoevo_runs.arrays import Doubles


@dataclass(frozen=True)
class PageGraph:
    """The module graph of one genotype, as the page draws it.

    ``shares`` (stage + 1,) holds each node's share of the output; node 0 is the initial input, on paths around
    module 1.
    ``edges`` holds source, target, decoded weight, and share of the output along the edge; the output is node
    stage + 1.
    """

    stage: int
    shares: list[float]
    edges: list[tuple[int, int, float, float]]


def graph_of(bits: str, layout: StagedLayout, decoding: Decoding) -> PageGraph:
    """Return the graph of a bit string; ValueError for an illegal length."""
    genotype = Genotype(bits)
    stage = layout.stage(len(genotype))
    segments = decode(genotype, layout, decoding.offset, decoding.decimal_scale, kind=decoding.kind)
    shares = shares_of([bits], layout, decoding)[0]
    edges = [(0, 1, 1.0, float(shares[1]))]
    for module, weights in enumerate(segments[:-1], 2):
        edges += [(source, module, float(w), float(w * shares[module])) for source, w in enumerate(weights)]
    edges += [(source, stage + 1, float(w), float(w)) for source, w in enumerate(segments[-1])]
    return PageGraph(stage, shares.tolist(), edges)


def shares_of(genotypes: list[str], layout: StagedLayout, decoding: Decoding) -> Doubles:
    """Return (n, modules + 1), the :func:`~genoevo.decode.output_shares` of each genotype."""
    population = Population.from_genotypes(genotypes)
    weights = decode_population(population, layout, decoding.offset, decoding.decimal_scale, kind=decoding.kind)
    return output_shares(weights, stages_of(population, layout))


def clustered(shares: Doubles) -> dict[str, Any]:
    """Cluster tasks by average linkage over the cosine distance of their *shares* (tasks, modules + 1).

    Returns ``order`` (indices), ``tree`` and ``similarity`` (tasks, tasks), one minus the distance. ``tree`` has for
    each join the x (in leaves) and y (in distance) coordinates of its three-sided line.
    """
    n = len(shares)
    if n < 2:
        return {"order": list(range(n)), "tree": [], "similarity": np.ones((n, n))}
    distances = np.maximum(pdist(shares, "cosine"), 0)
    joined = hierarchy.linkage(distances, method="average", optimal_ordering=True)
    drawn = hierarchy.dendrogram(joined, no_plot=True)
    # scipy puts leaf i at x = 10 i + 5.
    tree = [[[(x - 5) / 10 for x in xs], ys] for xs, ys in zip(drawn["icoord"], drawn["dcoord"], strict=True)]
    return {"order": drawn["leaves"], "tree": tree, "similarity": 1 - squareform(distances)}
