"""The base of all problems."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from genoevo._check import check_whole, shown
from genoevo._types import Bits, Floats
from genoevo.layout import FlatLayout, Layout
from genoevo.population import Population


class Problem(ABC):
    """A function of genotypes to be maximised, with a known highest value.

    An instance evaluates a whole population, as :class:`~genoevo.evaluation.Vectorised` requires.

    Parameters
    ----------
    size
        The bits of every genotype, at least 1, unless a subclass defines it otherwise.

    """

    def __init__(self, size: int = 100) -> None:
        check_whole("size", size, 1)
        self.size = size

    @property
    def optimum(self) -> float:
        """The highest value, *size* unless a subclass defines it otherwise."""
        return float(self.size)

    @property
    def layout(self) -> Layout:
        """The layout of the genotypes, *size* genes of one bit unless a subclass defines it otherwise."""
        return FlatLayout(genes=self.size)

    @property
    def fitness_weights(self) -> tuple[float, ...]:
        """The weight of each value, one that is maximised unless a subclass defines it otherwise."""
        return (1.0,)

    def random(self, n: int, rng: np.random.Generator) -> Population:
        """Draw *n* random genotypes to start from."""
        return Population.random(n, self.size, rng, self.fitness_weights)

    def __call__(self, population: Population) -> Floats:
        """Return (n,) float64 values; ValueError names a genotype of a length that the problem does not have."""
        if not isinstance(population, Population):
            raise TypeError(f"a problem takes a population, got {shown(population)}: write Vectorised(problem)")
        self._check_lengths(population)
        return self._values(population)

    def _check_lengths(self, population: Population) -> None:
        wrong = population.lengths != self.size
        if np.count_nonzero(wrong):
            row = int(wrong.argmax())
            name, length = type(self).__name__, population.lengths[row]
            raise ValueError(f"{name} takes genotypes of {self.size} bits, got {length} bits in genotype {row}")

    @abstractmethod
    def _values(self, population: Population) -> Floats:
        """Return (n,) float64 values of genotypes whose lengths are checked."""


class ShuffledProblem(Problem):
    """A problem whose loci may lie in a genotype in another order.

    Parameters
    ----------
    size
        The bits of every genotype.
    shuffle
        Seed of the random order of the loci, in which those that belong together do not lie side by side; 0 for the
        order of the problem.

    """

    def __init__(self, size: int, shuffle: int) -> None:
        super().__init__(size)
        check_whole("shuffle", shuffle, 0)
        self.shuffle = shuffle
        self._places = np.random.default_rng(shuffle).permutation(size) if shuffle else None

    def _bits(self, population: Population) -> Bits:
        """Return the bits as a (n, *size*) uint8 matrix in the order of the problem."""
        bits = population.bits()
        return bits if self._places is None else bits[:, self._places]
