"""The codes of genotypes, replaced by those that somebody else has found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genoevo._types import Flags
from genoevo.decode import from_gene_values, gene_values
from genoevo.population import Population


def rewritten(population: Population, genes: npt.ArrayLike, precision: int) -> tuple[Population, Flags]:
    """Return a population with other codes, and which genotypes have changed, (n,) bool.

    Changed genotypes lose their fitness. Raises ValueError for numbers that are not whole, of another shape than
    :func:`~genoevo.decode.gene_values` gives, or out of range. Numbers past a genotype's own genes are ignored.
    """
    present, given = gene_values(population, precision), np.asarray(genes)
    largest = 2**precision - 1
    if given.dtype.kind not in "iu" or given.shape != present.shape:
        raise ValueError(f"genes must be whole numbers of shape {present.shape}, got {given.dtype}{given.shape}")
    own = np.arange(given.shape[1]) < (population.lengths // precision)[:, None]
    if not ((given >= 0) & (given <= largest))[own].all():
        raise ValueError(f"genes must be from 0 to {largest}, got {given[own].min()} to {given[own].max()}")
    changed = np.asarray((own & (given != present)).any(axis=1))
    rows = np.flatnonzero(changed)
    if len(rows):
        codes, lengths = given[rows].astype(np.int64), population.lengths[rows]
        population = population.replaced(rows, from_gene_values(codes, lengths, precision, population.weights))
    return population, changed
