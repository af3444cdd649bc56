"""Fitness functions and operators of small evolutions, and how they are played by ask and tell."""

import numpy as np

from genoevo import Population


def ones(population):
    return population.bits().sum(axis=1, dtype=float)


def ones_and_length(population):
    return np.stack([ones(population), population.lengths], axis=1)


def complement(population, rng):
    return Population.from_bits(1 - population.bits(), population.lengths, population.weights)


def evolved(evolution, generations):
    """The evolution after that many generations of OneMax through ask and tell."""
    for _ in range(generations):
        evolution.tell(ones(evolution.ask()))
    return evolution
