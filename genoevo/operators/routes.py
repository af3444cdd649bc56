"""Genotypes of a :class:`~genoevo.StagedLayout` with few connections: sparse ones at random, and hand-written routes.

Every segment has one code at its largest value and zeros elsewhere, so a genotype is a tree of single connections,
and its route is the path from the output back to the initial input [O].
"""

from __future__ import annotations

import numpy as np

from genoevo._check import check_generator
from genoevo._types import Ints
from genoevo.decode import from_gene_values
from genoevo.layout import StagedLayout
from genoevo.population import Population


def sparse(stages: Ints, layout: StagedLayout, rng: np.random.Generator, output: Ints | None = None) -> Population:
    """Draw genotypes with one connection in every segment, uniform among the segment's inputs.

    Parameters
    ----------
    stages
        The stage of each genotype, (n,) int64.
    layout
        The layout of the genotypes.
    rng
        The source of all randomness.
    output
        The module, 1 to the stage, that the output reads, (n,) int64; None draws it. The embedding alone is no route.

    Returns
    -------
    An unevaluated population of n.

    """
    check_generator(rng)
    highest, n = int(stages.max()), len(stages)
    values = np.zeros((n, layout.length(highest) // layout.precision), np.int64)
    largest = (1 << layout.precision) - 1
    starts = [part.start // layout.precision for part in layout.segments(highest)]
    for module in range(2, highest + 1):
        rows = np.flatnonzero(stages >= module)
        values[rows, starts[module - 2] + rng.integers(0, module, len(rows))] = largest
    chosen = 1 + rng.integers(0, stages) if output is None else output
    for stage in np.unique(stages):
        rows = np.flatnonzero(stages == stage)
        values[rows, starts[stage - 1] :] = 0  # for a longer genotype this is the segment of a module
        values[rows, starts[stage - 1] + chosen[rows]] = largest
    return from_gene_values(values, np.array([layout.length(int(stage)) for stage in stages]), layout.precision)


def disjoint(tasks: int, stage: int, layout: StagedLayout) -> Population:
    """Return a route for each of *tasks* by one module of its own; with fewer modules than tasks they take turns."""
    segments = [part.start // layout.precision for part in layout.segments(stage)]
    values = np.zeros((tasks, layout.length(stage) // layout.precision), np.int64)
    largest = (1 << layout.precision) - 1
    values[:, segments[:-1]] = largest  # every module reads the initial input
    values[np.arange(tasks), segments[-1] + 1 + np.arange(tasks) % stage] = largest
    return from_gene_values(values, np.full(tasks, layout.length(stage)), layout.precision)
