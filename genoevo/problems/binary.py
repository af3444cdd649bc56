"""Problems of a fixed number of bits."""

from __future__ import annotations

import numpy as np

from genoevo._check import check_whole
from genoevo._types import Floats
from genoevo.population import Population
from genoevo.problems.problem import Problem, ShuffledProblem

_FULL = np.uint64(2**64 - 1)


class OneMax(Problem):
    """The number of ones. Optimum *size*, at all ones.

    Source: Ackley 1987, A connectionist machine for genetic hillclimbing.
    """

    def _values(self, population: Population) -> Floats:
        words = population.words
        return np.asarray(np.bitwise_count(words) @ np.ones(words.shape[1]))  # twice as fast as sum(axis=1)


class LeadingOnes(Problem):
    """The number of ones before the first zero. Optimum *size*, at all ones.

    Source: Rudolph 1997, Convergence properties of evolutionary algorithms.
    """

    def _values(self, population: Population) -> Floats:
        words = population.words
        # Adding one to a word carries through its lowest ones, so it clears just these.
        leading = np.bitwise_count(words & ~(words + np.uint64(1))).astype(np.float64)
        leading[:, 1:] *= np.logical_and.accumulate(words[:, :-1] == _FULL, axis=1)
        return np.asarray(leading.sum(axis=1))


class Trap(ShuffledProblem):
    """Concatenated deceptive traps of *order* bits. Optimum *size*, at all ones.

    A block of u ones has value *order* if u = order, else order - 1 - u: the slope leads away from the optimum.
    *size* is a multiple of *order*, *order* at least 2. *shuffle* as in :class:`ShuffledProblem`.

    Source: Ackley 1987; Deb and Goldberg 1993, Analyzing deception in trap functions.
    """

    def __init__(self, size: int = 100, order: int = 5, shuffle: int = 0) -> None:
        super().__init__(size, shuffle)
        check_whole("order", order, 2)
        if size % order:
            raise ValueError(f"size must be a multiple of order ({order}), got {size}")
        self.order = order
        places = np.arange(size) if self._places is None else self._places
        self._members = places.reshape(-1, order).T  # the places of a block are a column
        self._table = np.append(np.arange(order - 1, -1, -1.0), order)  # by the ones of a block

    def _values(self, population: Population) -> Floats:
        as_bytes = population.words.astype("<u8", copy=False).view(np.uint8)
        loci = np.unpackbits(as_bytes.T, axis=0, count=self.size, bitorder="little")  # a row of each is taken fastest
        ones = loci.take(self._members, axis=0).sum(axis=0, dtype=np.min_scalar_type(self.order))
        return np.asarray(self._table.take(ones).sum(axis=0))


class HIFF(ShuffledProblem):
    """Hierarchical if-and-only-if. Optimum size * (log2(size) + 1), at all ones and at all zeros.

    Every block of 1, 2, 4, ... *size* bits that are all equal has its length as value. Each level has two equally
    good solutions per block, and only half of their combinations count on the next. *size* is a power of 2. *shuffle*
    as in :class:`ShuffledProblem`.

    Source: Watson, Hornby and Pollack 1998, Modeling building-block interdependency.
    """

    def __init__(self, size: int = 64, shuffle: int = 0) -> None:
        super().__init__(size, shuffle)
        if size & (size - 1):
            raise ValueError(f"size must be a power of 2, got {size}")

    @property
    def optimum(self) -> float:
        """The highest value."""
        return float(self.size * self.size.bit_length())

    def _values(self, population: Population) -> Floats:
        ones = self._bits(population)
        zeros = 1 - ones
        values = np.full(len(population), float(self.size))
        block = 2
        while block <= self.size:
            ones, zeros = ones[:, ::2] & ones[:, 1::2], zeros[:, ::2] & zeros[:, 1::2]
            values += block * (ones | zeros).sum(axis=1, dtype=np.int64)
            block *= 2
        return values


class MessyDeceptive(Problem):
    """The deceptive function of the first messy genetic algorithm. Optimum 10 * *size*, at all ones.

    Each three bits have the value 28, 26, 22, 0, 14, 0, 0 and 30 for 000, 001, ..., 111. The original has ten such
    blocks, 30 bits. *size* is a multiple of 3.

    Source: Goldberg, Korb and Deb 1989, Messy genetic algorithms: motivation, analysis, and first results.
    """

    _TABLE = np.array([28.0, 26.0, 22.0, 0.0, 14.0, 0.0, 0.0, 30.0])

    def __init__(self, size: int = 30) -> None:
        super().__init__(size)
        if size % 3:
            raise ValueError(f"size must be a multiple of 3, got {size}")

    @property
    def optimum(self) -> float:
        """The highest value."""
        return 10.0 * self.size

    def _values(self, population: Population) -> Floats:
        codes = population.bits().reshape(len(population), -1, 3) @ np.array([4, 2, 1])
        return np.asarray(self._TABLE[codes].sum(axis=1))
