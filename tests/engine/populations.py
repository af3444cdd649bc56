"""Populations of a given fitness."""

import numpy as np

from genoevo import Population


def with_fitness(values, weights=(1.0,)):
    population = Population.random(len(values), 8, np.random.default_rng(1), weights=weights)
    population.fitness = values
    return population
