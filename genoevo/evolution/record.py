"""The record of a run: hall of fame, Pareto front, lineage and cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from deap.tools import HallOfFame, ParetoFront

from genoevo._check import check_count, check_flag
from genoevo.evaluation.cache import Cache
from genoevo.evolution import history
from genoevo.evolution.constraints import Constraints
from genoevo.evolution.lineage import Lineage
from genoevo.evolution.pending import Pending
from genoevo.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record that a run keeps besides its population. All of it is part of the state.

    Parameters
    ----------
    hall_of_fame
        Number of the best different genotypes to keep; 0 for none.
    pareto_front
        Whether to keep every genotype that no other dominates.
    lineage
        Whether to keep the parents and origins of all genotypes: 33 bytes per evaluated genotype, and 8 per
        objective past the first.
    cache
        Number of genotypes whose fitness is looked up instead of computed again; 0 for none. For deterministic
        fitness functions.

    """

    hall_of_fame: int = 0
    pareto_front: bool = False
    lineage: bool = False
    cache: int = 0

    def __post_init__(self) -> None:
        check_count("hall_of_fame", self.hall_of_fame, 0)
        check_count("cache", self.cache, 0)
        check_flag("pareto_front", self.pareto_front)
        check_flag("lineage", self.lineage)


Memory = Record
"""The former name of :class:`Record`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record of one run; None for what it does not keep."""

    hall_of_fame: HallOfFame | None
    pareto_front: ParetoFront | None
    lineage: Lineage | None
    cache: Cache | None

    @classmethod
    def empty(cls, wanted: Record, weights: tuple[float, ...], operators: dict[str, str]) -> Recorded:
        """Return the record of a run that begins: what is *wanted*, for objectives of these *weights*.

        *operators* are the names of own operators, for the lineage.
        """
        return cls(
            HallOfFame(wanted.hall_of_fame) if wanted.hall_of_fame else None,
            ParetoFront() if wanted.pareto_front else None,
            Lineage(len(weights), operators) if wanted.lineage else None,
            Cache(wanted.cache) if wanted.cache else None,
        )

    def add(self, evaluated: Pending, generation: int, constraints: Constraints) -> None:
        """Add the evaluated genotypes of a generation; those that miss *constraints* to the lineage alone."""
        population = evaluated.population
        if self.lineage is not None:
            self.lineage.record(evaluated.parents, evaluated.origins, generation, np.array(population.fitness))
        if constraints.count:
            population = population[constraints.feasible(population)]
            if not len(population):
                return
        if self.hall_of_fame is not None:
            history.update_hall_of_fame(self.hall_of_fame, population)
        if self.pareto_front is not None:
            history.update_pareto_front(self.pareto_front, population)

    def as_state(self) -> State:
        """Return the state of each, None for what is not recorded."""
        return {
            "hall_of_fame": None if self.hall_of_fame is None else history.hall_state(self.hall_of_fame),
            "pareto_front": None if self.pareto_front is None else history.hall_state(self.pareto_front),
            "lineage": None if self.lineage is None else self.lineage.state_dict(),
            "cache": None if self.cache is None else self.cache.state_dict(),
        }

    @classmethod
    def from_state(cls, state: State, wanted: Record, weights: tuple[float, ...]) -> Recorded:
        """Return what :meth:`as_state` gave; ValueError says what is missing or does not fit."""
        recorded = cls.empty(wanted, weights, {})
        if recorded.hall_of_fame is not None:
            history.refill(recorded.hall_of_fame, state["hall_of_fame"], weights)
        if recorded.pareto_front is not None:
            history.refill(recorded.pareto_front, state["pareto_front"], weights)
        lineage = Lineage.from_state(state["lineage"], len(weights)) if wanted.lineage else None
        cache = Cache.from_state(state["cache"], len(weights)) if wanted.cache else None
        return cls(recorded.hall_of_fame, recorded.pareto_front, lineage, cache)
