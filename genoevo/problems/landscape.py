"""Kauffman's NK landscapes with their exact optima."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_choice, check_whole
from genoevo._types import Floats, Ints
from genoevo.population import Population
from genoevo.problems.problem import ShuffledProblem

Neighbours = Literal["adjacent", "random"]

# Contributions are multiples of 2^-20: their sums are exact, so that an optimum equals its genotype's value.
_SCALE = 2**20
_PROGRAMMED = 2**30  # size * 4^k of the largest adjacent landscape: minutes
_WINDOWED = 2**22  # bits of all windows that are looked up at once
_SEARCHED = 20  # bits of the largest landscape that is searched exhaustively


class NKLandscape(ShuffledProblem):
    """An NK landscape: the mean over *size* loci of a random contribution that depends on the locus and *k* others.

    Parameters
    ----------
    size
        Loci N, one bit each.
    k
        Other loci that each contribution depends on, 0 to 10 and below *size*: 0 is smooth, more is more rugged.
    neighbours
        ``adjacent``: the k loci that follow, cyclically. The optimum comes from dynamic programming in time
        O(N 4^k); N 4^k is at most 2^30. ``random``: k others drawn for each locus. The optimum comes from trying
        all genotypes, of at most 20 loci.
    instance
        Seed of the contributions, uniform in [0, 1), and of the random neighbours.
    shuffle
        As in :class:`ShuffledProblem`.

    Notes
    -----
    Source: Kauffman and Weinberger 1989, The NK model of rugged fitness landscapes; the dynamic programme:
    Weinberger 1996, NP completeness of Kauffman's N-k model.

    """

    def __init__(
        self, size: int = 50, k: int = 4, neighbours: Neighbours = "adjacent", instance: int = 1, shuffle: int = 0
    ) -> None:
        super().__init__(size, shuffle)
        check_whole("k", k, 0, min(size - 1, 10))
        check_whole("size", size, 1, _PROGRAMMED // 4**k)
        check_choice("neighbours", neighbours, get_args(Neighbours))
        check_whole("instance", instance, 0)
        if neighbours == "random" and size > _SEARCHED:
            raise ValueError(f"size must be at most {_SEARCHED} with random neighbours, got {size}")
        self.k, self.neighbours = k, neighbours
        rng = np.random.default_rng(instance)
        self._contributions: Ints = rng.integers(0, _SCALE, (size, 2 ** (k + 1)))
        self._links = np.add.outer(np.arange(size), np.arange(k + 1)) % size
        self._powers = 2 ** np.arange(k + 1, dtype=np.float32)
        self._offsets = np.arange(size) << (k + 1)
        if neighbours == "random":
            for locus in range(size):
                others = np.delete(np.arange(size), locus)
                self._links[locus, 1:] = rng.choice(others, k, replace=False)

    @cached_property
    def optimum(self) -> float:
        """The highest value, computed at the first access."""
        total = self._by_programming() if self.neighbours == "adjacent" else self._by_search()
        return float(total / (_SCALE * self.size))

    def _values(self, population: Population) -> Floats:
        return np.asarray(self._totals(population) / (_SCALE * self.size))

    def _totals(self, population: Population) -> Ints:
        bits, totals = self._bits(population), np.empty(len(population), dtype=np.int64)
        rows = max(1, _WINDOWED // self._links.size)
        for first in range(0, len(bits), rows):
            windows = bits[first : first + rows].take(self._links, axis=1)
            codes = (windows.astype(np.float32) @ self._powers).astype(np.int64)  # below 2^11, so exact
            self._contributions.take(codes + self._offsets).sum(axis=1, out=totals[first : first + rows])
        return totals

    def _by_programming(self) -> int:
        # best[a, b]: the highest sum over the loci so far, from a first window of k bits a to the present one b.
        # A window moves on by a new highest bit; after all loci it has to be the first one again.
        windows = 2**self.k
        best = np.where(np.eye(windows, dtype=bool), 0, -(2**60))
        codes = np.arange(2 * windows)
        for contributions in self._contributions:
            reached = best[:, codes % windows] + contributions
            best = reached.reshape(windows, windows, 2).max(axis=2)
        return int(best.diagonal().max())

    def _by_search(self) -> int:
        highest, step = 0, 2**16
        for start in range(0, 2**self.size, step):
            words = np.arange(start, min(start + step, 2**self.size), dtype=np.uint64)[:, None]
            lengths = np.full(len(words), self.size, dtype=np.int64)
            highest = max(highest, int(self._totals(Population.unchecked(words, lengths)).max()))
        return highest
