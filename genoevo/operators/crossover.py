"""Crossover of genotypes of equal or different lengths, aligned by prefix (MEGA's Algorithm 3 [P], alignment [R]).

Bits are exchanged only inside the common prefix of the two parents; each child has one parent's length and keeps
that parent's tail. Every function takes two populations of equal size, pairs them row by row, leaves both
untouched and returns two unevaluated populations: the children of the first and of the second parents.
"""

from __future__ import annotations

import numpy as np

from genoevo._bits import Ints, Words, pack, prefix_mask
from genoevo._check import check_at_least, check_between, check_generator
from genoevo.layout import Layout
from genoevo.population import Population

Pair = tuple[Population, Population]


def n_point(first: Population, second: Population, rng: np.random.Generator, *, points: int = 2) -> Pair:
    """Exchange every second stretch between *points* distinct cuts, drawn uniformly in the common prefix.

    An even number of points exchanges a stretch that may begin at the first bit and end at the prefix's last; an
    odd number cuts strictly inside and exchanges the last stretch too. Where the prefix has fewer places to cut,
    it is cut at all of them. Source: De Jong 1975.
    """
    check_generator(rng)
    check_at_least("points", points, 1)
    common = _common(first, second)
    width = min(first.words.shape[1], second.words.shape[1])
    mask = prefix_mask(common, width) if points % 2 else np.zeros((len(common), width), np.uint64)
    for cut in _distinct_cuts(common, points, rng).T:
        mask ^= prefix_mask(cut, width)
    return _exchange(first, second, mask)


def uniform(first: Population, second: Population, rng: np.random.Generator, *, rate: float = 0.5) -> Pair:
    """Exchange each bit of the common prefix with probability *rate*. Source: Syswerda 1989."""
    check_generator(rng)
    check_between("rate", rate, 0, 1)
    common = _common(first, second)
    width = min(first.words.shape[1], second.words.shape[1])
    if rate == 0.5:
        mask = rng.integers(0, 2**64, (len(common), width), dtype=np.uint64)
    else:
        mask = pack(rng.random((len(common), width * 64)) < rate)
    return _exchange(first, second, mask & prefix_mask(common, width))


def segments(
    first: Population, second: Population, rng: np.random.Generator, *, layout: Layout, rate: float = 0.5
) -> Pair:
    """Exchange each whole segment that both parents have with probability *rate* [O].

    Raises ValueError where a length is not legal in *layout*.
    """
    check_generator(rng)
    check_between("rate", rate, 0, 1)
    common = _common(first, second)
    for length in np.unique(np.concatenate([first.lengths, second.lengths])):
        layout.stage(int(length))
    spans = layout.segments(layout.stage(int(common.max())))
    ends = np.array([span.stop for span in spans])
    chosen = (rng.random((len(common), len(spans))) < rate) & (ends <= common[:, None])
    mask = pack(np.repeat(chosen, np.diff(ends, prepend=0), axis=1))
    return _exchange(first, second, mask)


def _common(first: Population, second: Population) -> Ints:
    if len(first) != len(second):
        raise ValueError(f"parents must pair up, got {len(first)} and {len(second)}")
    return np.minimum(first.lengths, second.lengths)


def _exchange(first: Population, second: Population, mask: Words) -> Pair:
    width = mask.shape[1]
    swapped = (first.words[:, :width] ^ second.words[:, :width]) & mask
    children = []
    for parent in (first, second):
        words = parent.words.copy()
        words[:, :width] ^= swapped
        children.append(Population(words, parent.lengths.copy(), weights=parent.weights))
    return children[0], children[1]


def _distinct_cuts(common: Ints, points: int, rng: np.random.Generator) -> Ints:
    # Floyd's sampling without replacement, all rows at once. An odd number of cuts leaves the last stretch
    # exchanged, so its cuts lie strictly inside; an even number may begin at 0 and end at `common`, or the first
    # and the last bit would never move. A column that has no cut left holds `common`, where cutting changes nothing.
    low, places = (1, common - 1) if points % 2 else (0, common + 1)
    chosen = np.full((len(common), points), -1, dtype=np.int64)
    for i in range(points):
        last = places - points + i
        drawn = rng.integers(0, np.maximum(last, 0) + 1)
        taken = (chosen[:, :i] == drawn[:, None]).any(axis=1)
        chosen[:, i] = np.where(last >= 0, np.where(taken, last, drawn), -1)
    return np.where(chosen >= 0, chosen + low, common[:, None])
