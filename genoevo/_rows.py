"""The parts of a population, checked: packed words and lengths, fitness, and what counts as a genotype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from deap import base

from genoevo._bits import stray_bits
from genoevo._check import shown
from genoevo._numbers import as_floats, as_lengths
from genoevo._types import AnyArray, Floats, Ints, Words
from genoevo.genotype import Fitness, Genotype

Bitstring = Genotype | str | Sequence[int] | AnyArray
"""What :meth:`Population.from_genotypes` takes as a genotype."""


def as_genotype(genotype: Bitstring, weights: tuple[float, ...]) -> Genotype:
    if isinstance(genotype, Genotype):
        if not isinstance(genotype.fitness, base.Fitness):
            got = shown(genotype.fitness)
            raise TypeError(f"the fitness of {genotype} is {got}: assign to genotype.fitness.values, such as (3.0,)")
        return genotype
    fitness = getattr(genotype, "fitness", None)
    if not isinstance(fitness, base.Fitness):
        return Genotype(genotype, weights)
    made = Genotype(genotype, fitness.weights)
    made.fitness = Fitness(fitness.values if fitness.valid else (), fitness.weights)
    return made


def known_values(genotype: Genotype, weights: tuple[float, ...]) -> tuple[float, ...]:
    values: tuple[float, ...] = genotype.fitness.values
    if len(values) != len(weights):
        raise ValueError(f"{genotype} has a fitness of {len(values)} values, got {len(weights)} weights")
    return values


def check_packed(words: Words, lengths: Ints) -> tuple[Words, Ints]:
    """Return packed words (n, W) and lengths (n,) as int64; ValueError says what of them does not fit."""
    if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.ndim != 2:
        got = f"{words.dtype}{words.shape}" if isinstance(words, np.ndarray) else shown(words)
        raise ValueError(f"a population's words must be a uint64 matrix, got {got}")
    lengths = as_lengths("a population's lengths", lengths)
    if not len(words) or lengths.shape != words.shape[:1] or lengths.min() < 1:
        raise ValueError(f"a population's words {words.shape} and lengths {lengths.shape} do not fit each other")
    if lengths.max() > 64 * words.shape[1]:
        raise ValueError(f"a genotype of {lengths.max()} bits does not fit {words.shape[1]} words")
    if stray_bits(words, lengths):
        raise ValueError("a population's words have bits past the length of their genotype")
    return words, lengths


def as_values(fitness: npt.ArrayLike, n: int, objectives: int) -> Floats:
    """Return *fitness* as (n, objectives) float64; ValueError for another shape, or for what is not numbers."""
    values = as_floats("fitness", fitness)
    expected = [(n, objectives)] + ([(n,)] if objectives == 1 else [])
    if values.shape not in expected:
        raise ValueError(f"fitness must have shape {' or '.join(map(str, expected))}, got {values.shape}")
    return values.reshape(n, objectives)
