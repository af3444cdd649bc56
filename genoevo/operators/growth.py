"""Growth by a stage and its inverse, for genotypes of a :class:`~genoevo.StagedLayout`.

Growing appends one segment: the old output segment becomes the new module's input segment, and the appended one
weighs the output [R].
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from genoevo._check import check_choice, check_generator
from genoevo.decode import stages_of
from genoevo.layout import StagedLayout
from genoevo.population import Population

Fill = Literal["random", "preserve", "explore"]
Keep = Literal["prefix", "output"]


def grow(
    population: Population, layout: StagedLayout, rng: np.random.Generator, *, fill: Fill = "preserve"
) -> Population:
    """Grow each genotype by one stage.

    Parameters
    ----------
    population
        Genotypes of any legal stages. They are not changed.
    layout
        The layout of the genotypes.
    rng
        The generator that draws the new bits under ``random``.
    fill
        ``random``: the new output segment is uniform random bits. ``preserve``: it copies the old output segment
        and gives the new module the code 0, so that the decoded output changes as little as the code allows [O].
        ``explore``: as ``preserve``, but the new module has the largest code: it is tried with a real weight [O].

    Returns
    -------
    A new, unevaluated population.

    """
    check_generator(rng)
    check_choice("fill", fill, get_args(Fill))
    stages = stages_of(population, layout)
    lengths = np.array([layout.length(int(stage) + 1) for stage in stages], dtype=np.int64)
    old = population.bits()
    bits = np.zeros((len(old), int(lengths.max())), dtype=np.uint8)
    bits[:, : old.shape[1]] = old
    for stage in np.unique(stages):
        rows = stages == stage
        *_, output, added = layout.segments(int(stage) + 1)
        if fill == "random":
            bits[rows, added] = rng.integers(0, 2, (int(rows.sum()), added.stop - added.start), dtype=np.uint8)
        else:
            bits[rows, added.start : added.stop - layout.precision] = old[rows, output]
            if fill == "explore":
                bits[rows, added.stop - layout.precision : added.stop] = 1
    return Population.from_bits(bits, lengths, weights=population.weights)


def shrink(population: Population, layout: StagedLayout, *, keep: Keep = "prefix") -> Population:
    """Shrink each genotype by one stage: its newest module goes.

    Parameters
    ----------
    population
        Genotypes of any legal stages but 1. They are not changed.
    layout
        The layout of the genotypes.
    keep
        ``prefix``: the last segment goes, and the inputs of the newest module become those of the output: the inverse
        of :func:`grow`. ``output``: the segment of the newest module goes, and its code in that of the output, so
        that a genotype which does not use the module keeps its policy [O].

    Returns
    -------
    A new, unevaluated population. ValueError if a genotype is of stage 1.

    """
    check_choice("keep", keep, get_args(Keep))
    stages = stages_of(population, layout)
    lengths = np.array([layout.length(int(stage) - 1) for stage in stages], dtype=np.int64)
    bits = population.bits()
    if keep == "output":
        for stage in np.unique(stages):
            rows = stages == stage
            *_, inputs, output = layout.segments(int(stage))
            bits[rows, inputs] = bits[rows, output.start : output.stop - layout.precision]
    return Population.from_bits(bits, lengths, weights=population.weights)
