"""Our operators on a ``deap.base.Toolbox``, in DEAP's calling convention."""

from __future__ import annotations

from typing import Any

import numpy as np
from deap import base

from genoevo.genotype import Genotype
from genoevo.layout import Layout
from genoevo.operators import crossover, mutation, selection
from genoevo.population import Population


def register(
    toolbox: base.Toolbox,
    layout: Layout,
    *,
    seed: int,
    size: int,
    points: int = 2,
    mutation_rate: float | None = None,
    tournament_size: int = 3,
) -> np.random.Generator:
    """Register ``individual``, ``population``, ``mate``, ``mutate`` and ``select`` for genotypes of *layout*.

    Parameters
    ----------
    toolbox
        Gets the functions; ``evaluate`` stays the user's.
    layout
        Gives the length of a fresh individual.
    seed
        Of the one generator that all registered functions draw from.
    size
        Genes (flat layout) or stage (staged layout) of a fresh individual.
    points, mutation_rate, tournament_size
        As in :func:`~genoevo.operators.crossover.n_point`, :func:`~genoevo.operators.mutation.flip` and
        :func:`~genoevo.operators.selection.tournament`.

    Returns
    -------
    The generator, for what else the caller draws. ``mate(a, b) -> (a, b)`` and ``mutate(a) -> (a,)`` return new
    genotypes and leave their arguments untouched; ``select(individuals, k)`` returns *k* of the given objects.

    """
    rng = np.random.default_rng(seed)

    def individual() -> Genotype:
        return Population.random(1, layout.length(size), rng)[0]

    def population(n: int) -> list[Genotype]:
        return list(Population.random(n, layout.length(size), rng))

    def mate(first: Genotype, second: Genotype) -> tuple[Genotype, Genotype]:
        a, b = crossover.n_point(_batch(first), _batch(second), rng, points=points)
        return a[0], b[0]

    def mutate(genotype: Genotype) -> tuple[Genotype]:
        return (mutation.flip(_batch(genotype), rng, rate=mutation_rate)[0],)

    def select(individuals: list[Genotype], k: int) -> list[Any]:
        winners = selection.tournament(_batch(*individuals), k, rng, size=tournament_size)
        return [individuals[i] for i in winners]

    for function in (individual, population, mate, mutate, select):
        toolbox.register(function.__name__, function)
    return rng


def _batch(*genotypes: Genotype) -> Population:
    return Population.from_genotypes(genotypes)
