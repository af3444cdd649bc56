"""Layouts of spaces with a list or a graph: genes that every genotype has, then a part of variable length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.layout import Layout
from genoevo.operators import LengthPolicy, Reproduction
from genoevo.operators.growth import grow, shrink
from genoevo.operators.own import GENOEVOS, Operators
from genoevo.operators.reproduction import Brood
from genoevo.operators.variation import PLAIN, Variation

Part = Callable[[Population], Population]
Step = Callable[[Reproduction, Part, Layout], Population]


@dataclass(frozen=True, slots=True)
class ListLayout:
    """A flat layout whose genes form elements of *genes* each: a segment is an element, and its size their number."""

    precision: int
    genes: int

    def length(self, size: int) -> int:
        """Return the bits of a list of *size* elements; ValueError for none."""
        return FlatLayout(self.precision).length(size) * self.genes

    def stage(self, length: int) -> int:
        """Return the number of elements in *length* bits; ValueError if it is not whole."""
        elements, rest = divmod(length, self.precision * self.genes)
        if rest or elements < 1:
            raise ValueError(f"an element has {self.precision * self.genes} bits, got {length} bits for the list")
        return elements

    def segments(self, size: int) -> list[slice]:
        """Return the bits of each element."""
        return [slice(self.length(k) - self.length(1), self.length(k)) for k in range(1, size + 1)]


@dataclass(frozen=True, slots=True)
class JoinedLayout:
    """Genes of *head*, which every genotype has, and then a genotype of *tail*, which gives the size."""

    head: FlatLayout | None
    tail: Layout

    @property
    def head_bits(self) -> int:
        """The bits before the tail."""
        return 0 if self.head is None or self.head.genes is None else self.head.length(self.head.genes)

    @property
    def precision(self) -> int:
        """The bits per gene of the tail."""
        return self.tail.precision

    def length(self, size: int) -> int:
        """Return the bits of a genotype whose tail has *size*."""
        return self.head_bits + self.tail.length(size)

    def stage(self, length: int) -> int:
        """Return the size of the tail; ValueError if no genotype has that length."""
        return self.tail.stage(length - self.head_bits)

    def segments(self, size: int) -> list[slice]:
        """Return the head, if there is one, and the segments of the tail."""
        bits = self.head_bits
        moved = [slice(one.start + bits, one.stop + bits) for one in self.tail.segments(size)]
        return [slice(0, bits), *moved] if bits else moved


class JoinedReproduction(Reproduction):
    """Reproduction of head and tail apart, so that inserting and deleting elements leaves the head in its place.

    Each part has its own draw between crossover and mutation [O]. The tail's units are its segments, which are whole
    elements of a list; a graph gains or loses a node instead of a segment. With own operators, which get whole
    genotypes, there is one draw for both.
    """

    __slots__ = ()

    def children(
        self,
        first: Population,
        second: Population,
        rng: np.random.Generator,
        layout: Layout | None = None,
        *,
        variation: Variation = PLAIN,
        operators: Operators = GENOEVOS,
    ) -> Brood:
        """Return one child per pair of rows, and its origin by its tail, see :class:`Reproduction`."""
        assert isinstance(layout, JoinedLayout)
        if operators != GENOEVOS:
            return super().children(first, second, rng, layout, variation=variation, operators=operators)
        origins = []

        def bred(rule: Reproduction, part: Part, its: Layout) -> Population:
            brood = rule.children(part(first), part(second), rng, its, variation=variation)
            origins.append(brood.origins)
            return brood.population

        return Brood(self._by_parts(bred, layout), origins[0])

    def check_variation(self, variation: Variation, population: Population) -> None:
        """Raise ValueError if *variation* does not fit *population*, or has places of bits: parts have others."""
        if variation.frozen or variation.mutation_rates:
            raise ValueError("variation must have no frozen bits and no mutation_rates with a list or graph")
        super().check_variation(variation, population)

    def _by_parts(self, step: Step, layout: Layout | None) -> Population:
        assert isinstance(layout, JoinedLayout)
        bits = layout.head_bits
        tails = step(self._of_tail(bits, layout.tail), lambda whole: _part(whole, bits, None), layout.tail)
        if layout.head is None or not bits:
            return tails
        heads = step(self._of_head(), lambda whole: _part(whole, 0, bits), layout.head)
        joined = np.concatenate([heads.bits(), tails.bits()], axis=1)
        return Population.from_bits(joined, tails.lengths + bits, tails.weights)

    def _crossed(
        self,
        first: Population,
        second: Population,
        mated: npt.NDArray[np.bool_],
        rng: np.random.Generator,
        layout: Layout | None,
        rate: float,
    ) -> Population:
        return self._by_parts(
            lambda rule, part, its: rule._crossed(part(first), part(second), mated, rng, its, rate), layout
        )

    def _resized(self, bred: Population, rng: np.random.Generator, layout: Layout | None) -> Population:
        return self._by_parts(lambda rule, part, its: rule._resized(part(bred), rng, its), layout)

    def _mutated(
        self,
        bred: Population,
        spared: npt.NDArray[np.int64],
        rng: np.random.Generator,
        layout: Layout | None,
        variation: Variation,
    ) -> Population:
        return self._by_parts(lambda rule, part, its: rule._mutated(part(bred), spared, rng, its, variation), layout)

    def _of_tail(self, bits: int, tail: Layout) -> Reproduction:
        lengths = self.lengths
        if self.changes_lengths:
            most = None if lengths.maximum is None else lengths.maximum - bits
            lengths = LengthPolicy(minimum=max(1, lengths.minimum - bits), maximum=most, illegal=lengths.illegal)
        kind = GraphReproduction if isinstance(tail, StagedLayout) else Reproduction
        return kind(**{**settings_of(self), "granularity": "segment", "lengths": lengths})

    def _of_head(self) -> Reproduction:
        crossover = "points" if self.crossover == "cut_and_splice" else self.crossover
        fixed = {"crossover": crossover, "resize_rate": 0.0, "lengths": LengthPolicy()}
        return Reproduction(**{**settings_of(self), **fixed})


class GraphReproduction(Reproduction):
    """Reproduction of graphs: resizing adds a last node, which the output reads, or takes the last away [O].

    The new node reads what the output has read, and all other connections stay, also those of the output. A segment
    inserted before others, as :class:`Reproduction` does, would shift them all. At the bound a graph keeps its size.
    """

    __slots__ = ()

    def _resized(self, bred: Population, rng: np.random.Generator, layout: Layout | None) -> Population:
        assert isinstance(layout, StagedLayout)
        resized = rng.random(len(bred)) < self.resize_rate
        gains = rng.random(len(bred)) < 0.5
        most = np.inf if self.lengths.maximum is None else self.lengths.maximum
        more = np.flatnonzero(resized & gains & (bred.lengths < most))
        fewer = np.flatnonzero(resized & ~gains & (bred.lengths > self.lengths.minimum))
        if more.size:
            bred = bred.replaced(more, grow(bred[more], layout, rng, fill="explore"))
        if fewer.size:
            bred = bred.replaced(fewer, shrink(bred[fewer], layout, keep="output"))
        return bred


def settings_of(rule: Reproduction) -> dict[str, object]:
    """Return the settings of *rule* by name."""
    return {one.name: getattr(rule, one.name) for one in fields(Reproduction)}


def joined(rule: Reproduction, shortest: int, longest: int) -> JoinedReproduction:
    """Return *rule* for joined layouts, with lengths of *shortest* to *longest* bits if it changes lengths."""
    if rule.changes_lengths:
        rule = replace(rule, lengths=LengthPolicy(minimum=shortest, maximum=longest, illegal=rule.lengths.illegal))
    return JoinedReproduction(**settings_of(rule))


def _part(population: Population, start: int, stop: int | None) -> Population:
    bits = population.bits()[:, start:stop]
    lengths = population.lengths - start if stop is None else np.full(len(population), stop - start)
    return Population.from_bits(bits, lengths, population.weights)
