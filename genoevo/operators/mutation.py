"""Mutation of packed genotypes."""

from __future__ import annotations

import numpy as np

from genoevo._bits import Words, pack, prefix_mask
from genoevo._check import check_generator
from genoevo.population import Floats, Population

# Above this rate a flip for each bit is drawn; below it, only the bits that flip are visited.
_DENSE = 0.25


def flip(population: Population, rng: np.random.Generator, *, rate: float | Floats | None = None) -> Population:
    """Flip each bit independently (MEGA's Algorithm 4 [P]).

    Parameters
    ----------
    population
        Left untouched.
    rng
        Source of all randomness.
    rate
        Probability per bit, one number or (n,) one per genotype; None for 1 / length of each genotype. Flips per
        genotype are then Binomial(length, rate), their places uniform.

    Returns
    -------
    A new, unevaluated population.

    """
    check_generator(rng)
    lengths = population.lengths
    rates = np.broadcast_to(np.asarray(1 / lengths if rate is None else rate, dtype=np.float64), lengths.shape)
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"rate must be between 0 and 1, got {rate!r}")
    words = population.words.copy()
    if rates.max() > _DENSE:
        flips = rng.random((len(words), words.shape[1] * 64)) < rates[:, None]
        words ^= pack(flips) & prefix_mask(lengths, words.shape[1])
    elif rates.max() > 0:
        _flip_sparsely(words, population, rates, rng)
    return Population(words, lengths.copy(), weights=population.weights)


def _flip_sparsely(words: Words, population: Population, rates: Floats, rng: np.random.Generator) -> None:
    # A bit of rate r owns an interval of length -log(1 - r); points of a Poisson process of density 1 hit it at
    # least once with probability exactly r, independently of all other bits. Cost grows with flips, not bits.
    per_bit = -np.log1p(-rates)
    ends = np.cumsum(population.lengths * per_bit)
    points = np.minimum(rng.random(rng.poisson(ends[-1])) * ends[-1], np.nextafter(ends[-1], 0))
    rows = np.searchsorted(ends, points, side="right")
    offset = points - (ends[rows] - population.lengths[rows] * per_bit[rows])
    bit = np.minimum((offset / per_bit[rows]).astype(np.int64), population.lengths[rows] - 1)
    hit = np.unique(rows * (64 * words.shape[1]) + np.maximum(bit, 0))
    np.bitwise_xor.at(words.reshape(-1), hit >> 6, np.uint64(1) << (hit & 63).astype(np.uint64))
