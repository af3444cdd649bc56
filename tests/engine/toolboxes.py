"""Toolboxes of DEAP with a fitness function, and genotypes that have their fitness."""

from deap import base

from genoevo import FlatLayout
from genoevo.interop.deap import register


def one_max(genotype):
    return (float(genotype.bits.sum()),)


def toolbox_for(size=50, seed=1, layout=None, **settings):
    toolbox = base.Toolbox()
    generator = register(toolbox, layout or FlatLayout(), seed=seed, size=size, **settings)
    toolbox.register("evaluate", one_max)
    toolbox.register("map", map)
    return toolbox, generator


def evaluated(genotypes):
    for genotype in genotypes:
        genotype.fitness.values = one_max(genotype)
    return genotypes
