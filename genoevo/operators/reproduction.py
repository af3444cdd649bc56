"""Reproduction: one child from each pair of parents (MEGA's Algorithm 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from genoevo._check import check_between, check_choice, check_count
from genoevo._types import Flags, Ints, Origins
from genoevo.layout import Layout
from genoevo.operators import crossover, mutation
from genoevo.operators._units import Granularity
from genoevo.operators.lengths import ANY_LENGTH, LengthPolicy
from genoevo.operators.own import GENOEVOS, Operators
from genoevo.operators.variation import PLAIN, Variation
from genoevo.population import Population

Kind = Literal["points", "uniform", "segments", "cut_and_splice"]
Mutation = Literal["flip", "creep"]


class Origin(IntEnum):
    """The origin of a child: crossover (and mutation), mutation alone, or a fresh genotype without parents."""

    CROSSOVER = 0
    MUTATION = 1
    FRESH = 2


_CROSSOVER, _FRESH = int(Origin.CROSSOVER), int(Origin.FRESH)  # a name of an enumeration is slow to look up


class Brood(NamedTuple):
    """The children of one generation: an unevaluated ``population`` of n, and ``origins``, (n,) int8 of `Origin`."""

    population: Population
    origins: Origins


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """The rule of reproduction: one draw u ~ U(0, 1) per child, compared with two thresholds.

    That there are two thresholds is [P], their meaning [O]. ``u < crossover_threshold``: crossover, then mutation.
    Else ``u < mutation_threshold``: mutation of the first parent. Otherwise a fresh random genotype of the first
    parent's length.

    Parameters
    ----------
    crossover_threshold : in [0, mutation_threshold]
        Share of the children that come from crossover, then mutation [O].
    mutation_threshold : in [0, 1]
        Share of the children that come from crossover or from mutation alone; the others are random [O].
    crossover
        Kind of crossover, see :mod:`genoevo.operators.crossover` [O].
    points : >= 1
        Cuts of the kind ``points`` [O].
    granularity
        Unit that crossover and resizing keep: ``bit``, ``gene`` or ``segment``; all but ``bit`` need a layout [O].
    mutation
        ``flip`` or ``creep`` (by one, bounded), see :mod:`genoevo.operators.mutation`; ``creep`` needs a layout [O].
    mutation_rate : in [0, 1]
        Mutations per bit (``flip``) or gene (``creep``); None for one expected per genotype. That there is such a
        rate is [P], its value [O].
    resize_rate : in [0, 1]
        Probability that a unit of a child is inserted, deleted or duplicated, equally likely, before mutation [O].
    lengths
        The legal lengths if ``cut_and_splice`` or resizing changes them; without these, ValueError.

    """

    crossover_threshold: float = 0.9
    mutation_threshold: float = 1.0
    crossover: Kind = "points"
    points: int = 2
    granularity: Granularity = "bit"
    mutation: Mutation = "flip"
    mutation_rate: float | None = None
    resize_rate: float = 0.0
    lengths: LengthPolicy = ANY_LENGTH

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_between("mutation_threshold", self.mutation_threshold, 0, 1)
        check_between("crossover_threshold", self.crossover_threshold, 0, self.mutation_threshold)
        check_choice("crossover", self.crossover, get_args(Kind))
        check_count("points", self.points, 1)
        check_choice("granularity", self.granularity, get_args(Granularity))
        check_choice("mutation", self.mutation, get_args(Mutation))
        if self.mutation_rate is not None:
            check_between("mutation_rate", self.mutation_rate, 0, 1)
        check_between("resize_rate", self.resize_rate, 0, 1)
        if self.lengths != ANY_LENGTH and not self.changes_lengths:
            raise ValueError(
                f"lengths have no effect without crossover 'cut_and_splice' or a resize_rate above 0, "
                f"got {self.lengths}"
            )

    @property
    def changes_lengths(self) -> bool:
        """Whether a child may have another length than its first parent."""
        return self.crossover == "cut_and_splice" or self.resize_rate > 0

    def check_layout(self, layout: Layout | None, population: Population | None = None) -> None:
        """Raise ValueError if these settings need a layout and none is given.

        If a *population* is given, raise it also if its children could have no legal length.
        """
        if layout is not None:
            if population is not None and self.changes_lengths:
                self.lengths.nearest(population.lengths, layout, int(population.lengths.max()))
            return
        if self.crossover == "segments":
            raise ValueError("crossover by segments needs a layout")
        if self.mutation == "creep":
            raise ValueError("mutation by creep needs a layout")
        if self.granularity != "bit":
            raise ValueError(f"granularity {self.granularity!r} needs a layout")

    def check_start(self, layout: Layout | None, population: Population) -> None:
        """Raise ValueError if a length of *population* is outside the bounds, or not legal in *layout*."""
        lengths = np.unique(population.lengths)
        if self.changes_lengths:
            low, high = self.lengths.minimum, self.lengths.maximum
            outside = lengths[(lengths < low) | (lengths > (lengths if high is None else high))]
            if outside.size:
                most = "" if high is None else f" and at most {high}"
                raise ValueError(f"the population's genotypes must have at least {low}{most} bits, got {outside[0]}")
        if layout is not None:
            for length in lengths:
                layout.stage(int(length))

    def check_variation(self, variation: Variation, population: Population) -> None:
        """Raise ValueError if *variation* does not fit *population*, or would have no effect on its children."""
        longest = int(population.lengths.max())
        if variation.frozen and variation.frozen[-1] >= longest:
            raise ValueError(f"frozen must be places below {longest}, the most bits, got {variation.frozen[-1]}")
        if variation.exchange_rate != PLAIN.exchange_rate and self.crossover not in ("uniform", "segments"):
            raise ValueError(f"exchange_rate needs crossover uniform or segments, got {self.crossover!r}")
        if (variation.step != 1 or variation.wrap) and self.mutation != "creep":
            raise ValueError(f"step and wrap need mutation creep, got {self.mutation!r}")
        if not variation.mutation_rates:
            return
        if self.mutation != "flip" or self.mutation_rate is not None:
            got = f"{self.mutation!r} with mutation_rate {self.mutation_rate}"
            raise ValueError(f"mutation_rates need mutation flip without a mutation_rate, got {got}")
        most = max(longest, self.lengths.maximum or np.inf) if self.changes_lengths else longest
        if len(variation.mutation_rates) < most:
            raise ValueError(f"mutation_rates must be {most:g} for as many bits, got {len(variation.mutation_rates)}")

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
        """Return one child per pair of rows, and its origin. The parents are not changed.

        Parameters
        ----------
        first, second
            n parents each, paired row by row.
        rng
            The source of all randomness.
        layout
            The layout of the parents, for settings that need one; see :meth:`check_layout`.
        variation
            Further settings.
        operators
            Own operators. Crossover and mutation take the places of these settings', repair comes last.

        Returns
        -------
        A :class:`Brood` of n. A child has its first parent's length unless :attr:`changes_lengths`.

        Raises
        ------
        ValueError
            If a layout is needed and not given, or a length is not legal in it. Also for what an own operator
            returns, if it does not fit.

        """
        self.check_layout(layout)
        u = rng.random(len(first))
        origins = (u >= self.crossover_threshold).astype(np.int8)
        origins += u >= self.mutation_threshold
        mated = origins == _CROSSOVER
        if operators.crossover is None:
            bred = self._crossed(first, second, mated, rng, layout, variation.exchange_rate)
        else:
            bred, rows = first.unevaluated(), np.flatnonzero(mated)
            if rows.size:
                bred = bred.replaced(rows, operators.crossed(first[rows], second[rows], rng, layout))
        if self.resize_rate:
            bred = self._resized(bred, rng, layout)
        fresh = (origins == _FRESH).nonzero()[0]
        if operators.mutation is None:
            bred = self._mutated(bred, fresh, rng, layout, variation)
        elif fresh.size < len(bred):
            rows = np.flatnonzero(origins != _FRESH)
            bred = bred.replaced(rows, operators.mutated(bred[rows], rng, layout))
        if fresh.size:
            random = Population.random(fresh.size, first.lengths[fresh], rng, first.weights)
            bred = bred.replaced(fresh, random)
        if variation.frozen:
            bred = variation.restored(bred, first)
        if operators.repair is not None:
            bred = repaired(bred, rng, layout, variation, operators)
        return Brood(bred, origins)

    def _crossed(
        self,
        first: Population,
        second: Population,
        mated: Flags,
        rng: np.random.Generator,
        layout: Layout | None,
        rate: float,
    ) -> Population:
        bred = first.unevaluated()
        if not np.count_nonzero(mated):
            return bred
        granularity = self.granularity
        if self.crossover == "cut_and_splice":
            rows = np.flatnonzero(mated)
            pair = crossover.cut_and_splice(
                first[rows], second[rows], rng, granularity=granularity, layout=layout, policy=self.lengths
            )
            return bred.replaced(rows, pair[0])
        if self.crossover == "points":
            mask = crossover.points_mask(first, second, rng, self.points, granularity, layout, mated)
        else:
            granularity = "segment" if self.crossover == "segments" else granularity
            mask = crossover.uniform_mask(first, second, rng, rate, granularity, layout, mated)
        crossover.take_over(bred.words, second.words, mask)
        return bred

    def _resized(self, bred: Population, rng: np.random.Generator, layout: Layout | None) -> Population:
        rows = np.flatnonzero(rng.random(len(bred)) < self.resize_rate)
        kinds = rng.integers(0, 3, rows.size)
        for kind, operator in enumerate((mutation.insert, mutation.delete, mutation.duplicate)):
            chosen = rows[kinds == kind]
            if chosen.size:
                resized = operator(
                    bred[chosen], rng, layout=layout, granularity=self.granularity, policy=self.lengths
                )
                bred = bred.replaced(chosen, resized)
        return bred

    def _mutated(
        self, bred: Population, spared: Ints, rng: np.random.Generator, layout: Layout | None, variation: Variation
    ) -> Population:
        if variation.mutation_rates:
            return mutation.flip_by_place(bred, rng, rates=variation.rates)
        loci = bred.lengths
        if layout is not None and self.mutation == "creep":
            loci = loci // layout.precision
        rates = 1 / loci if self.mutation_rate is None else np.full(len(bred), self.mutation_rate)
        rates[spared] = 0
        if layout is not None and self.mutation == "creep":
            return mutation.creep(bred, rng, layout=layout, rate=rates, step=variation.step, wrap=variation.wrap)
        mutation.flip_in_place(bred, rates, rng)
        return bred


def repaired(
    population: Population,
    rng: np.random.Generator,
    layout: Layout | None,
    variation: Variation,
    operators: Operators,
) -> Population:
    """Return what the own repair makes of *population*, unevaluated; ValueError if that changed a frozen bit."""
    after = operators.repaired(population, rng, layout)
    variation.check_repair(after, population)
    return after
