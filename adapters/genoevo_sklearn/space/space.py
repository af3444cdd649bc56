"""The space of a search: from a genotype to parameters of an estimator."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import Any, get_args

import numpy as np

from genoevo import FlatLayout, Genotype, Population
from genoevo._check import check_choice, check_whole
from genoevo.decode import from_gene_values, gene_values
from genoevo.layout import Layout
from genoevo.operators import Reproduction
from genoevo_sklearn.space.codes import MOST_BITS, Codes, Coding, from_gray
from genoevo_sklearn.space.encoding import Encoding
from genoevo_sklearn.space.layout import JoinedLayout, ListLayout, joined
from genoevo_sklearn.space.structures import Graph, Group, ListOf, growing
from genoevo_sklearn.space.values import Decoded


class Space:
    """The parameters of an estimator, encoded in genotypes of whole genes.

    Single values and choices are genes of a :class:`~genoevo.FlatLayout`. After them come the elements of a
    :class:`ListOf`, as genes of a flat layout, too, or a :class:`Graph`, as a genotype of a
    :class:`~genoevo.StagedLayout`. The length of the genotype is then the number of elements or nodes. This is the
    graph, or else the first list that varies and may not be empty. Other lists are genes among the single values.

    Parameters
    ----------
    parameters
        A dimension for each parameter; a list stands for a :class:`Categorical`.
    coding
        ``gray`` or ``binary``: what the bits of a gene stand for.
    bits
        Bits of a gene, 1 to 16; more if a dimension has more values than they tell apart.

    Raises
    ------
    ValueError
        For something that is not a dimension, more than one graph, and more than 65,536 options.

    """

    def __init__(self, parameters: Mapping[str, Any], *, coding: Coding = "gray", bits: int = 8) -> None:
        check_choice("coding", coding, get_args(Coding))
        check_whole("bits", bits, 1, MOST_BITS)
        self._group = Group(parameters)
        if not self._group.parameters:
            raise ValueError("a space must have at least one parameter, got none")
        self.varying = _varying(growing(self._group))
        self._genes = self._group.genes - (self.varying.genes if self.varying is not None else 0)
        levels = max([self._group.levels, *_lengths(self._group, self.varying)])
        if levels > 1 << MOST_BITS:
            raise ValueError(f"a dimension must have at most {1 << MOST_BITS:,} options, got {levels:,}")
        self.coding, self.precision = coding, max(bits, (levels - 1).bit_length())
        self.layout = self._layout()

    def _layout(self) -> Layout:
        head = FlatLayout(self.precision, self._genes) if self._genes else None
        if self.varying is None:
            assert head is not None
            return head
        if isinstance(self.varying, Graph):
            return JoinedLayout(head, self.varying.layout)
        return JoinedLayout(head, ListLayout(self.precision, self.varying.genes_each))

    def decoded(self, genotype: Genotype) -> Decoded:
        """Return the parameters that *genotype* means, and what is equal for equal parameters."""
        head = self._genes * self.precision
        bits = genotype.bits
        self._check_size(genotype)
        codes = Codes(self._numbers(bits[:head]), (1 << self.precision) - 1, varying=self.varying)
        if isinstance(self.varying, ListOf):
            each = self.varying.genes_each
            numbers = self._numbers(bits[head:])
            codes.elements = [numbers[first : first + each] for first in range(0, len(numbers), each)]
        elif isinstance(self.varying, Graph):
            codes.graph = Genotype(bits[head:])
        return self._group.decoded(codes)

    def _check_size(self, genotype: Genotype) -> None:
        # Own operators may change lengths.
        if self.varying is None:
            return
        size, low, high = self.layout.stage(len(genotype)), self.varying.minimum, self.varying.maximum
        if not low <= size <= high:
            what = "elements of the ListOf" if isinstance(self.varying, ListOf) else "nodes of the Graph"
            raise ValueError(f"{what} must be {low} to {high}, got {size}: an own operator made them")

    def _numbers(self, bits: Any) -> list[int]:
        if not len(bits):
            return []
        numbers: list[int] = gene_values(Population.from_bits(bits[None]), self.precision)[0].tolist()
        return [from_gray(number) for number in numbers] if self.coding == "gray" else numbers

    def key(self, genotype: Genotype) -> Hashable:
        """Return what is equal for genotypes of equal parameters."""
        return self.decoded(genotype).key

    def applied(self, genotype: Genotype, X: Any) -> tuple[Any, dict[str, Any]]:  # noqa: N803
        """Return the data as they are, and the parameters."""
        return X, self.decoded(genotype).value

    def encoded(self, what: str, parameters: Any, rng: np.random.Generator) -> Genotype:
        """Return a genotype that means *parameters*, or the nearest numbers that genes can tell apart.

        *rng* draws the genes of options that are not chosen. Raises ValueError, which names *what*, for parameters
        that the space does not have.
        """
        found = Encoding((1 << self.precision) - 1, rng, self.varying)
        head = found.of(what, self._group, parameters)
        found.complete(self.varying)
        numbers = np.array([*head, *chain(*found.elements)], dtype=np.int64)
        if self.coding == "gray":
            numbers ^= numbers >> 1
        parts = [np.repeat(np.array(found.reads, dtype=np.uint8), getattr(self.varying, "precision", 1))]
        if len(numbers):
            length = np.array([len(numbers) * self.precision])
            parts.insert(0, from_gene_values(numbers[None], length, self.precision)[0].bits)
        return Genotype(np.concatenate(parts))

    def encoded_all(self, what: str, given: Sequence[Any], rng: np.random.Generator) -> list[Genotype]:
        """Return a genotype of each of the *given* parameters, as :meth:`encoded` does."""
        return [self.encoded(f"{what}[{i}]", parameters, rng) for i, parameters in enumerate(given)]

    def start(self, n: int, rng: np.random.Generator, given: Sequence[Any] = ()) -> Population:
        """Return genotypes of the *given* parameters and random ones, *n* in all.

        All numbers of elements or nodes have equal shares of the random ones. Raises what :meth:`encoded` raises.
        """
        if self.varying is None:
            start = Population.random(n, self.layout.length(self._genes), rng)
        else:
            sizes = rng.permutation(np.resize(np.arange(self.varying.minimum, self.varying.maximum + 1), n))
            start = Population.random(n, np.array([self.layout.length(int(size)) for size in sizes]), rng)
        if not given:
            return start
        known = Population.from_genotypes(self.encoded_all("initial_parameters", given, rng))
        return start.replaced(np.arange(len(known)), known)

    def reproduction(self, rule: Reproduction | None, *, crosses: bool = True) -> Reproduction:
        """Return *rule* for this space; None for uniform crossover of whole genes and, for a list, of elements.

        *crosses* is false if the crossover is the user's own.
        """
        if rule is None:
            resize = 0.2 if self.varying is not None and self.varying.minimum < self.varying.maximum else 0.0
            crossover = "uniform" if crosses else Reproduction().crossover
            rule = Reproduction(
                crossover=crossover, granularity="gene" if crosses or resize else "bit", resize_rate=resize
            )
        if self.varying is None:
            return rule
        return joined(rule, self.layout.length(self.varying.minimum), self.layout.length(self.varying.maximum))

    def __repr__(self) -> str:
        return f"Space({self._group}, coding={self.coding!r}, bits={self.precision})"


def _varying(found: Sequence[ListOf | Graph]) -> ListOf | Graph | None:
    """Return the list or graph whose size is the genotype's length; ValueError for more than one graph."""
    graphs = [one for one in found if isinstance(one, Graph)]
    if len(graphs) > 1:
        raise ValueError(f"a space must have at most one Graph, got {len(graphs)}")
    able = graphs or [one for one in found if one.minimum]
    return next((one for one in able if one.minimum < one.maximum), able[0] if able else None)


def _lengths(group: Group, varying: ListOf | Graph | None) -> list[int]:
    """Return the number of lengths of each list that has a gene for it."""
    found = [one for one in growing(group, within=True) if isinstance(one, ListOf)]
    taken = next((place for place, one in enumerate(found) if one is varying), len(found))
    return [one.lengths for place, one in enumerate(found) if place != taken]
