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


@dataclass(frozen=True, slots=True)
class Pending:
    """The genotypes between ask and tell, with their parents and origins as the lineage records them."""

    population: Population
    parents: Ints
    origins: Origins

    @classmethod
    def given(cls, population: Population) -> Pending:
        """Return the first generation, which has no parents."""
        n = len(population)
        return cls(population, np.full((n, 2), GIVEN), np.full(n, GIVEN, dtype=np.int8))

    @classmethod
    def bred(cls, brood: Brood, first: Ints, second: Ints) -> Pending:
        """Return children whose parents have the numbers *first* and *second*, (n,) each."""
        parents = np.stack([first, second], axis=1)
        parents[brood.origins != Origin.CROSSOVER, 1] = GIVEN
        parents[brood.origins == Origin.FRESH, 0] = GIVEN
        return cls(brood.population, parents, brood.origins)

    def evaluated(self, fitness: npt.ArrayLike) -> Pending:
        """Return a copy with fitness; ValueError for one that :meth:`~genoevo.Evolution.tell` does not allow."""
        population = self.population.copy()
        population.fitness = fitness
        _check_infinities(population)
        return Pending(population, self.parents, self.origins)

    def as_state(self) -> State:
        """Return the genotypes, parents and origins as a state."""
        return {"population": population_state(self.population), "parents": self.parents, "origins": self.origins}

    @classmethod
    def from_state(cls, state: State) -> Pending:
        """Return what :meth:`as_state` gave; ValueError says what is missing or does not fit."""
        check_state("pending genotypes", state, ("population", "parents", "origins"))
        population = population_from_state(state["population"])
        parents = check_array("the parents of pending genotypes", state["parents"], np.int64, (len(population), 2))
        origins = check_array("the origins of pending genotypes", state["origins"], np.int8, (len(population),))
        return cls(population, parents, origins)


def _check_infinities(evaluated: Population) -> None:
    # The best infinity would always win, and any infinity under a weight of 0 becomes NaN.
    fitness = evaluated.fitness.reshape(len(evaluated), -1)
    best = np.isinf(fitness) & ~(np.copysign(1, fitness) * evaluated.weights < 0)
    if best.any():
        row, objective = np.argwhere(best)[0]
        raise ValueError(
            f"a fitness must be finite, or the worst infinity for a failure, got {fitness[row, objective]} under "
            f"weight {evaluated.weights[objective]:g} for genotype {row}, {evaluated[int(row)]}"
        )
