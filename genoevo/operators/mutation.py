"""Mutation of packed genotypes.

Every function but :func:`flip_in_place` leaves its population unchanged and returns a new, unevaluated one.
"""

from __future__ import annotations

import numpy as np

from genoevo._bits import (
    below,
    bernoulli_words,
    flip_bits,
    pack,
    prefix_mask,
    random_words,
    spliced,
    unpack,
    word_count,
)
from genoevo._check import check_count, check_flag, check_generator, shown
from genoevo._numbers import as_floats
from genoevo._types import Floats, Ints
from genoevo.layout import Layout
from genoevo.operators._units import Granularity, Units, units_of
from genoevo.operators.lengths import ANY_LENGTH, LengthPolicy
from genoevo.population import Population

# Above this rate each bit is decided on its own; below it, only the bits that flip are visited.
_DENSE = 0.25


def flip(
    population: Population,
    rng: np.random.Generator,
    *,
    rate: float | Floats | None = None,
    expected: float | Floats | None = None,
) -> Population:
    """Flip each bit independently (MEGA's Algorithm 4 [P]).

    Up to a rate of 1/4 the cost beyond a copy grows with the number of flips, not of bits.

    Parameters
    ----------
    population
        The genotypes. They are not changed.
    rng
        The source of all randomness.
    rate
        Probability per bit, one number or (n,) one per genotype; None for 1 / length of each genotype. Flips per
        genotype are then Binomial(length, rate), their places uniform.
    expected
        Instead of *rate*: expected flips per genotype, one number or (n,), from 0 to the genotype's length.

    Returns
    -------
    A new, unevaluated population.

    Raises
    ------
    ValueError
        For a rate outside [0, 1], more expected flips than bits, or if both are given.

    """
    check_generator(rng)
    rates = _rates(population.lengths, rate, expected)
    mutants = population.unevaluated()
    flip_in_place(mutants, rates, rng)
    return mutants


def flip_by_place(population: Population, rng: np.random.Generator, *, rates: Floats) -> Population:
    """Flip each bit independently, with a probability of its own.

    *rates* is (L,) float64 in [0, 1], one for each place, with L at least the bits of the longest genotype. The rest
    is as in :func:`flip`. Raises ValueError for other rates.
    """
    check_generator(rng)
    lengths, given = population.lengths, as_floats("rates", rates)
    longest = int(lengths.max())
    if given.ndim != 1 or given.size < longest or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"rates must be {longest} numbers between 0 and 1, one per bit, got {shown(rates)}")
    mutants, most = population.unevaluated(), float(given[:longest].max())
    if most > _DENSE:
        hit = rng.random((len(lengths), longest)) < given[:longest]
        mutants.words[:, : word_count(longest)] ^= pack(hit) & prefix_mask(lengths, word_count(longest))
    else:  # as if all bits had the highest rate, then thinned
        rows, bits = _sparse(lengths, np.full(len(lengths), most), rng)
        kept = rng.random(len(rows)) * most < given[bits]
        flip_bits(mutants.words, rows[kept], bits[kept])
    return mutants


def flip_in_place(population: Population, rates: Floats, rng: np.random.Generator) -> None:
    """Do what :func:`flip` does with (n,) rates in [0, 1] to *population* itself, and leave its fitness."""
    lengths, words = population.lengths, population.words
    flip_bits(words, *_sparse(lengths, rates, rng))
    dense = (rates > _DENSE).nonzero()[0]
    if dense.size:
        chosen = bernoulli_words(rates[dense], words.shape[1], rng)
        words[dense] ^= chosen & prefix_mask(lengths[dense], words.shape[1])


