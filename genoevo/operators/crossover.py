"""Crossover of genotypes of equal or different lengths, aligned by prefix (MEGA's Algorithm 3 [P], alignment [R]).

Every function but :func:`cut_and_splice` exchanges bits only inside the common prefix of the two parents. Each
child has one parent's length and keeps that parent's tail. Every function takes two populations of equal size,
pairs them row by row and leaves both unchanged. It returns two unevaluated populations: the children of the first
and of the second parents.

``granularity`` names the unit that stays whole: ``bit``, ``gene`` (the layout's genes) or ``segment`` (the layout's
segments that both parents have at the same place). The last two need ``layout`` and lengths that are legal in it.
"""

from __future__ import annotations

import numpy as np

from genoevo._bits import below, bernoulli_words, pack, prefix_mask, spliced, unpack, word_count
from genoevo._check import check_between, check_count, check_generator
from genoevo._types import Flags, Ints, Words
from genoevo.layout import Layout
from genoevo.operators._units import Granularity, Units, shared_units, units_of
from genoevo.operators.lengths import ANY_LENGTH, LengthPolicy
from genoevo.population import Population

Pair = tuple[Population, Population]


def n_point(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    *,
    points: int = 2,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
) -> Pair:
    """Exchange every second stretch between *points* distinct cuts, drawn uniformly in the common prefix.

    With an even number of points, a stretch may begin at the first unit and end at the prefix's last. With an odd
    number, all cuts are strictly inside, and the last stretch is exchanged too. If the prefix has fewer places to
    cut, it is cut at all of them. Source: De Jong 1975.
    """
    return _exchange(first, second, points_mask(first, second, rng, points, granularity, layout))


def points_mask(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    points: int,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
    mated: Flags | None = None,
) -> Words:
    """Draw the bits that :func:`n_point` exchanges, (n, words of the shorter parents) uint64.

    *mated* says which pairs exchange any, (n,) bool; None for all.
    """
    check_generator(rng)
    check_count("points", points, 1)
    units = _common_units(first, second, granularity, layout)
    ends = _distinct_cuts(units.counts, points, rng)
    if points % 2:
        ends = np.concatenate([ends, units.counts[:, None]], axis=1)
    if mated is not None:
        ends *= mated[:, None]  # no bit is between two cuts at 0
    return prefix_mask(units.bits(ends), min(first.words.shape[1], second.words.shape[1]))


def one_point(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    *,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
) -> Pair:
    """Exchange the bits after one cut, up to the end of the common prefix: :func:`n_point` with one point."""
    return n_point(first, second, rng, points=1, granularity=granularity, layout=layout)


def two_point(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    *,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
) -> Pair:
    """Exchange one stretch of the common prefix: :func:`n_point` with two points."""
    return n_point(first, second, rng, points=2, granularity=granularity, layout=layout)


def uniform(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    *,
    rate: float = 0.5,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
) -> Pair:
    """Exchange each unit of the common prefix independently with probability *rate*. Source: Syswerda 1989."""
    return _exchange(first, second, uniform_mask(first, second, rng, rate, granularity, layout))


def uniform_mask(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    rate: float = 0.5,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
    mated: Flags | None = None,
) -> Words:
    """Draw the bits that :func:`uniform` exchanges, (n, at most the words of the shorter parents) uint64.

    *mated* says which pairs exchange any, (n,) bool; None for all.
    """
    check_generator(rng)
    check_between("rate", rate, 0, 1)
    units = _common_units(first, second, granularity, layout)
    width = word_count(int(units.counts.max(initial=0)))
    chosen = bernoulli_words(np.full(len(first), rate), width, rng) & prefix_mask(units.counts, width)
    if mated is not None:
        chosen[~mated] = 0
    return _mask_of_units(chosen, units)


def segments(
    first: Population, second: Population, rng: np.random.Generator, *, layout: Layout, rate: float = 0.5
) -> Pair:
    """Exchange each whole segment that both parents have with probability *rate* [O].

    :func:`uniform` on segments. Raises ValueError if a length is not legal in *layout*.
    """
    return uniform(first, second, rng, rate=rate, granularity="segment", layout=layout)


