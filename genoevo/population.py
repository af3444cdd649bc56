"""The population: n genotypes as one packed matrix, with their lengths and fitness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from genoevo._bits import pack, random_words, unpack, word_count
from genoevo._check import check_generator, is_whole, shown
from genoevo._frame import data_frame, fitness_columns
from genoevo._html import shortened, table
from genoevo._numbers import all_or_none, are_bits, as_array, as_lengths, as_weights
from genoevo._rows import Bitstring, as_genotype, as_values, check_packed, known_values
from genoevo._types import AnyArray, Bits, Flags, Floats, Ints, Words
from genoevo.genotype import Fitness, Genotype


class Population:
    """A population of n genotypes of equal or mixed lengths.

    Parameters
    ----------
    words
        (n, W) uint64: the packed bits. Bits past a row's length must be zero. Copied only if not C-contiguous.
    lengths
        (n,) whole numbers: bits per genotype, each at least 1 and at most 64 W. Copied only if not int64.
    fitness
        (n,) or, with several objectives, (n, k) numbers, NaN rows for genotypes not yet evaluated; None for all
        unevaluated.
    weights
        One finite number per objective: positive maximises, negative minimises.

    Raises
    ------
    ValueError
        If one of these does not hold. :meth:`unchecked` is for operators whose result is known to be legal.

    """

    __slots__ = ("_values", "lengths", "weights", "words")

    def __init__(
        self, words: Words, lengths: Ints, fitness: Floats | None = None, weights: Sequence[float] = (1.0,)
    ) -> None:
        weights = as_weights("weights", weights)
        words, lengths = check_packed(words, lengths)
        values = None if fitness is None else as_values(fitness, len(words), len(weights))
        if values is not None and not all_or_none(np.isnan(values)):
            raise ValueError("a population's fitness is NaN in some objectives of a genotype and not in all")
        self._assign(words, lengths, values, weights)

    def _assign(self, words: Words, lengths: Ints, values: Floats | None, weights: tuple[float, ...]) -> None:
        self.words = np.ascontiguousarray(words)  # kernels write through a flat view
        self.lengths, self.weights = lengths, weights
        self._values = np.empty((len(lengths), len(weights)))
        self._values[:] = np.nan if values is None else values

    @classmethod
    def unchecked(
        cls, words: Words, lengths: Ints, values: Floats | None = None, weights: tuple[float, ...] = (1.0,)
    ) -> Population:
        """Return a population of what is known to be legal; nothing is checked.

        For operators, which make legal words (n, W) and lengths (n,) from legal ones. *values* is (n, k) float64.
        """
        population = cls.__new__(cls)
        population._assign(words, lengths, values, weights)
        return population

    @classmethod
    def random(
        cls, n: int, length: int | Ints, rng: np.random.Generator, weights: Sequence[float] = (1.0,)
    ) -> Population:
        """Draw *n* genotypes of uniform random bits; *length* is one whole number or one per genotype."""
        check_generator(rng)
        given = as_lengths("length", length)
        if given.shape not in ((), (n,)):
            raise ValueError(f"length must be one number or one per genotype, ({n},), got shape {given.shape}")
        if not is_whole(n) or n < 1 or given.min() < 1:
            raise ValueError(f"a population has at least 1 genotype of at least 1 bit, got n={n}, length={length}")
        lengths = np.broadcast_to(given, (n,)).copy()
        width = word_count(int(lengths.max()))
        return cls.unchecked(random_words(lengths, width, rng), lengths, weights=as_weights("weights", weights))

    @classmethod
    def from_bits(
        cls, bits: npt.ArrayLike, lengths: Ints | None = None, weights: Sequence[float] = (1.0,)
    ) -> Population:
        """Pack a (n, L) matrix of zeros and ones. What lies past a row's length is ignored.

        *lengths* is (n,) whole numbers from 1 to L; None for L each. Raises ValueError, which names the row, for
        numbers other than zero and one.
        """
        matrix = as_array("bits", bits)
        if matrix.ndim != 2 or not matrix.size:
            raise ValueError(f"bits must be a matrix with a row per genotype, got shape {matrix.shape}")
        n, width = matrix.shape
        if lengths is None:
            lengths = np.full(n, width, dtype=np.int64)
        else:
            lengths = as_lengths("lengths", lengths, (n,))
            if lengths.min() < 1 or lengths.max() > width:
                raise ValueError(f"lengths must be from 1 to {width}, got {lengths.min()} to {lengths.max()}")
            matrix = np.where(np.arange(width) < lengths[:, None], matrix, matrix.dtype.type(0))
        if not are_bits(matrix):
            row = next(row for row, line in enumerate(matrix) if not are_bits(line))
            raise ValueError(f"bits must be zeros and ones, got {shown(matrix[row].tolist())} for genotype {row}")
        return cls.unchecked(pack(matrix), lengths, weights=as_weights("weights", weights))

    @classmethod
    def from_genotypes(cls, genotypes: Iterable[Bitstring], weights: Sequence[float] | None = None) -> Population:
        """Copy genotypes and their fitness.

        Parameters
        ----------
        genotypes
            Genotypes, strings of bits or sequences of zeros and ones. A sequence with a fitness of its own, such as
            an individual of DEAP, keeps that.
        weights
            The weights of all. None for the genotypes' own, which must be the same; 1.0 for those without.

        Raises
        ------
        ValueError
            For no genotype, for something that is not a genotype, for different weights, and for a fitness with
            another number of values than *weights*.

        """
        if isinstance(genotypes, str | Genotype):
            raise ValueError(f"a population is made of several genotypes, got one: write [{shown(genotypes)}]")
        default = (1.0,) if weights is None else as_weights("weights", weights)
        rows = [as_genotype(genotype, default) for genotype in genotypes]
        if not rows:
            raise ValueError("a population has at least 1 genotype")
        if weights is None:
            default = as_weights("weights", rows[0].fitness.weights)
            if len({row.fitness.weights for row in rows}) > 1:
                raise ValueError("all genotypes of a population must have the same fitness weights")
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        words = np.zeros((len(rows), word_count(int(lengths.max()))), dtype=np.uint64)
        for target, row in zip(words, rows, strict=True):
            target[: len(row.words)] = row.words
        population = cls.unchecked(words, lengths, weights=default)
        for i, row in enumerate(rows):
            if row.fitness.valid:
                population._values[i] = known_values(row, default)
        return population

    @staticmethod
    def concatenate(parts: Sequence[Population]) -> Population:
        """Join the genotypes of *parts*, in order, with their fitness. All must have the same weights."""
        if not parts:
            raise ValueError("a population has at least 1 part, got none")
        if len({part.weights for part in parts}) != 1:
            raise ValueError("populations of different fitness weights cannot be joined")
        width = max(part.words.shape[1] for part in parts)
        words = np.empty((sum(map(len, parts)), width), dtype=np.uint64)
        first = 0
        for part in parts:
            _put(words[first : first + len(part)], part.words)
            first += len(part)
        lengths = np.concatenate([part.lengths for part in parts])
        values = np.concatenate([part._values for part in parts])
        return Population.unchecked(words, lengths, values, parts[0].weights)

    def replaced(self, rows: Ints, others: Population) -> Population:
        """Return a copy with *others* and their fitness in place of the genotypes at *rows*, each named once.

        Raises ValueError unless there is another genotype for each row, of the same weights.
        """
        if len(rows) != len(others) or others.weights != self.weights:
            got = f"{len(rows)} rows and {len(others)} genotypes of weights {others.weights}"
            raise ValueError(f"each row takes one genotype of weights {self.weights}, got {got}")
        lengths, values = self.lengths.copy(), self._values.copy()
        lengths[rows], values[rows] = others.lengths, others._values
        words = np.empty((len(self), word_count(int(lengths.max()))), dtype=np.uint64)
        _put(words, self.words)
        fitting = np.empty((len(others), words.shape[1]), dtype=np.uint64)
        _put(fitting, others.words)
        words[rows] = fitting
        return Population.unchecked(words, lengths, values, self.weights)

    def unevaluated(self) -> Population:
        """Return a copy without fitness."""
        return Population.unchecked(self.words.copy(), self.lengths.copy(), weights=self.weights)

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
        array = as_values(values, len(self), len(self.weights))
        if np.count_nonzero(np.isnan(array)):
            row = int(np.isnan(array).any(axis=1).argmax())
            raise ValueError(f"a fitness cannot be NaN, got {array[row]} for genotype {row}, {self[row]}")
        self._values[:] = array

    @property
    def evaluated(self) -> Flags:
        """A flag per genotype, (n,) bool: whether it has a fitness."""
        return np.asarray(~np.isnan(self._values[:, 0]))

    def check_evaluated(self) -> None:
        """Raise ValueError if a genotype is unevaluated."""
        if np.count_nonzero(np.isnan(self._values[:, 0])):  # half as long as any()
            raise ValueError(f"{int((~self.evaluated).sum())} of {len(self)} genotypes have no fitness yet")

    def merit(self) -> Floats:
        """Return (n,) float64, higher is better: the lexicographic order of the weighted fitness.

        Ties are equal. Raises ValueError if a genotype is unevaluated.
        """
        self.check_evaluated()
        if len(self.weights) == 1:
            return np.asarray(self._values[:, 0] * self.weights[0])
        _, rank = np.unique(self._values * self.weights, axis=0, return_inverse=True)
        return rank.reshape(-1).astype(np.float64)

    def bits(self) -> Bits:
        """Return the bits as a (n, longest) uint8 matrix, zero past each row's length."""
        return unpack(self.words, int(self.lengths.max()))

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each genotype: its bits as text, length and fitness.

        The fitness is NaN for an unevaluated genotype; of several objectives it is ``fitness_1``, ``fitness_2``, ...
        Raises ImportError if pandas is not installed.
        """
        columns = {"genotype": [str(genotype) for genotype in self], "length": self.lengths.copy()}
        return data_frame("a population", columns | fitness_columns(self._values.copy()), "row")

    def copy(self) -> Population:
        """Return a copy that shares nothing."""
        return Population.unchecked(self.words.copy(), self.lengths.copy(), self._values, self.weights)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Genotype]:
        for words, length, values in zip(self.words, self.lengths.tolist(), self._values.tolist(), strict=True):
            fitness = Fitness.unchecked(() if isnan(values[0]) else values, self.weights)
            yield Genotype.unchecked(words, length, fitness)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Genotype: ...
    @overload
    def __getitem__(self, index: slice | AnyArray | list[int]) -> Population: ...

    def __getitem__(self, index: Any) -> Genotype | Population:
        """Return one genotype for an integer, a population for a slice, a mask or indices; always a copy."""
        if isinstance(index, int | np.integer):
            values = () if np.isnan(self._values[index, 0]) else self._values[index].tolist()
            fitness = Fitness.unchecked(values, self.weights)
            return Genotype.unchecked(self.words[index], int(self.lengths[index]), fitness)
        plain = type(index) is np.ndarray and index.dtype == np.int64 and index.ndim == 1
        rows = index if plain else np.arange(len(self))[index]
        return Population.unchecked(
            self.words.take(rows, axis=0), self.lengths.take(rows), self._values.take(rows, axis=0), self.weights
        )

    def __repr__(self) -> str:
        bits = f" of {self._bits_shown()} bits" if len(self) else ""
        return f"Population({len(self)} genotypes{bits}, {int(self.evaluated.sum())} evaluated)"

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {"evaluated": int(self.evaluated.sum()), "weights": self.weights}
        if len(self):
            rows = {"bits": self._bits_shown(), **rows}
        if self.evaluated.any():
            known = self[self.evaluated]
            best = known[int(known.merit().argmax())]
            rows |= {"best fitness": best.fitness.values, "best genotype": shortened(str(best))}
        return table(f"Population of {len(self)} genotypes", rows)

    def _bits_shown(self) -> str:
        low, high = self.lengths.min(), self.lengths.max()
        return f"{low}" if low == high else f"{low}..{high}"


def _put(target: Words, words: Words) -> None:
    # Bits past a length are zero, so a column that one of the two lacks holds nothing.
    width = min(target.shape[1], words.shape[1])
    target[:, :width] = words[:, :width]
    target[:, width:] = 0
