"""Evaluated solutions as an algorithm keeps them, and the genotypes that it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoevo._rows import check_packed
from genoevo._types import Floats, Ints, Words
from genoevo.evolution.lineage import GIVEN
from genoevo.evolution.pending import Pending
from genoevo.operators.reproduction import Origin
from genoevo.population import Population
from genoevo.state import State, check_array, check_state

Key = tuple[int, bytes]
_CROSSOVER, _MUTATION = int(Origin.CROSSOVER), int(Origin.MUTATION)  # a name of an enumeration is slow to look up


class Answer(NamedTuple):
    """The answer to the genotypes that a generation yields.

    ``merit`` is (n,) float64, the fitness under the sign of its weight, so that more is better; ``numbers`` is (n,)
    int64, the number of each in the order of evaluation.
    """

    merit: Floats
    numbers: Ints


@dataclass(frozen=True, slots=True)
class Solutions:
    """n evaluated solutions: packed ``words`` (n, W), ``lengths``, ``merit`` and ``numbers`` (n,), and ``weight``.

    ``merit`` is the fitness under the sign of *weight*, the weight of the one objective: more is better. ``numbers``
    count in the order of evaluation.
    """

    words: Words
    lengths: Ints
    merit: Floats
    numbers: Ints
    weight: float

    def __len__(self) -> int:
        return len(self.merit)

    def __getitem__(self, rows: Any) -> Solutions:
        """Return a copy of the solutions at *rows*, indices or a mask."""
        return Solutions(self.words[rows], self.lengths[rows], self.merit[rows], self.numbers[rows], self.weight)

    def __add__(self, other: Solutions) -> Solutions:
        words, lengths = np.concatenate([self.words, other.words]), np.concatenate([self.lengths, other.lengths])
        merit, numbers = np.concatenate([self.merit, other.merit]), np.concatenate([self.numbers, other.numbers])
        return Solutions(words, lengths, merit, numbers, self.weight)

    @classmethod
    def of(cls, population: Population, merit: Floats, numbers: Ints) -> Solutions:
        """Return the genotypes of *population* with their *merit* and *numbers*."""
        return cls(population.words, population.lengths, merit, numbers, population.weights[0])

    def population(self) -> Population:
        """Return a population that shares nothing."""
        fitness = self.merit * np.sign(self.weight)
        return Population.unchecked(self.words.copy(), self.lengths.copy(), fitness[:, None], (self.weight,))

    def children(self, words: Words, rows: Ints, donors: Ints | None = None) -> Pending:
        """Return genotypes of *words*, made of the solutions at *rows*, and of *donors* (their numbers) if given."""
        parents = np.empty((len(rows), 2), dtype=np.int64)
        parents[:, 0] = self.numbers[rows]
        parents[:, 1] = GIVEN if donors is None else donors
        origins = np.empty(len(rows), dtype=np.int8)
        origins[:] = _MUTATION if donors is None else _CROSSOVER
        population = Population.unchecked(words, self.lengths[rows], weights=(self.weight,))
        return Pending(population, parents, origins)

    def as_state(self) -> State:
        """Return the arrays as a state."""
        return {"words": self.words, "lengths": self.lengths, "merit": self.merit, "numbers": self.numbers}

    @classmethod
    def from_state(cls, state: State, start: Population) -> Solutions:
        """Return what :meth:`as_state` gave, of an algorithm with that *start*; ValueError says what does not fit."""
        width, shortest = start.words.shape[1], int(start.lengths.min())
        check_state("solutions", state, ("words", "lengths", "merit", "numbers"))
        words = check_array("the words of solutions", state["words"], np.uint64, (None, width))
        lengths = check_array("the lengths of solutions", state["lengths"], np.int64, (len(words),))
        merit = check_array("the merit of solutions", state["merit"], np.float64, (len(words),))
        numbers = check_array("the numbers of solutions", state["numbers"], np.int64, (len(words),))
        check_packed(words, lengths)
        if lengths.min() < shortest:
            raise ValueError(f"solutions must have at least {shortest} bits, got {lengths.min()}")
        check_merit("the merit of solutions", merit)
        return cls(words, lengths, merit, numbers, start.weights[0])


def keys(solutions: Solutions) -> list[Key]:
    """Return a value for each solution that only equal ones share."""
    rows = zip(solutions.lengths.tolist(), solutions.words, strict=True)
    return [(length, row.tobytes()) for length, row in rows]


def check_merit(name: str, merit: Floats) -> None:
    """Raise ValueError unless each of *merit* is finite, or minus infinity for a failed evaluation."""
    wrong = ~(np.isfinite(merit) | (merit == -np.inf))
    if wrong.any():
        raise ValueError(f"{name} must be finite, or minus infinity for a failure, got {merit[wrong][0]}")


def fresh(population: Population) -> Pending:
    """Return random genotypes, which have no parents."""
    n = len(population)
    return Pending(population, np.full((n, 2), GIVEN), np.full(n, Origin.FRESH, dtype=np.int8))
