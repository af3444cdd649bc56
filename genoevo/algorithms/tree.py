"""Linkage between bits: pairwise mutual information from packed columns, and the tree of clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo._bits import pack, unpack
from genoevo._types import Floats, Ints, Words

# Distances are multiples of 2^-32: their sums are exact, so that a tree does not depend on the order of its merges.
_SCALE = 2.0**32


@dataclass(frozen=True, slots=True)
class Tree:
    """The clusters of a linkage tree that are of use, in no order.

    ``masks`` (C, W) uint64, the bits of each cluster; ``sizes`` (C,) int64, their number; ``heights`` (C,) float64,
    the mean distance of the two clusters that it was merged from, 0 for a single bit.
    """

    masks: Words
    sizes: Ints
    heights: Floats

    def smallest_first(self, rng: np.random.Generator) -> Words:
        """Return the masks, small clusters first, those of a size in random order."""
        order = rng.permutation(len(self.sizes))
        return self.masks[order[np.argsort(self.sizes[order], kind="stable")]]

    def least_linked_first(self, rng: np.random.Generator) -> Words:
        """Return the masks of the least linked clusters first: from the root of the tree to the single bits."""
        order = rng.permutation(len(self.sizes))
        return self.masks[order[np.lexsort((-self.sizes[order], -self.heights[order]))]]


def distances(words: Words, length: int) -> Ints:
    """Return the distance of each pair of the first *length* bits over the solutions *words*, (length, length) int64.

    It is 1 - I(a, b) / H(a, b), the mutual information over the joint entropy, in units of 2^-32: 0 for bits of which
    one tells the other, also for bits that are constant, and at most 2^32.

    Source: Goldman and Punch 2014 (the distance); the counts are popcounts of packed columns.
    """
    columns = pack(unpack(words, length).T)
    both = np.zeros((length, length), dtype=np.int64)
    for column in columns.T:
        both += np.bitwise_count(column[:, None] & column)
    n, ones = len(words), both.diagonal()
    count = np.arange(n + 1, dtype=np.float64)
    part = np.zeros(n + 1)  # k log k: entropy times n is n log n minus the sum of these
    part[1:] = count[1:] * np.log2(count[1:])
    first = ones[:, None] - both
    joint = part[n] - ((part[both] + part[n - ones[:, None] - ones + both]) + (part[first] + part[first.T]))
    single = part[n] - (part[ones] + part[n - ones])
    apart = np.zeros(joint.shape)
    np.divide(single[:, None] + single, joint, out=apart, where=joint > 0)
    return np.asarray(np.where(joint > 0, np.rint((2 - apart) * _SCALE), 0).clip(0, _SCALE), dtype=np.int64)


def linkage_tree(distance: Ints, width: int, rng: np.random.Generator, *, whole: bool) -> Tree:
    """Merge the closest clusters by their mean distance (UPGMA) until one is left; equal distances in random order.

    Clusters that are nearest to each other merge at the same time, which makes the same tree as one after the other.

    Parameters
    ----------
    distance
        As :func:`distances` returns it.
    width
        The words of a mask.
    rng
        The source of all randomness.
    whole
        Whether the cluster of all bits is of use. The parts of a cluster whose distance is 0 never are, because
        their bits always change together.

    Notes
    -----
    Source: Gronau and Moran 2007, Optimal implementations of UPGMA; Thierens 2010, The linkage tree genetic
    algorithm; Goldman and Punch 2014 (parts at distance 0).

    """
    n = len(distance)
    bits = rng.permutation(n)  # the first of equals is taken
    masks = np.zeros((2 * n - 1, width), dtype=np.uint64)
    masks[np.arange(n), bits >> 6] = np.uint64(1) << (bits & 63).astype(np.uint64)
    sizes, heights = np.ones(2 * n - 1, dtype=np.int64), np.zeros(2 * n - 1)
    useful = np.ones(2 * n - 1, dtype=np.bool_)
    sums, nodes, made = distance[bits][:, bits], np.arange(n), n  # sums of the distances between two clusters' bits
    while len(nodes) > 1:
        mean = sums / np.multiply.outer(sizes[nodes], sizes[nodes])
        np.fill_diagonal(mean, np.inf)
        nearest = mean.argmin(axis=1)
        one = np.flatnonzero((nearest[nearest] == np.arange(len(nodes))) & (np.arange(len(nodes)) < nearest))
        other = nearest[one]
        parents = np.arange(made, made + len(one))
        masks[parents] = masks[nodes[one]] | masks[nodes[other]]
        sizes[parents] = sizes[nodes[one]] + sizes[nodes[other]]
        heights[parents] = mean[one, other]
        same = sums[one, other] == 0
        useful[nodes[one[same]]] = useful[nodes[other[same]]] = False
        sums[one] += sums[other]
        sums[:, one] += sums[:, other]
        nodes[one], made = parents, made + len(one)
        left = np.ones(len(nodes), dtype=np.bool_)
        left[other] = False
        nodes, sums = nodes[left], sums[left][:, left]
    useful[-1] = whole
    return Tree(masks[useful], sizes[useful], heights[useful])
