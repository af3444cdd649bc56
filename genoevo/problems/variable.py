"""Problems of variable length, one of which is right."""

from __future__ import annotations

import numpy as np

from genoevo._types import Floats, Ints
from genoevo.layout import FlatLayout, Layout
from genoevo.population import Population
from genoevo.problems.problem import Problem


class _VariableLength(Problem):
    """A problem that starts from sizes 1 to 2 * *size* of the layout in equal shares."""

    def random(self, n: int, rng: np.random.Generator) -> Population:
        """Draw *n* random genotypes, of 1 to 2 * *size* genes, segments or stages in turn."""
        lengths = np.array([self.layout.length(1 + i % (2 * self.size)) for i in range(n)], dtype=np.int64)
        return Population.random(n, lengths, rng)


class VariableOneMax(_VariableLength):
    """OneMax of variable length: *size* minus the edit distance to the string of *size* ones. Optimum *size*, there.

    For a genotype of L bits, u of them ones, the value is min(u, size) - max(0, L - size). Up to *size* ones count,
    and every bit past *size* costs as much. Any length is legal.

    Source: OneMax is *size* minus the Hamming distance to all ones; the edit distance (Levenshtein 1966) in its place
    is this project's.
    """

    def __init__(self, size: int = 50) -> None:
        super().__init__(size)

    @property
    def layout(self) -> Layout:
        """The layout: genes of one bit, any number of them."""
        return FlatLayout()

    def _check_lengths(self, population: Population) -> None:
        pass

    def _values(self, population: Population) -> Floats:
        ones = np.bitwise_count(population.words).sum(axis=1, dtype=np.int64)
        surplus = np.maximum(population.lengths - self.size, 0)
        return np.asarray(np.minimum(ones, self.size) - surplus, dtype=np.float64)


class SegmentTrap(_VariableLength):
    """A deceptive trap on each of the first *size* segments; every further segment costs its length.

    A segment of b bits, u of them ones, has value b if u = b, else b - 1 - u, as in :class:`Trap`. The optimum is
    the length of *size* segments, at all ones of that length.

    Parameters
    ----------
    size
        The right number of segments.
    layout
        Gives the segments. In a :class:`~genoevo.FlatLayout`, which has one, each gene counts as a segment. None for
        genes of 5 bits.

    Notes
    -----
    Source: the traps as in :class:`Trap`; the variable number of segments is this project's.

    """

    def __init__(self, size: int = 5, layout: Layout | None = None) -> None:
        super().__init__(size)
        self._layout = layout or FlatLayout(precision=5)
        self._layout.length(size)

    @property
    def layout(self) -> Layout:
        """The given layout."""
        return self._layout

    @property
    def optimum(self) -> float:
        """The highest value."""
        return float(self.layout.length(self.size))

    def _check_lengths(self, population: Population) -> None:
        for length in np.unique(population.lengths):
            self.layout.stage(int(length))

    def _values(self, population: Population) -> Floats:
        ends = self._ends(self.layout.stage(int(population.lengths.max())))
        sizes = np.diff(ends, prepend=0)
        ones = np.add.reduceat(population.bits(), ends - sizes, axis=1, dtype=np.int64)
        worth = np.where(ones == sizes, sizes, sizes - 1 - ones)
        worth[:, self.size :] = -sizes[self.size :]
        return np.asarray(np.where(ends <= population.lengths[:, None], worth, 0).sum(axis=1), dtype=np.float64)

    def _ends(self, size: int) -> Ints:
        if isinstance(self.layout, FlatLayout):
            return self.layout.precision * np.arange(1, size + 1)
        return np.array([segment.stop for segment in self.layout.segments(size)])
