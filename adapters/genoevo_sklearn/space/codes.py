"""Whole numbers as bits of a gene: plain binary, or Gray code, in which neighbours differ in one bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from genoevo import Genotype

Coding = Literal["gray", "binary"]

MOST_BITS = 16
"""The most bits of a gene."""


def from_gray(code: int) -> int:
    """Return the number that a Gray code stands for. Source: Gray 1953, US patent 2,632,058."""
    number = 0
    while code:
        number ^= code
        code >>= 1
    return number


@dataclass
class Codes:
    """The genes of a genotype on the way to values, taken in order.

    Parameters
    ----------
    head
        The number of each gene that every genotype has.
    top
        The highest number of a gene.
    elements
        The numbers of the genes of each element of the list whose length is the genotype's, if there is one.
    varying
        That list.
    graph
        The genotype of the graph, if the space has one.

    """

    head: Sequence[int]
    top: int
    elements: Sequence[Sequence[int]] = ()
    varying: object = None
    graph: Genotype | None = None
    _genes: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self._genes = iter(self.head)

    def next(self) -> int:
        """Return the number of the next gene."""
        return next(self._genes)

    def place(self, count: int) -> int:
        """Return which of *count* options the next gene stands for, each with the same share of its numbers."""
        return self.next() * count // (self.top + 1)

    def takes_elements(self, varying: object) -> bool:
        """Return whether *elements* are those of *varying*, which are taken once: it may have several places."""
        if self.varying is not varying:
            return False
        self.varying = None
        return True

    def of_element(self, genes: Sequence[int]) -> Codes:
        """Return the genes of one element of the list."""
        return Codes(genes, self.top)
