"""The legal lengths of children, and the rule for a child that has another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from genoevo._bits import prefix_mask, random_words, word_count
from genoevo._check import check_choice, check_count, check_generator
from genoevo._types import Ints
from genoevo.layout import Layout
from genoevo.population import Population

Illegal = Literal["repair", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthPolicy:
    """The bounds on lengths, and the rule for a child outside them or of a length its layout does not have.

    Parameters
    ----------
    minimum : >= 1
        Fewest bits of a genotype [O].
    maximum : >= minimum
        Most bits of a genotype; None for no bound [O].
    illegal
        ``repair``: the child is cut, or extended by fair random bits, to the nearest legal length; of two that are
        equally near, to the shorter. ``reject``: an unevaluated copy of its parent replaces it. Parents must be
        legal [O].

    """

    minimum: int = 1
    maximum: int | None = None
    illegal: Illegal = "repair"

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_count("minimum", self.minimum, 1)
        if self.maximum is not None:
            check_count("maximum", self.maximum, self.minimum)
        check_choice("illegal", self.illegal, get_args(Illegal))

    def enforce(
        self, children: Population, parents: Population, rng: np.random.Generator, layout: Layout | None = None
    ) -> Population:
        """Return *children* with every length legal, a new and unevaluated population.

        Parameters
        ----------
        children
            n rows, of any lengths, also of 0 bits (``Population.unchecked``). They are not changed.
        parents
            The n rows that replace rejected children.
        rng
            The generator that draws the bits of extended children. Nothing is drawn if all lengths are legal.
        layout
            Gives the legal lengths; None: every length is legal.

        Raises
        ------
        ValueError
            If the layout has no legal length within the bounds.

        """
        check_generator(rng)
        targets = self.nearest(children.lengths, layout, int(parents.lengths.max(initial=0)))
        wrong = np.flatnonzero(targets != children.lengths)
        result = Population.unchecked(children.words.copy(), children.lengths.copy(), weights=children.weights)
        if not wrong.size:
            return result
        if self.illegal == "reject":
            return result.replaced(wrong, parents[wrong].unevaluated())
        return result.replaced(wrong, _resized(result[wrong], targets[wrong], rng))

    def nearest(self, lengths: Ints, layout: Layout | None, reach: int) -> Ints:
        """Return the legal length nearest to each of *lengths* (n,), (n,) int64, searched up to *reach* at least.

        Raises ValueError if the layout has no legal length within the bounds.
        """
        targets = np.clip(lengths, self.minimum, self.maximum)
        if layout is None or all(_is_legal(layout, int(length)) for length in np.unique(targets)):
            return targets
        legal = self._legal(layout, max(reach, int(targets.max())))
        above = np.searchsorted(legal, targets).clip(max=len(legal) - 1)
        under = np.maximum(above - 1, 0)
        return np.asarray(legal[np.where(targets - legal[under] <= legal[above] - targets, under, above)])

    def _legal(self, layout: Layout, reach: int) -> Ints:
        # The layout's lengths within the bounds, ascending, up to the first that is not below `reach`. A genotype
        # has at least as many bits as its size.
        found: list[int] = []
        for size in range(1, reach + 1):
            try:
                length = layout.length(size)
            except ValueError:
                continue
            if self.maximum is not None and length > self.maximum:
                break
            if length >= self.minimum:
                found.append(length)
            if length >= reach:
                break
        if not found:
            most = "any number of" if self.maximum is None else self.maximum
            raise ValueError(f"{layout} has no legal length from {self.minimum} to {most} bits")
        return np.array(found, dtype=np.int64)


ANY_LENGTH = LengthPolicy()


def _is_legal(layout: Layout, length: int) -> bool:
    try:
        layout.stage(length)
    except ValueError:
        return False
    return True


def _resized(population: Population, lengths: Ints, rng: np.random.Generator) -> Population:
    width = max(word_count(int(lengths.max())), population.words.shape[1])
    words = np.zeros((len(lengths), width), dtype=np.uint64)
    words[:, : population.words.shape[1]] = population.words
    words &= prefix_mask(lengths, width)
    if (lengths > population.lengths).any():
        words |= random_words(lengths, width, rng) & ~prefix_mask(population.lengths, width)
    return Population.unchecked(words, lengths.copy(), weights=population.weights)
