"""The 0/1 knapsack problem."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_choice, check_whole
from genoevo._types import Floats
from genoevo.population import Population
from genoevo.problems.problem import Problem

Infeasible = Literal["penalty", "repair"]


_MOST = 10_000  # items: the optimum takes 250 times their number squared


class Knapsack(Problem):
    """The 0/1 knapsack: the value of the chosen items, whose weight must not exceed half of all items' weight.

    Parameters
    ----------
    size
        Items, one bit each; at most 10,000, which limits the time for the optimum.
    infeasible
        The value of a choice that is too heavy. ``penalty``: minus the excess weight, so every feasible choice is
        better, and of two others the lighter one. ``repair``: the value that is left when items are removed, the
        lowest value per weight first, until the rest fits. The genotype is not changed.
    instance
        Seed of weights and values, integers uniform in 1 to 1000 and independent of each other.

    Notes
    -----
    The optimum comes from dynamic programming over the capacity. Source: Martello and Toth 1990, Knapsack problems
    (uncorrelated instances); the penalty: Deb 2000, An efficient constraint handling method for genetic algorithms;
    the repair: Michalewicz 1996, Genetic algorithms + data structures = evolution programs (greedy repair).

    """

    def __init__(self, size: int = 50, infeasible: Infeasible = "penalty", instance: int = 1) -> None:
        super().__init__(size)
        check_whole("size", size, 1, _MOST)
        check_choice("infeasible", infeasible, get_args(Infeasible))
        check_whole("instance", instance, 0)
        self.infeasible = infeasible
        self.weights, self.values = np.random.default_rng(instance).integers(1, 1001, (2, size))
        self.capacity = int(self.weights.sum()) // 2
        self._order = np.argsort(-self.values / self.weights, kind="stable")

    @cached_property
    def optimum(self) -> float:
        """The highest value, computed at the first access."""
        best = np.zeros(self.capacity + 1, dtype=np.int64)
        for weight, value in zip(self.weights, self.values, strict=True):
            if weight <= self.capacity:
                best[weight:] = np.maximum(best[weight:], best[:-weight] + value)
        return float(best[-1])

    def _values(self, population: Population) -> Floats:
        chosen = population.bits()
        if self.infeasible == "repair":
            chosen = chosen[:, self._order]
            chosen &= np.cumsum(chosen * self.weights[self._order], axis=1) <= self.capacity
            return np.asarray(chosen @ self.values[self._order], dtype=np.float64)
        surplus = chosen @ self.weights - self.capacity
        return np.asarray(np.where(surplus > 0, -surplus, chosen @ self.values), dtype=np.float64)
