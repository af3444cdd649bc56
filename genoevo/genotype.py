"""The genotype: one bit string with a DEAP fitness, an individual for DEAP's tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from deap import base

from genoevo._bits import pack, unpack, word_count
from genoevo._types import AnyArray, Bits, Words


class Fitness(base.Fitness):  # type: ignore[misc]
    """DEAP's fitness with its own weights, without a class made by ``deap.creator``.

    Parameters
    ----------
    values
        One float per objective, or nothing while unevaluated. NaN raises ValueError: in DEAP it would beat
        every number.
    weights
        One float per objective: positive maximises, negative minimises. Comparison is lexicographic, as in DEAP.

    """

    def __init__(self, values: Sequence[float] = (), weights: Sequence[float] = (1.0,)) -> None:
        self.weights = tuple(map(float, weights))
        super().__init__(values)

    def _set(self, values: Sequence[float]) -> None:
        if any(value != value for value in values):
            raise ValueError(f"a fitness cannot be NaN, got {tuple(values)}")
        super().setValues(values)

    values = property(base.Fitness.getValues, _set, base.Fitness.delValues, "Unweighted values, one per objective.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Fitness:
        return _fitness(self.wvalues, self.weights)

    def __reduce__(self) -> tuple[Any, ...]:
        return _fitness, (self.wvalues, self.weights)


def _fitness(wvalues: tuple[float, ...], weights: tuple[float, ...]) -> Fitness:
    fitness = Fitness.__new__(Fitness)
    fitness.wvalues, fitness.weights = wvalues, weights
    return fitness


class Genotype:
    """One immutable bit string and its fitness.

    Parameters
    ----------
    bits
        A string of 0 and 1, or any sequence of zeros and ones, first bit first. At least one bit.
    weights
        The objectives' weights, as in :class:`Fitness`.

    Attributes
    ----------
    words
        The bits packed into a read-only (ceil(length / 64),) uint64 array.
    fitness
        A :class:`deap.base.Fitness`; invalid until values are assigned. Equality and hash look at the bits alone.

    """

    __slots__ = ("_length", "fitness", "words")

    def __init__(self, bits: str | Sequence[int] | AnyArray, weights: Sequence[float] = (1.0,)) -> None:
        if isinstance(bits, str):
            if others := set(bits) - {"0", "1"}:
                place = min(map(bits.index, others))
                raise ValueError(f"a genotype is a string of 0 and 1, got {bits[place]!r} at position {place}")
            array = np.frombuffer(bits.encode("ascii"), dtype=np.uint8) - ord("0")
        else:
            array = np.asarray(bits)
            if array.ndim != 1 or array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
                raise ValueError(f"a genotype is a flat sequence of zeros and ones, got {_shown(bits)}")
        if array.size == 0:
            raise ValueError("a genotype has at least one bit")
        self._assign(pack(array[None])[0], array.size, Fitness(weights=weights))

    def _assign(self, words: Words, length: int, fitness: Fitness) -> None:
        words.flags.writeable = False
        self.words, self._length, self.fitness = words, length, fitness

    @classmethod
    def from_words(cls, words: Words, length: int, fitness: Fitness | None = None) -> Genotype:
        """Wrap packed words (copied to a private array) without checking that the bits past *length* are zero."""
        genotype = cls.__new__(cls)
        genotype._assign(np.array(words[: word_count(length)], dtype=np.uint64), int(length), fitness or Fitness())
        return genotype

    @property
    def bits(self) -> Bits:
        """The bits as a (length,) uint8 array."""
        return np.asarray(unpack(self.words[None], self._length)[0])

    def __len__(self) -> int:
        return self._length

    def __str__(self) -> str:
        return "".join(map(str, self.bits))

    def __repr__(self) -> str:
        return f"Genotype({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genotype):
            return NotImplemented
        return self._length == other._length and bool(np.array_equal(self.words, other.words))

    def __hash__(self) -> int:
        return hash((self._length, self.words.tobytes()))

    def __deepcopy__(self, memo: dict[int, Any]) -> Genotype:
        return Genotype.from_words(self.words, self._length, _fitness(self.fitness.wvalues, self.fitness.weights))

    def __reduce__(self) -> tuple[Any, ...]:
        data = self.words.astype("<u8", copy=False).tobytes()
        return _unpickle, (data, self._length, self.fitness.wvalues, self.fitness.weights)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _unpickle(data: bytes, length: int, wvalues: tuple[float, ...], weights: tuple[float, ...]) -> Genotype:
    return Genotype.from_words(np.frombuffer(data, dtype="<u8"), length, _fitness(wvalues, weights))