def cut_and_splice(
    first: Population,
    second: Population,
    rng: np.random.Generator,
    *,
    granularity: Granularity = "bit",
    layout: Layout | None = None,
    policy: LengthPolicy = ANY_LENGTH,
) -> Pair:
    """Join one parent's head to the other's tail, each parent cut at a place of its own.

    Each cut is uniform among all places between whole units, both ends included, and independent of the other. The
    children's lengths add up to the parents'. Unless *policy* bounds them, they spread without limit. The policy
    also fills an empty child, which happens with probability 2 / ((L1 + 1) (L2 + 1)) for parents of L1 and L2 units.

    Parameters
    ----------
    first, second, rng
        As for every function of this module.
    granularity, layout
        The places of cuts. With a layout, its lengths are the legal ones.
    policy
        The rule for a child whose length is not legal.

    Notes
    -----
    Source: Goldberg, Korb and Deb 1989 (messy genetic algorithms).

    """
    check_generator(rng)
    _check_paired(first, second)
    cuts = []
    for parent in (first, second):
        units = units_of(parent.lengths, granularity, layout)
        cuts.append(units.bits(below(units.counts + 1, rng)[:, None])[:, 0])
    one = policy.enforce(_joined(first, cuts[0], second, cuts[1]), first, rng, layout)
    return one, policy.enforce(_joined(second, cuts[1], first, cuts[0]), second, rng, layout)


def _joined(head: Population, keep: Ints, tail: Population, start: Ints) -> Population:
    lengths = keep + tail.lengths - start
    return Population.unchecked(spliced(head.words, keep, tail.words, start, lengths), lengths, weights=head.weights)


def _check_paired(first: Population, second: Population) -> None:
    if len(first) != len(second):
        raise ValueError(f"parents must pair up, got {len(first)} and {len(second)}")


def _common_units(first: Population, second: Population, granularity: Granularity, layout: Layout | None) -> Units:
    _check_paired(first, second)
    return shared_units(first.lengths, second.lengths, granularity, layout)


def _mask_of_units(chosen: Words, units: Units) -> Words:
    # From one bit per unit to all bits of the chosen units.
    if units.size == 1:
        return chosen
    flags = unpack(chosen, int(units.counts.max(initial=0)))
    if units.ends is None:
        return pack(np.repeat(flags, units.size, axis=1))
    # An exchange begins and ends at neighbours that differ; a cut at 0 changes nothing.
    turns = np.diff(flags, axis=1, prepend=0, append=0) != 0
    ends = units.bits(np.where(turns, np.arange(turns.shape[1]), 0))
    return prefix_mask(ends, word_count(int(ends.max(initial=0))))


def _exchange(first: Population, second: Population, mask: Words) -> Pair:
    children = first.unevaluated(), second.unevaluated()
    take_over(children[0].words, second.words, mask)
    take_over(children[1].words, first.words, mask)
    return children


def take_over(words: Words, donors: Words, mask: Words) -> None:
    """Copy the bits of *donors* at which *mask* is one to *words*, in place."""
    width = mask.shape[1]
    changed = words[:, :width] ^ donors[:, :width]
    changed &= mask
    words[:, :width] ^= changed


def _distinct_cuts(common: Ints, points: int, rng: np.random.Generator) -> Ints:
    # Floyd's sampling without replacement, all rows at once. An odd number of cuts leaves the last stretch
    # exchanged, so its cuts lie strictly inside; an even number may begin at 0 and end at `common`, or the first
    # and the last unit would never move. A column that has no cut left holds `common`: that cut changes nothing.
    low, places = (1, common - 1) if points % 2 else (0, common + 1)
    if places.min(initial=points) >= points:  # every column has all its cuts
        cuts = np.empty((points, len(common)), dtype=np.int64)
        for i in range(points):
            last = places - (points - i)
            cuts[i] = drawn = below(last + 1, rng)
            for cut in cuts[:i]:
                np.copyto(cuts[i], last, where=cut == drawn)
        return (cuts + low if low else cuts).T
    chosen = np.full((points, len(common)), -1, dtype=np.int64)
    for i, cut in enumerate(chosen):
        last = places - points + i
        drawn = below(np.maximum(last + 1, 1), rng)
        taken = (chosen[:i] == drawn).any(axis=0)
        cut[:] = np.where(last < 0, -1, np.where(taken, last, drawn))
    return np.where(chosen < 0, common, chosen + low).T
