"""The population: n genotypes as one packed matrix, with their lengths and fitness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from genoevo._bits import pack, prefix_mask, random_words, unpack, word_count
from genoevo._check import check_generator
from genoevo._types import AnyArray, Bits, Flags, Floats, Ints, Words
from genoevo.genotype import Fitness, Genotype


class Population:
    """A population of n genotypes of equal or mixed lengths.

    Parameters
    ----------
    words
        (n, W) uint64: the packed bits. Bits past a row's length must be zero. Copied only if not C-contiguous.
    lengths
        (n,) int64: bits per genotype, each at least 1 and at most 64 W.
    fitness
        (n,) or (n, k) float64, NaN rows for genotypes not yet evaluated; None for all unevaluated.
    weights
        One float per objective: positive maximises, negative minimises.

    """

    __slots__ = ("_values", "lengths", "weights", "words")

    def __init__(
        self, words: Words, lengths: Ints, fitness: Floats | None = None, weights: Sequence[float] = (1.0,)
    ) -> None:
        self.words = np.ascontiguousarray(words)  # kernels write through a flat view
        self.lengths = lengths
        self.weights = tuple(map(float, weights))
        self._values = np.empty((len(lengths), len(self.weights)))
        self._values[:] = np.nan if fitness is None else np.reshape(fitness, self._values.shape)

    @classmethod
    def random(
        cls, n: int, length: int | Ints, rng: np.random.Generator, weights: Sequence[float] = (1.0,)
    ) -> Population:
        """Draw *n* genotypes of uniform random bits; *length* is one number or one per genotype."""
        check_generator(rng)
        lengths = np.broadcast_to(np.asarray(length, dtype=np.int64), (n,)).copy()
        if n < 1 or lengths.min() < 1:
            raise ValueError(f"a population has at least 1 genotype of at least 1 bit, got n={n}, length={length}")
        width = word_count(int(lengths.max()))
        return cls(random_words(lengths, width, rng), lengths, weights=weights)

    @classmethod
    def from_bits(cls, bits: AnyArray, lengths: Ints | None = None, weights: Sequence[float] = (1.0,)) -> Population:
        """Pack a (n, L) matrix of zeros and ones. Bits past a row's length are ignored."""
        n, length = bits.shape
        lengths = np.full(n, length, dtype=np.int64) if lengths is None else lengths
        words = pack(bits)
        return cls(words & prefix_mask(lengths, words.shape[1]), lengths, weights=weights)

    @classmethod
    def from_genotypes(cls, genotypes: Iterable[Genotype | str]) -> Population:
        """Copy genotypes (or strings of bits) and their fitness. All must have the same weights."""
        rows = [Genotype(g) if isinstance(g, str) else g for g in genotypes]
        if not rows:
            raise ValueError("a population has at least 1 genotype")
        if len({row.fitness.weights for row in rows}) > 1:
            raise ValueError("all genotypes of a population must have the same fitness weights")
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        words = np.zeros((len(rows), word_count(int(lengths.max()))), dtype=np.uint64)
        for target, row in zip(words, rows, strict=True):
            target[: len(row.words)] = row.words
        population = cls(words, lengths, weights=rows[0].fitness.weights)
        for i, row in enumerate(rows):
            if row.fitness.valid:
                population._values[i] = row.fitness.values
        return population

    @staticmethod
    def concatenate(parts: Sequence[Population]) -> Population:
        """Join the genotypes of *parts*, in order, with their fitness. All must have the same weights."""
        if len({part.weights for part in parts}) != 1:
            raise ValueError("populations of different fitness weights cannot be joined")
        width = max(part.words.shape[1] for part in parts)
        words = np.empty((sum(map(len, parts)), width), dtype=np.uint64)
        first = 0
        for part in parts:
            _put(words[first : first + len(part)], part.words)
            first += len(part)
        lengths = np.concatenate([part.lengths for part in parts])
        return Population(words, lengths, np.concatenate([part._values for part in parts]), parts[0].weights)

    def replaced(self, rows: Ints, others: Population) -> Population:
        """Return a copy with *others* and their fitness in place of the genotypes at *rows*, each named once."""
        lengths, values = self.lengths.copy(), self._values.copy()
        lengths[rows], values[rows] = others.lengths, others._values
        words = np.empty((len(self), word_count(int(lengths.max()))), dtype=np.uint64)
        _put(words, self.words)
        fitting = np.empty((len(others), words.shape[1]), dtype=np.uint64)
        _put(fitting, others.words)
        words[rows] = fitting
        return Population(words, lengths, values, self.weights)

    def unevaluated(self) -> Population:
        """Return a copy without fitness."""
        return Population(self.words.copy(), self.lengths.copy(), weights=self.weights)

    @property
    def fitness(self) -> Floats:
        """The fitness as a read-only view: (n,) float64 with one objective, (n, k) with several.

        NaN stands for an unevaluated genotype. Assign an array of that shape to set all; NaN raises ValueError.
        """
        view = self._values[:, 0] if len(self.weights) == 1 else self._values[:]
        view.flags.writeable = False
        return view

    @fitness.setter
    def fitness(self, values: npt.ArrayLike) -> None:
        array = np.asarray(values, dtype=np.float64)
        expected = [(len(self), len(self.weights))] + ([(len(self),)] if len(self.weights) == 1 else [])
        if array.shape not in expected:
            raise ValueError(f"fitness must have shape {' or '.join(map(str, expected))}, got {array.shape}")
        array = array.reshape(expected[0])
        if np.isnan(array).any():
            row = int(np.isnan(array).any(axis=1).argmax())
            raise ValueError(f"a fitness cannot be NaN, got {array[row]} for genotype {row}, {self[row]}")
        self._values[:] = array

    @property
    def evaluated(self) -> Flags:
        """A flag per genotype, (n,) bool: whether it has a fitness."""
        return np.asarray(~np.isnan(self._values[:, 0]))

    def check_evaluated(self) -> None:
        """Raise ValueError if a genotype is unevaluated."""
        if not self.evaluated.all():
            raise ValueError(f"{int((~self.evaluated).sum())} of {len(self)} genotypes have no fitness yet")

    def merit(self) -> Floats:
        """Return (n,) float64, higher is better: the lexicographic order of the weighted fitness.

        Ties are equal. Raises ValueError if a genotype is unevaluated.
        """
        self.check_evaluated()
        weighted = self._values * self.weights
        if weighted.shape[1] == 1:
            return weighted[:, 0]
        _, rank = np.unique(weighted, axis=0, return_inverse=True)
        return rank.reshape(-1).astype(np.float64)

    def bits(self) -> Bits:
        """Return the bits as a (n, longest) uint8 matrix, zero past each row's length."""
        return unpack(self.words, int(self.lengths.max()))

    def copy(self) -> Population:
        """Return a copy that shares nothing."""
        return Population(self.words.copy(), self.lengths.copy(), self._values, self.weights)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Genotype]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Genotype: ...
    @overload
    def __getitem__(self, index: slice | AnyArray | list[int]) -> Population: ...

    def __getitem__(self, index: Any) -> Genotype | Population:
        """Return one genotype for an integer, a population for a slice, a mask or indices; always a copy."""
        if isinstance(index, int | np.integer):
            values = () if np.isnan(self._values[index, 0]) else self._values[index].tolist()
            return Genotype.from_words(self.words[index], int(self.lengths[index]), Fitness(values, self.weights))
        rows = np.arange(len(self))[index]
        return Population(
            self.words.take(rows, axis=0), self.lengths.take(rows), self._values.take(rows, axis=0), self.weights
        )

    def __repr__(self) -> str:
        low, high = self.lengths.min(), self.lengths.max()
        bits = f"{low}" if low == high else f"{low}..{high}"
        return f"Population({len(self)} genotypes of {bits} bits, {int(self.evaluated.sum())} evaluated)"


def _put(target: Words, words: Words) -> None:
    # Bits past a length are zero, so a column that one of the two lacks holds nothing.
    width = min(target.shape[1], words.shape[1])
    target[:, :width] = words[:, :width]
    target[:, width:] = 0
