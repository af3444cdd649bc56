"""Settings of variation past those of :class:`~genoevo.operators.reproduction.Reproduction`.

Bits have rates of their own, and duplicates are bred again. The settings are data, so a state holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genoevo._bits import pack, prefix_mask
from genoevo._check import check_between, check_count, check_flag, check_whole, shown
from genoevo._numbers import as_floats, as_lengths
from genoevo._types import Floats, Words
from genoevo.population import Population


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How children differ from their parents, and from each other.

    Parameters
    ----------
    frozen
        Places of bits that no operator changes: a child has its first parent's there, as far as it has them.
    mutation_rates
        The probability of a flip for each bit, in [0, 1], by place; as many as the longest genotype has bits. It
        replaces ``Reproduction.mutation_rate`` for the mutation ``flip``. Empty for none.
    exchange_rate
        Probability that crossover ``uniform`` or ``segments`` exchanges a unit.
    step, wrap
        Of mutation ``creep``, see :func:`~genoevo.operators.mutation.creep`.
    duplicates
        Whether a child may equal a genotype of its island or a sister. If not, it is bred again, from other parents,
        and if that does not help, its bits are flipped, one expected. Migrants are not compared.
    tries
        How often a duplicate is bred again, and then flipped. After that it stays: there may be no other genotype.

    Raises
    ------
    ValueError
        For a value that is not allowed.

    """

    frozen: tuple[int, ...] = ()
    mutation_rates: tuple[float, ...] = ()
    exchange_rate: float = 0.5
    step: int = 1
    wrap: bool = False
    duplicates: bool = True
    tries: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "frozen", _places(self.frozen))
        rates = as_floats("mutation_rates", self.mutation_rates)
        if rates.ndim != 1 or not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(f"mutation_rates must be between 0 and 1, one per bit, got {shown(self.mutation_rates)}")
        object.__setattr__(self, "mutation_rates", tuple(rates.tolist()))
        check_between("exchange_rate", self.exchange_rate, 0, 1)
        check_count("step", self.step, 1)
        check_flag("wrap", self.wrap)
        check_flag("duplicates", self.duplicates)
        check_count("tries", self.tries, 1)

    @property
    def rates(self) -> Floats:
        """The rates of mutation as an array, (bits,) float64."""
        return np.array(self.mutation_rates)

    def restored(self, children: Population, parents: Population) -> Population:
        """Return *children* with the frozen bits of *parents*, row by row; the same object if none are frozen."""
        if self.frozen:
            changed = self._frozen_changes(children, parents)
            children = children.unevaluated()
            children.words[:, : changed.shape[1]] ^= changed
        return children

    def check_repair(self, repaired: Population, before: Population) -> None:
        """Raise ValueError if a repair has changed a frozen bit: it could not be undone."""
        if self.frozen and (changed := self._frozen_changes(repaired, before)).any():
            row = int(changed.any(axis=1).argmax())
            raise ValueError(f"repair must leave frozen bits as they are, got {repaired[row]} from {before[row]}")

    def _frozen_changes(self, children: Population, parents: Population) -> Words:
        width = min(children.words.shape[1], parents.words.shape[1])
        flags = np.zeros((1, 64 * width), dtype=np.uint8)
        flags[0, [place for place in self.frozen if place < 64 * width]] = 1
        common = prefix_mask(np.minimum(children.lengths, parents.lengths), width)
        changed: Words = (children.words[:, :width] ^ parents.words[:, :width]) & pack(flags) & common
        return changed


def _places(frozen: Sequence[int]) -> tuple[int, ...]:
    array = as_lengths("frozen", frozen) if len(frozen) else np.zeros(0, np.int64)
    places = tuple(sorted(set(array.reshape(-1).tolist())))
    if array.ndim != 1 or len(places) != array.size:
        raise ValueError(f"frozen must be different places of bits, got {shown(frozen)}")
    if places:
        check_whole("frozen", places[0], 0)
    return places


PLAIN = Variation()
