"""The meaning of a genotype's bits: genes of p bits, grouped into segments."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Protocol, runtime_checkable

from genoevo._check import check_between, check_count, check_integer


@runtime_checkable
class Layout(Protocol):
    """The meaning of a genotype's bits. ``size`` is a layout's own measure: genes (flat) or stage (staged)."""

    @property
    def precision(self) -> int:
        """The bits per gene."""

    def length(self, size: int) -> int:
        """Return the bits of a genotype of that size."""

    def stage(self, length: int) -> int:
        """Return the size of a genotype of that many bits; ValueError if no genotype has that length."""

    def segments(self, size: int) -> list[slice]:
        """Return the bits of each segment, in order."""


@dataclass(frozen=True, slots=True)
class FlatLayout:
    """Genes of *precision* bits in one segment.

    Parameters
    ----------
    precision
        Bits per gene, 1 to 16.
    genes
        The only legal number of genes, or None if any number of at least one is legal.

    """

    precision: int = 1
    genes: int | None = None

    def __post_init__(self) -> None:
        check_integer("precision", self.precision)
        check_between("precision", self.precision, 1, 16)
        if self.genes is not None:
            check_count("genes", self.genes, 1)

    def length(self, size: int) -> int:
        """Return the bits of a genotype of *size* genes."""
        check_integer("a number of genes", size)
        if size < 1 or (self.genes is not None and size != self.genes):
            raise ValueError(f"this layout has {self.genes or 'at least 1'} genes, got {size}")
        return size * self.precision

    def stage(self, length: int) -> int:
        """Return the number of genes in *length* bits; ValueError if it is not whole or not legal."""
        check_integer("a length", length)
        genes, rest = divmod(length, self.precision)
        if rest:
            raise ValueError(f"length {length} is not a multiple of the {self.precision} bits of a gene")
        self.length(genes)
        return genes

    def segments(self, size: int) -> list[slice]:
        """Return the one segment, which holds all genes."""
        return [slice(0, self.length(size))]


@dataclass(frozen=True, slots=True)
class StagedLayout:
    """The layout of MEGA: a genotype of stage N weighs the inputs of N modules and of the output [P].

    Segment k (k = 2..N) holds the k weights of module k's inputs, the last segment the N+1 weights of the
    output's candidates; module 1 reads the initial input and has no bits [R]. Each weight takes *precision*
    bits [P], so stage N has ``precision * N(N+3)/2`` bits, and a genotype is a prefix of the shape of any
    longer one [R].

    Parameters
    ----------
    precision
        Bits per weight, 1 to 16.

    Examples
    --------
    >>> layout = StagedLayout(precision=2)
    >>> layout.length(3), layout.stage(18)
    (18, 3)
    >>> layout.segments(3)
    [slice(0, 4, None), slice(4, 10, None), slice(10, 18, None)]

    """

    precision: int

    def __post_init__(self) -> None:
        check_integer("precision", self.precision)
        check_between("precision", self.precision, 1, 16)

    def length(self, size: int) -> int:
        """Return the bits of a genotype of stage *size*."""
        check_integer("a stage", size)
        if size < 1:
            raise ValueError(f"a stage must be at least 1, got {size}")
        return self.precision * size * (size + 3) // 2

    def stage(self, length: int) -> int:
        """Return the stage of a genotype of *length* bits; ValueError if no stage has that length."""
        check_integer("a length", length)
        size = (isqrt(9 + 8 * max(length, 0) // self.precision) - 3) // 2
        if size < 1 or self.length(size) != length:
            near = [self.length(max(size, 1)), self.length(max(size, 1) + 1)]
            raise ValueError(f"no stage has {length} bits at precision {self.precision}; the nearest are {near}")
        return size

    def segments(self, size: int) -> list[slice]:
        """Return the bits of the input weights of modules 2..N, in order, then the bits of the output's."""
        self.length(size)
        starts = [0] + [self.length(k) for k in range(1, size)]
        return [slice(start, self.length(k)) for k, start in enumerate(starts, 1)]
