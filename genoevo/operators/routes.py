"""Genotypes of a :class:`~genoevo.StagedLayout` with few connections: sparse ones at random, and hand-written routes.

Every segment has one code at its largest value and zeros elsewhere, so a genotype is a tree of single connections,
and its route is the path from the output back to the initial input [O].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genoevo._check import check_generator
from genoevo._types import Floats, Ints
from genoevo.decode import from_gene_values, gene_values, output_shares, reached_modules, stages_of
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
    A new, unevaluated population.

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


def prune(
    population: Population, layout: StagedLayout, decode: Callable[[Population], Floats], rng: np.random.Generator
) -> Population:
    """Return the genotypes without one of the connections that their output depends on, drawn uniformly.

    Parameters
    ----------
    population
        Genotypes of any legal stages. They are not changed.
    layout
        The layout of the genotypes.
    decode
        Returns the weights of genotypes, (n, G) float64; a connection has a code and a weight above 0.
    rng
        The source of all randomness.

    Returns
    -------
    A new, unevaluated population. A genotype without connections stays as it is.

    """
    check_generator(rng)
    values, weights, stages = (
        gene_values(population, layout.precision),
        decode(population),
        stages_of(population, layout),
    )
    reached = np.concatenate([np.ones((len(values), 1), np.bool_), reached_modules(weights, stages)], axis=1)
    for row, stage in enumerate(stages.tolist()):
        parts = [slice(p.start // layout.precision, p.stop // layout.precision) for p in layout.segments(stage)]
        owners = [*range(2, stage + 1), 0]  # the output's segment is the last one
        live = np.concatenate(
            [
                part.start + np.flatnonzero(values[row, part])
                for part, k in zip(parts, owners, strict=True)
                if reached[row, k]
            ]
        )
        if len(live):
            values[row, rng.choice(live)] = 0
    return from_gene_values(values, population.lengths, layout.precision, population.weights)


def strongest_alone(
    population: Population, layout: StagedLayout, decode: Callable[[Population], Floats]
) -> Population:
    """Return the genotypes with a route of one module: the one that passes the largest share of the output.

    It reads the initial input, and the output reads it alone. Other modules keep their codes.

    Parameters
    ----------
    population
        Genotypes of any legal stages. They are not changed.
    layout
        The layout of the genotypes.
    decode
        Returns the weights of genotypes, (n, G) float64, in which a code of 0 is no connection.

    Returns
    -------
    A new, unevaluated population. A genotype whose output reads no module stays as it is.

    """
    values, stages = gene_values(population, layout.precision), stages_of(population, layout)
    shares = output_shares(decode(population), stages)[:, 1:]
    strongest = 1 + shares.argmax(axis=1)
    for row in np.flatnonzero(shares.max(axis=1) > 0):
        parts = [slice(p.start // layout.precision, p.stop // layout.precision) for p in layout.segments(stages[row])]
        module = strongest[row]
        values[row, parts[-1]] = 0
        values[row, parts[-1].start + module] = (1 << layout.precision) - 1
        if module > 1:
            values[row, parts[module - 2]] = 0
    return from_gene_values(values, population.lengths, layout.precision, population.weights)


def route_keys(weights: Floats, stages: Ints) -> list[bytes]:
    """Return what tells the route of each genotype from others: equal keys, equal weights of all that it reaches.

    Parameters
    ----------
    weights
        (n, G) float64, as :func:`~genoevo.decode.decode_population` gives them for a :class:`~genoevo.StagedLayout`.
    stages
        (n,) int64.

    """
    reached = reached_modules(weights, stages)
    segments = StagedLayout(1).segments(int(stages.max()))
    keys = []
    for row, stage in enumerate(stages.tolist()):
        output = weights[row, segments[stage - 1]]
        parts = [output[: np.flatnonzero(output).max() + 1].tobytes()]
        parts += [
            b"%d:" % k + weights[row, segments[k - 2]].tobytes() for k in range(2, stage + 1) if reached[row, k - 1]
        ]
        keys.append(b"".join(parts))
    return keys


def disjoint(tasks: int, stage: int, layout: StagedLayout) -> Population:
    """Return a route for each of *tasks* by one module of its own; with fewer modules than tasks they take turns."""
    segments = [part.start // layout.precision for part in layout.segments(stage)]
    values = np.zeros((tasks, layout.length(stage) // layout.precision), np.int64)
    largest = (1 << layout.precision) - 1
    values[:, segments[:-1]] = largest  # every module reads the initial input
    values[np.arange(tasks), segments[-1] + 1 + np.arange(tasks) % stage] = largest
    return from_gene_values(values, np.full(tasks, layout.length(stage)), layout.precision)