def creep(
    population: Population,
    rng: np.random.Generator,
    *,
    layout: Layout,
    rate: float | Floats | None = None,
    step: int = 1,
    wrap: bool = False,
) -> Population:
    """Move the decimal value of each gene, with probability *rate*, by up to *step* up or down.

    Parameters
    ----------
    population
        The genotypes, of lengths that are legal in *layout*. They are not changed.
    rng
        The source of all randomness.
    layout
        Gives the bits of a gene, most significant first.
    rate
        Probability per gene, one number or (n,); None for 1 / genes of each genotype.
    step
        The distance is uniform in 1..step, both directions equally likely.
    wrap
        True: the highest value is followed by 0 and the other way round. False: a value stops at 0 and at the
        highest, so a gene that is there already may keep its value.

    Notes
    -----
    Source: Davis 1991 (real-number creep), here on the integers that genes encode.

    """
    check_generator(rng)
    check_count("step", step, 1)
    check_flag("wrap", wrap)
    genes, precision = units_of(population.lengths, "gene", layout).counts, layout.precision
    rows, gene = _hits(genes, _rates(genes, rate, None), rng)
    mutants = population.unevaluated()
    bits = (gene * precision)[:, None] + np.arange(precision)
    before = mutants.words[rows[:, None], bits >> 6] >> (bits & 63).astype(np.uint64) & np.uint64(1)
    powers = 1 << np.arange(precision - 1, -1, -1)
    distance = rng.integers(1, step + 1, len(rows)) * (2 * rng.integers(0, 2, len(rows)) - 1)
    moved = before.astype(np.int64) @ powers + distance
    values = moved % (1 << precision) if wrap else moved.clip(0, (1 << precision) - 1)
    changed = before != (values[:, None] // powers & 1)
    flip_bits(mutants.words, np.repeat(rows, changed.sum(axis=1)), bits[changed])
    return mutants


def insert(
    population: Population,
    rng: np.random.Generator,
    *,
    layout: Layout | None = None,
    granularity: Granularity = "segment",
    policy: LengthPolicy = ANY_LENGTH,
) -> Population:
    """Insert a unit of fair random bits into each genotype, at any place between units, ends included.

    The new unit is as long as the one before it; if it becomes the first, as long as the old first. *granularity*,
    *layout* and *policy* as in :func:`~genoevo.operators.crossover.cut_and_splice`. A staged genotype has the wrong
    number of bits for the next stage unless the policy repairs it; :func:`~genoevo.operators.growth.grow` adds
    exactly a stage. In a :class:`~genoevo.FlatLayout` a gene is the useful unit, because all genes are one segment.
    """
    units = _units(population, rng, granularity, layout)
    place = below(units.counts + 1, rng)
    start, stop = _span(units, np.maximum(place - 1, 0))
    at = np.where(place > 0, stop, 0)
    longer = _rearranged(population, at, at - (stop - start))
    fresh = random_words(longer.lengths, longer.words.shape[1], rng)
    # The bits that `_rearranged` put there do not matter: exclusive or with fair bits makes any bit fair.
    longer.words ^= fresh & prefix_mask(np.stack([at, at + stop - start], axis=1), longer.words.shape[1])
    return policy.enforce(longer, population, rng, layout)


def delete(
    population: Population,
    rng: np.random.Generator,
    *,
    layout: Layout | None = None,
    granularity: Granularity = "segment",
    policy: LengthPolicy = ANY_LENGTH,
) -> Population:
    """Delete a uniformly chosen unit of each genotype; settings and remarks as in :func:`insert`.

    A genotype of one unit becomes empty, so the policy always applies to it.
    """
    units = _units(population, rng, granularity, layout)
    start, stop = _span(units, below(units.counts, rng))
    return policy.enforce(_rearranged(population, start, stop), population, rng, layout)


def duplicate(
    population: Population,
    rng: np.random.Generator,
    *,
    layout: Layout | None = None,
    granularity: Granularity = "segment",
    policy: LengthPolicy = ANY_LENGTH,
) -> Population:
    """Insert a copy of a uniformly chosen unit of each genotype right after it; settings as in :func:`insert`."""
    units = _units(population, rng, granularity, layout)
    start, stop = _span(units, below(units.counts, rng))
    return policy.enforce(_rearranged(population, stop, start), population, rng, layout)


def _units(
    population: Population, rng: np.random.Generator, granularity: Granularity, layout: Layout | None
) -> Units:
    check_generator(rng)
    return units_of(population.lengths, granularity, layout)


def _span(units: Units, chosen: Ints) -> tuple[Ints, Ints]:
    ends = units.bits(np.stack([chosen, chosen + 1], axis=1))
    return ends[:, 0], ends[:, 1]


def _rearranged(population: Population, keep: Ints, start: Ints) -> Population:
    # The first `keep` bits, then all from `start` on; a negative start means that many arbitrary bits before.
    lengths = keep + population.lengths - start
    words = spliced(population.words, keep, population.words, start, lengths)
    return Population.unchecked(words, lengths, weights=population.weights)


def _rates(counts: Ints, rate: float | Floats | None, expected: float | Floats | None) -> Floats:
    if rate is not None and expected is not None:
        raise ValueError("give rate or expected, not both")
    if rate is None:
        wanted = _per_row("expected", 1.0 if expected is None else expected, counts)
        if not ((wanted >= 0) & (wanted <= counts)).all():
            raise ValueError(f"expected must be between 0 and the length, got {expected!r}")
        return wanted / counts
    rates = _per_row("rate", rate, counts)
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"rate must be between 0 and 1, got {rate!r}")
    return np.broadcast_to(rates, counts.shape)


def _per_row(name: str, value: object, counts: Ints) -> Floats:
    numbers = as_floats(name, value)
    if numbers.shape not in ((), counts.shape):
        raise ValueError(f"{name} must be one number or one per genotype, {counts.shape}, got shape {numbers.shape}")
    return numbers


def _sparse(counts: Ints, rates: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    # Row and unit of every hit, each unit of a row hit independently at the row's rate; rows above _DENSE have none.
    # A Poisson number of points thrown with replacement hits each unit at least once with just that probability.
    dense = rates > _DENSE
    density = -np.log1p(-(np.where(dense, 0.0, rates) if np.count_nonzero(dense) else rates))
    rows = _poisson_rows(density * counts, rng)
    stride = int(counts.max(initial=1)).bit_length()
    hits = np.sort((rows << stride) | below(counts[rows], rng))
    new = np.empty(len(hits), dtype=np.bool_)
    new[:1] = True
    np.not_equal(hits[1:], hits[:-1], out=new[1:])
    hits = hits[new]
    return hits >> stride, hits & ((1 << stride) - 1)


def _poisson_rows(means: Floats, rng: np.random.Generator) -> Ints:
    # Each row a Poisson number of times, in any order.
    most = means.max(initial=0.0)
    if most * len(means) > 2 * means.sum():
        return np.repeat(np.arange(len(means)), rng.poisson(means))
    # One Poisson number for all is faster if rows are similar: as if all had the highest mean, then thinned.
    rows = rng.integers(0, max(len(means), 1), rng.poisson(most * len(means)))
    thin = rng.random(len(rows))
    return rows if most == means.min(initial=most) else np.asarray(rows[thin * most < means[rows]])


def _hits(counts: Ints, rates: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    rows, units = _sparse(counts, rates, rng)
    dense = np.flatnonzero(rates > _DENSE)
    if dense.size:
        most = int(counts[dense].max())
        chosen = bernoulli_words(rates[dense], word_count(most), rng) & prefix_mask(counts[dense], word_count(most))
        more_rows, more_units = np.nonzero(unpack(chosen, most))
        rows, units = np.concatenate([rows, dense[more_rows]]), np.concatenate([units, more_units])
    return rows, units
