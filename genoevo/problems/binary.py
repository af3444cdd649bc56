"""Functions of a fixed number of bits, to be maximised."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from genoevo._check import check_at_least
from genoevo.population import Floats, Population


class Problem(ABC):
    """A function of *size* bits to maximise; an instance evaluates a whole population, as ``Vectorised`` wants it."""

    def __init__(self, size: int) -> None:
        check_at_least("size", size, 1)
        self.size = size

    @property
    def optimum(self) -> float:
        """The highest value there is: *size*, unless a subclass says otherwise."""
        return float(self.size)

    @abstractmethod
    def __call__(self, population: Population) -> Floats:
        """(n,) float64 values of a population of *size*-bit genotypes."""


class OneMax(Problem):
    """The number of ones. Optimum *size*, at all ones."""

    def __call__(self, population: Population) -> Floats:
        """(n,) float64: ones per genotype."""
        return np.asarray(np.bitwise_count(population.words).sum(axis=1, dtype=np.float64))


class LeadingOnes(Problem):
    """The number of ones before the first zero (Rudolph 1997). Optimum *size*, at all ones."""

    def __call__(self, population: Population) -> Floats:
        """(n,) float64: leading ones per genotype."""
        return np.asarray(np.cumprod(population.bits(), axis=1, dtype=np.uint8).sum(axis=1, dtype=np.float64))


class Trap(Problem):
    """Concatenated deceptive traps of *order* bits (Ackley 1987; Deb and Goldberg 1993). Optimum *size*, at all ones.

    A block of u ones is worth *order* where u = order, else order - 1 - u: the slope leads away from the optimum.
    """

    def __init__(self, size: int, order: int = 5) -> None:
        super().__init__(size)
        if order < 2 or size % order:
            raise ValueError(f"size must be a multiple of order ({order}), got {size}")
        self.order = order

    def __call__(self, population: Population) -> Floats:
        """(n,) float64: the sum over blocks."""
        ones = population.bits().reshape(len(population), -1, self.order).sum(axis=2, dtype=np.int64)
        return np.asarray(
            np.where(ones == self.order, self.order, self.order - 1 - ones).sum(axis=1, dtype=np.float64)
        )
