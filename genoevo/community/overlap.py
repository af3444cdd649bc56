"""The overlap between tasks: how much of a route passes through modules that other tasks use."""

from __future__ import annotations

import numpy as np

from genoevo._types import Floats, Ints
from genoevo.decode import output_shares
from genoevo.layout import StagedLayout

BYPASS_LOAD = 2.0
"""The load of the embedding in the output, in units of a module's mean load: it is everybody's, so no route [O]."""


def usage(weights: Floats, stages: Ints, width: int) -> Floats:
    """Return the distribution of each genotype's output over what it passes through.

    Parameters
    ----------
    weights, stages
        As for :func:`~genoevo.decode.output_shares`.
    width
        Columns of the result, at least the highest stage + 1.

    Returns
    -------
    (n, width) float64, each row sums to 1: column k is module k's share of the output, column 0 the weight of the
    embedding in the output itself, both in proportion to their sum.

    """
    shares = output_shares(weights, stages)
    slices = StagedLayout(1).segments(int(stages.max()))
    direct = np.zeros(len(weights))
    for stage in np.unique(stages):
        rows = stages == stage
        direct[rows] = weights[rows, slices[stage - 1].start]
    result = np.zeros((len(weights), width))
    result[:, : shares.shape[1]] = shares
    result[:, 0] = direct
    return np.asarray(result / result.sum(axis=1, keepdims=True))


def load(elites: Floats, task: int, stage: int) -> Floats:
    """Return what the other tasks' *elites* (tasks, width), rows of :func:`usage`, leave on each column for *task*.

    The load is in units of the mean load of the modules of *stage*, the task's own: 1 for even use. Column 0 counts
    as :data:`BYPASS_LOAD`.
    """
    others = elites.sum(axis=0) - elites[task]
    mean = others[1 : stage + 1].mean()
    found = others / mean if mean > 0 else np.zeros_like(others)
    found[0] = BYPASS_LOAD
    return np.asarray(found)


def crowding(candidates: Floats, of_load: Floats) -> Floats:
    """Return how crowded the route of each candidate is, (..., n): its usage times :func:`load`; 0 for none."""
    return np.asarray(candidates @ of_load)


def mean_overlap(elites: Floats) -> float:
    """Return the mean over pairs of tasks of the product of their usages: 0 for disjoint routes, 1 for one module."""
    n = len(elites)
    if n < 2:
        return 0.0
    modules = elites[:, 1:]
    products = modules @ modules.T
    return float((products.sum() - np.trace(products)) / (n * (n - 1)))
