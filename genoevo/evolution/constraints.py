"""Constraints: a feasible genotype goes before every infeasible one, and of two infeasible the lesser violation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo._check import check_count
from genoevo._types import Flags, Floats
from genoevo.population import Population

_ROOM = 1e-6  # between two violations, as a share of the worst feasible fitness: many fit, and none is rounded away


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """The constraints of a search, compared by constraint domination.

    The fitness function returns the violation of each constraint after the objectives: 0 or less if it is kept, else
    how far it is missed. Violations have negative weights in the population, and are kept as 0 if they are less; with
    :class:`Resampling` as they are, because else their means would be too high. They are added up, so bring them to
    one scale. Parents, survivors, migrants and the best are chosen as if an infeasible genotype were worse than all
    feasible ones in every objective, and the worse the larger its violation. Hall of fame and Pareto front hold
    feasible genotypes alone.

    Source: Deb 2000, An efficient constraint handling method for genetic algorithms; Deb et al. 2002 for NSGA-II.

    Parameters
    ----------
    count
        The number of constraints; 0 for none.

    """

    count: int = 0

    def __post_init__(self) -> None:
        check_count("count", self.count, 0)

    def check_weights(self, weights: tuple[float, ...]) -> None:
        """Raise ValueError unless the last *weights* are those of violations, and there is an objective before."""
        if self.count and (self.count >= len(weights) or max(weights[-self.count :]) >= 0):
            raise ValueError(
                f"{self.count} constraints need weights of at least 1 objective and then negative ones, got {weights}"
            )

    def objectives(self, weights: tuple[float, ...]) -> tuple[float, ...]:
        """Return the weights of the objectives alone."""
        return weights[: len(weights) - self.count]

    def clipped(self, population: Population) -> Population:
        """Return an evaluated *population* with 0 for violations below 0; itself if there are no constraints."""
        if not self.count:
            return population
        clipped, values = population.copy(), population.fitness.copy()
        values[:, -self.count :] = np.maximum(values[:, -self.count :], 0)
        clipped.fitness = values
        return clipped

    def feasible(self, population: Population) -> Flags:
        """Return whether each genotype keeps all constraints, (n,) bool."""
        return np.asarray(self._violations(population) == 0)

    def ranked(self, population: Population) -> Population:
        """Return *population* with the fitness by which it is compared: objectives alone, all maximised.

        Without constraints that is *population* itself. Only genotypes of one result are comparable.
        """
        if not self.count:
            return population
        weights = self.objectives(population.weights)
        merit = population.fitness[:, : len(weights)] * weights
        violations = self._violations(population)
        missed, known = violations > 0, np.isfinite(merit).all(axis=1)
        floor = merit[~missed & known].min(axis=0, initial=np.inf)
        floor[np.isinf(floor)] = 0  # nobody is feasible
        # The order of violations and not their size, which might be too small beside the objectives to count.
        order = 1 + np.unique(violations[missed], return_inverse=True)[1].reshape(-1, 1)
        merit[missed] = floor - order * np.maximum(1, abs(floor) * _ROOM)
        return Population.unchecked(population.words, population.lengths, merit, (1.0,) * len(weights))

    def ranked_together(self, some: Population, others: Population) -> tuple[Population, Population]:
        """Return both populations as :meth:`ranked` does, comparable with each other."""
        if not self.count:
            return some, others
        both = self.ranked(Population.concatenate([some, others]))
        return both[: len(some)], both[len(some) :]

    def _violations(self, population: Population) -> Floats:
        if not self.count:
            return np.zeros(len(population))
        return np.asarray(np.maximum(population.fitness[:, -self.count :], 0).sum(axis=1))
