"""Genotypes that wait for their fitness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genoevo._types import Ints, Origins
from genoevo.evolution.lineage import GIVEN
from genoevo.operators.reproduction import Brood, Origin
from genoevo.population import Population
from genoevo.state import State, check_array, check_state, population_from_state, population_state

_CROSSOVER, _FRESH = int(Origin.CROSSOVER), int(Origin.FRESH)  # a name of an enumeration is slow to look up


@dataclass(frozen=True, slots=True)
class Pending:
    """The genotypes between ask and tell, with their parents and origins as the lineage records them.

    After those that are new, *population* has the genotypes of the rows *again*, which are evaluated again.
    """

    population: Population
    parents: Ints
    origins: Origins
    again: Ints | None = None

    @classmethod
    def given(cls, population: Population) -> Pending:
        """Return the first generation, which has no parents."""
        n = len(population)
        return cls(population, np.full((n, 2), GIVEN), np.full(n, GIVEN, dtype=np.int8))

    @classmethod
    def bred(cls, brood: Brood, first: Ints, second: Ints) -> Pending:
        """Return children whose parents have the numbers *first* and *second*, (n,) each."""
        parents = np.empty((len(first), 2), dtype=np.int64)
        parents[:, 0], parents[:, 1] = first, second
        np.copyto(parents[:, 1], GIVEN, where=brood.origins != _CROSSOVER)
        np.copyto(parents[:, 0], GIVEN, where=brood.origins == _FRESH)
        return cls(brood.population, parents, brood.origins)

    def replaced(self, rows: Ints, others: Pending, taken: Ints) -> Pending:
        """Return a copy with those *taken* of *others* in place of *rows*."""
        parents, origins = self.parents.copy(), self.origins.copy()
        parents[rows], origins[rows] = others.parents[taken], others.origins[taken]
        return Pending(self.population.replaced(rows, others.population[taken]), parents, origins)

    def with_genotypes(self, rows: Ints, genotypes: Population) -> Pending:
        """Return a copy with *genotypes* in place of *rows*, of the same parents."""
        return Pending(self.population.replaced(rows, genotypes), self.parents, self.origins)

    def with_again(self, rows: Ints, genotypes: Population) -> Pending:
        """Return a copy with *genotypes*, those of *rows*, to be evaluated again."""
        population = Population.concatenate([self.population, genotypes.unevaluated()])
        return Pending(population, self.parents, self.origins, rows)

    def without_again(self) -> Pending:
        """Return the new genotypes alone."""
        return Pending(self.population[: len(self.origins)], self.parents, self.origins)

    def evaluated(self, fitness: npt.ArrayLike) -> Pending:
        """Return the same with fitness; ValueError for one that :meth:`~genoevo.Evolution.tell` does not allow."""
        known = self.population
        population = Population.unchecked(known.words, known.lengths, weights=known.weights)
        population.fitness = fitness
        _check_infinities(population)
        return Pending(population, self.parents, self.origins, self.again)

    def as_state(self) -> State:
        """Return the genotypes, parents and origins as a state."""
        again = {} if self.again is None else {"again": self.again}
        population = population_state(self.population)
        return {"population": population, "parents": self.parents, "origins": self.origins, **again}

    @classmethod
    def from_state(cls, state: State) -> Pending:
        """Return what :meth:`as_state` gave; ValueError says what is missing or does not fit."""
        check_state("pending genotypes", state, ("population", "parents", "origins"))
        population = population_from_state(state["population"])
        new, again = len(population), None
        if "again" in state:
            again = check_array("the rows evaluated again", state["again"], np.int64, (None,))
            new -= len(again)
        parents = check_array("the parents of pending genotypes", state["parents"], np.int64, (new, 2))
        origins = check_array("the origins of pending genotypes", state["origins"], np.int8, (new,))
        return cls(population, parents, origins, again)


def _check_infinities(evaluated: Population) -> None:
    # The best infinity would always win, and any infinity under a weight of 0 becomes NaN.
    fitness = evaluated.fitness.reshape(len(evaluated), -1)
    infinite = np.isinf(fitness)
    if not np.count_nonzero(infinite):
        return
    best = infinite & ~(np.copysign(1, fitness) * evaluated.weights < 0)
    if best.any():
        row, objective = np.argwhere(best)[0]
        raise ValueError(
            f"a fitness must be finite, or the worst infinity for a failure, got {fitness[row, objective]} under "
            f"weight {evaluated.weights[objective]:g} for genotype {row}, {evaluated[int(row)]}"
        )
