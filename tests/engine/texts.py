"""Populations as text."""


def strings(population):
    return [str(genotype) for genotype in population]
