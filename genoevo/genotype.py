"""The genotype: one bit string with a DEAP fitness, an individual for DEAP's tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import mul
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from deap import base

from genoevo._bits import pack, stray_bits, word_count
from genoevo._check import check_type, check_whole, shown
from genoevo._numbers import are_bits, as_array, as_floats, as_weights
from genoevo._types import AnyArray, Bits, Words


class Fitness(base.Fitness):  # type: ignore[misc]
    """DEAP's fitness with its own weights, without a class made by ``deap.creator``.

    Parameters
    ----------
    values
        One number per objective, or nothing while unevaluated. NaN raises ValueError: in DEAP it would beat
        every number. So does anything else that is not a sequence of as many numbers as there are objectives.
    weights
        One finite number per objective: positive maximises, negative minimises. Comparison is lexicographic, as in
        DEAP.

    """

    def __init__(self, values: Sequence[float] = (), weights: Sequence[float] = (1.0,)) -> None:
        self.weights = as_weights("weights", weights)
        if not (isinstance(values, tuple | list) and not values):
            self.values = values

    def _set(self, values: Sequence[float]) -> None:
        numbers, expected = as_floats("the values of a fitness", values), len(self.weights)
        if numbers.shape != (expected,):
            example = f", such as ({shown(values)},)" if numbers.ndim == 0 and expected == 1 else ""
            raise ValueError(
                f"the values of a fitness must be a sequence of {expected}, one per objective{example}, "
                f"got {shown(values)}"
            )
        if np.isnan(numbers).any():
            raise ValueError(f"a fitness cannot be NaN, got {tuple(numbers.tolist())}")
        self.wvalues = tuple(map(mul, numbers.tolist(), self.weights))

    def _get(self) -> tuple[float, ...]:
        if all(self.weights):
            values: tuple[float, ...] = super().getValues()
            return values
        pairs = zip(self.wvalues, self.weights, strict=False)
        return tuple(value / weight if weight else 0.0 for value, weight in pairs)

    values = property(
        _get, _set, base.Fitness.delValues, "Unweighted values, one per objective; 0 for one of weight 0."
    )

    @classmethod
    def unchecked(cls, values: Sequence[float], weights: tuple[float, ...]) -> Fitness:
        """Return a fitness of Python's floats that are known to fit each other; nothing is checked."""
        return _fitness(tuple(map(mul, values, weights)), weights)

    def __deepcopy__(self, memo: dict[int, Any]) -> Fitness:
        return _fitness(self.wvalues, self.weights)

    def __reduce__(self) -> tuple[Any, ...]:
        return _fitness, (self.wvalues, self.weights)


def _fitness(wvalues: tuple[float, ...], weights: tuple[float, ...]) -> Fitness:
    fitness = Fitness.__new__(Fitness)
    fitness.wvalues, fitness.weights = wvalues, weights
    return fitness


