"""genoevo's operators, or a whole :class:`~genoevo.Evolution`, on a toolbox of DEAP, with DEAP's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from deap import base

from genoevo._types import Ints
from genoevo.evolution import Evolution
from genoevo.genotype import Genotype
from genoevo.layout import FlatLayout, Layout
from genoevo.operators.calls import called
from genoevo.operators.crossover import two_point
from genoevo.operators.mutation import flip
from genoevo.operators.selection import tournament
from genoevo.population import Population

Mate = Callable[[Population, Population, np.random.Generator], tuple[Population, Population]]
Mutate = Callable[[Population, np.random.Generator], Population]
Select = Callable[[Population, int, np.random.Generator], Ints] | Callable[[Population, int], Ints]


def register(
    toolbox: base.Toolbox,
    layout: Layout,
    *,
    seed: int,
    size: int | None = None,
    weights: Sequence[float] = (1.0,),
    mate: Mate = two_point,
    mutate: Mutate = flip,
    select: Select = tournament,
) -> np.random.Generator:
    """Register ``individual``, ``population``, ``mate``, ``mutate`` and ``select`` for genotypes of *layout*.

    Parameters
    ----------
    toolbox
        The toolbox that gets the functions; ``evaluate`` stays the user's.
    layout
        Gives the length of a fresh individual.
    seed
        Seed of the one generator that all registered functions draw from.
    size
        Genes (flat layout) or stage (staged layout) of a fresh individual. None: the genes of a
        :class:`~genoevo.FlatLayout` that fixes them; with any other layout, ``individual(size=...)`` and
        ``population(n, size=...)`` must then name it.
    weights
        Weights of a fresh individual's fitness, one per objective.
    mate, mutate, select
        An operator of :mod:`genoevo.operators`; give it settings by :func:`functools.partial`, such as
        ``partial(crossover.n_point, points=4)`` or ``partial(mutation.flip, expected=2)``. A *select* that draws
        nothing, such as ``selection.truncation``, is called without the generator.

    Returns
    -------
    The generator, for other random numbers of the caller. ``mate(a, b) -> (a, b)`` and ``mutate(a) -> (a,)``
    return new genotypes and leave their arguments unchanged; ``select(individuals, k)`` returns *k* of the given
    objects.

    """
    rng = np.random.default_rng(seed)
    if size is None and isinstance(layout, FlatLayout):
        size = layout.genes

    def individual(size: int | None = size) -> Genotype:
        return population(1, size)[0]

    def population(n: int, size: int | None = size) -> list[Genotype]:
        if size is None:
            raise ValueError(f"{layout} has genotypes of many sizes: give size here or to register()")
        return list(Population.random(n, layout.length(size), rng, weights))

    def pair(first: Genotype, second: Genotype) -> tuple[Genotype, Genotype]:
        a, b = mate(_batch(first), _batch(second), rng)
        return a[0], b[0]

    def mutant(genotype: Genotype) -> tuple[Genotype]:
        return (mutate(_batch(genotype), rng)[0],)

    def selected(individuals: Sequence[Genotype], k: int) -> list[Any]:
        return [individuals[row] for row in called(select, (_batch(*individuals), k), rng)]

    toolbox.register("individual", individual)
    toolbox.register("population", population)
    toolbox.register("mate", pair)
    toolbox.register("mutate", mutant)
    toolbox.register("select", selected)
    return rng


def register_evolution(toolbox: base.Toolbox, evolution: Evolution) -> None:
    """Register ``generate`` and ``update``, by which DEAP's ``eaGenerateUpdate`` drives *evolution*.

    ``generate() -> list of Genotype`` calls :meth:`~genoevo.Evolution.ask`. ``update(individuals)`` passes their
    fitness, in the same order, to :meth:`~genoevo.Evolution.tell`. Both raise what these methods raise.
    ``update`` also raises ValueError for individuals without fitness, or in another order than ``generate``'s.
    ``evaluate`` stays the user's; the evolution's own function, if it has one, is not called.
    """

    def generate() -> list[Genotype]:
        return list(evolution.ask())

    def update(individuals: Sequence[Genotype]) -> None:
        if evolution.is_asked:
            _check_generated(individuals, list(evolution.ask()))
        evolution.tell([genotype.fitness.values for genotype in individuals])

    toolbox.register("generate", generate)
    toolbox.register("update", update)


def _check_generated(individuals: Sequence[Genotype], generated: list[Genotype]) -> None:
    if len(individuals) != len(generated):
        raise ValueError(f"update() takes the {len(generated)} individuals of generate(), got {len(individuals)}")
    for place, (individual, expected) in enumerate(zip(individuals, generated, strict=True)):
        if individual != expected:
            raise ValueError(f"individual {place} must be {expected}, as generate() returned it, got {individual}")
        if not individual.fitness.valid:
            shape = len(generated), len(expected.fitness.weights)
            raise ValueError(f"fitness must have shape {shape}, and individual {place}, {individual}, has none yet")


def _batch(*genotypes: Genotype) -> Population:
    return Population.from_genotypes(genotypes)