class Genotype(Sequence[int]):
    """One immutable bit string and its fitness.

    It is a sequence of zeros and ones: iteration, ``len``, ``in``, ``sum``, an index and numpy's functions work as
    with a list of bits, and a slice is such a list. It is equal to another genotype, or to a list, of the same bits.
    It cannot be changed: assigning to a bit raises TypeError, and arrays of its bits are read-only.

    Parameters
    ----------
    bits
        A string of 0 and 1, or any sequence of zeros and ones, first bit first. At least one bit.
    weights
        The objectives' weights, as in :class:`Fitness`.

    Attributes
    ----------
    fitness
        A :class:`deap.base.Fitness`; invalid until values are assigned. Equality and hash look at the bits alone.

    """

    __slots__ = ("_length", "_words", "fitness")

    def __init__(self, bits: str | Sequence[int] | AnyArray, weights: Sequence[float] = (1.0,)) -> None:
        if isinstance(bits, str):
            if others := set(bits) - {"0", "1"}:
                place = min(map(bits.index, others))
                raise ValueError(f"a genotype is a string of 0 and 1, got {bits[place]!r} at position {place}")
            array = np.frombuffer(bits.encode("ascii"), dtype=np.uint8) - ord("0")
        else:
            array = as_array("the bits of a genotype", bits)
            if array.ndim != 1 or not are_bits(array):
                raise ValueError(f"a genotype is a flat sequence of zeros and ones, got {shown(bits)}")
        if array.size == 0:
            raise ValueError("a genotype has at least one bit")
        self._assign(pack(array[None])[0], array.size, Fitness(weights=weights))

    def _assign(self, words: Words, length: int, fitness: Fitness) -> None:
        words.flags.writeable = False
        self._words, self._length, self.fitness = words, length, fitness

    @classmethod
    def from_words(cls, words: Words, length: int, fitness: Fitness | None = None) -> Genotype:
        """Return a genotype of packed words, which are copied; words past *length* are left out.

        Raises ValueError unless *words* is a flat uint64 array of at least *length* bits, and zero in the last
        word past them.
        """
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.ndim != 1:
            got = f"{words.dtype}{words.shape}" if isinstance(words, np.ndarray) else shown(words)
            raise ValueError(f"the words of a genotype must be a flat uint64 array, got {got}")
        check_whole("length", length, 1, 64 * len(words))
        if fitness is not None:
            check_type("fitness", fitness, base.Fitness)
        own = words[None, : word_count(length)]
        if stray_bits(own, np.array([length])):
            raise ValueError(f"a genotype's words have bits past its length, {length}")
        return cls.unchecked(words, int(length), fitness or Fitness())

    @classmethod
    def unchecked(cls, words: Words, length: int, fitness: Fitness) -> Genotype:
        """Return a genotype of packed words, which are copied, and of its fitness; nothing is checked."""
        genotype = cls.__new__(cls)
        genotype._assign(words[: word_count(length)].astype(np.uint64), length, fitness)
        return genotype

    @property
    def words(self) -> Words:
        """The bits packed into a read-only (ceil(length / 64),) uint64 array."""
        return self._words

    @property
    def bits(self) -> Bits:
        """The bits as a read-only (length,) uint8 array; ``bits.copy()`` can be written."""
        as_bytes = self._words.astype("<u8", copy=False).view(np.uint8)
        bits = np.unpackbits(as_bytes, count=self._length, bitorder="little")
        bits.flags.writeable = False
        return bits

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        if copy is False:
            raise ValueError("a genotype is packed: an array of its bits is always a copy")
        array = self.bits.astype(dtype or np.uint8)
        array.flags.writeable = bool(copy)
        return array

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        return iter(self.bits.tolist())

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: int | slice) -> int | list[int]:
        bits: list[int] = self.bits.tolist()
        return bits[index]

    def __setitem__(self, index: object, value: object) -> None:
        raise TypeError(_FIXED)

    def __delitem__(self, index: object) -> None:
        raise TypeError(_FIXED)

    def __str__(self) -> str:
        return "".join(map(str, self.bits))

    def __repr__(self) -> str:
        return f"Genotype({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return other == self[:]
        if not isinstance(other, Genotype):
            return NotImplemented
        return self._length == other._length and bool(np.array_equal(self.words, other.words))

    def _unordered(self, other: object) -> bool:
        raise TypeError("genotypes have no order of their own: compare their fitness, as in a.fitness < b.fitness")

    __lt__ = __le__ = __gt__ = __ge__ = _unordered

    def __hash__(self) -> int:
        return hash((self._length, self.words.tobytes()))

    def __deepcopy__(self, memo: dict[int, Any]) -> Genotype:
        return Genotype.unchecked(self.words, self._length, _fitness(self.fitness.wvalues, self.fitness.weights))

    def __reduce__(self) -> tuple[Any, ...]:
        data = self.words.astype("<u8", copy=False).tobytes()
        return _unpickle, (data, self._length, self.fitness.wvalues, self.fitness.weights)


_FIXED = (
    "a genotype cannot be changed: make another one of a list of bits, Genotype(bits), or register genoevo's "
    "operators on the toolbox, genoevo.interop.deap.register"
)


def _unpickle(data: bytes, length: int, wvalues: tuple[float, ...], weights: tuple[float, ...]) -> Genotype:
    return Genotype.unchecked(np.frombuffer(data, dtype="<u8"), length, _fitness(wvalues, weights))
