"""The steps of one generation: breeding, and what evaluated children change."""

from __future__ import annotations

from functools import partial

import numpy as np

from genoevo._types import Floats, Ints
from genoevo.evolution.pending import Pending
from genoevo.evolution.resampling import Estimates
from genoevo.evolution.rule import Ruled
from genoevo.evolution.stops import front_advances
from genoevo.operators.mutation import flip
from genoevo.operators.reproduction import repaired
from genoevo.population import Population


class Generation(Ruled):
    """The part of an :class:`~genoevo.Evolution` that makes a generation from the one before."""

    def interval(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Return the ends of an interval of each genotype's expected fitness, both of the shape of ``fitness``.

        By Student's t from the genotype's own evaluations; infinite after one. The best of many is better in its
        evaluations than in truth, and the interval does not correct that. Raises RuntimeError without
        :class:`~genoevo.evolution.Resampling` or before the first generation, and ValueError for a confidence outside
        [0, 0.9999].
        """
        if self.estimates is None:
            raise RuntimeError("interval() needs resampling=Resampling(evaluations=...) and an evaluated generation")
        return self.estimates.interval(self.population, confidence, self.resampling.memory)

    def _further(self, population: Population, resampled: int) -> dict[str, int]:
        """Return the columns of a record of the log that only some rules have."""
        further = {}
        if self.constraints.count:
            further["feasible"] = int(self.constraints.feasible(population).sum())
        if self.resampling.is_on:
            further["resampled"] = resampled
        return further

    def _given(self) -> Pending:
        # A repair is kept, so it must come before the evaluation; what has a fitness already is not repaired.
        population = self.population
        if self.operators.repair is not None:
            rows = np.flatnonzero(~population.evaluated)
            if rows.size:
                population = population.replaced(rows, self._repaired(population[rows]))
        return Pending.given(population)

    def _breed(self) -> Pending:
        n = self.survival.children(self.islands.size(len(self.population)))
        pending = self._bred(n)
        if not self.variation.duplicates:
            pending = self._distinct(pending, n)
        if self.estimates is not None and self.resampling.is_due(self.generation):
            ranked = self.constraints.ranked(self.population)
            rows = self.survival.staying(ranked, self.islands.count)
            rows = rows[self.estimates.counts[rows] < self.resampling.evaluations]
            pending = pending.with_again(rows, self.population[rows])
        return pending

    def _bred(self, n: int) -> Pending:
        parents, operators = self._population, self.operators
        own = None if operators.selection is None else operators.parents
        candidates = self.constraints.clipped(parents) if own else self.constraints.ranked(parents)
        rows = self.selection.parents(candidates, 2 * n, self.rng, self.islands.count, own)
        first, second = rows[:, :n].reshape(-1), rows[:, n:].reshape(-1)
        brood = self.reproduction.children(
            parents[first], parents[second], self.rng, self._layout, variation=self.variation, operators=operators
        )
        return Pending.bred(brood, self.numbers[first], self.numbers[second])

    def _distinct(self, pending: Pending, n: int) -> Pending:
        """Replace what is a duplicate as :class:`Variation` says; *n* children are of each island."""
        tries = self.variation.tries
        for attempt in range(2 * tries):
            twins = _twins(self.population, pending.population, self.islands.count)
            if not twins.size:
                break
            if attempt < tries:
                wanted = np.bincount(twins // n, minlength=self.islands.count)
                most = int(wanted.max())
                taken = [island * most + np.arange(count) for island, count in enumerate(wanted)]
                pending = pending.replaced(twins, self._bred(most), np.concatenate(taken))
            else:
                pending = pending.with_genotypes(twins, self._flipped(pending.population[twins]))
        return pending

    def _flipped(self, children: Population) -> Population:
        flipped = self.variation.restored(flip(children, self.rng), children)
        return flipped if self.operators.repair is None else self._repaired(flipped)

    def _repaired(self, population: Population) -> Population:
        return repaired(population, self.rng, self.layout, self.variation, self.operators)

    def _resampled(self, evaluated: Pending) -> Pending:
        """Add what was evaluated again to its means, and return the children alone."""
        again = evaluated.again
        if again is None or self.estimates is None:
            return evaluated
        children = evaluated.without_again()
        values = evaluated.population.fitness.reshape(len(evaluated.population), -1)[len(children.population) :]
        self.estimates.add(self._population, again, values, self.resampling.memory)
        self.evaluations += len(again)
        return children

    def _update_progress(self, evaluated: Population) -> None:
        if self.survival.method == "nsga2" and self._has_front(evaluated):
            advances = self.generation == 1 or front_advances(
                *self.constraints.ranked_together(evaluated, self.population)
            )
            self.front_stagnant = 0 if advances else (self.front_stagnant or 0) + 1
        if self.resampling.is_on:
            return
        self.stagnant += 1
        top = self._improvement(evaluated)
        if top is not None:
            self.best, self.stagnant = evaluated[top], 0

    def _has_front(self, population: Population) -> bool:
        return len(self.constraints.objectives(population.weights)) > 1 and self.operators.survival is None

    def _improvement(self, evaluated: Population) -> int | None:
        """Return the row of the best genotype if it is better than the best so far."""
        constraints, best = self.constraints, self.best
        known = None if best is None else best.fitness.wvalues
        if constraints.count and best is not None:
            evaluated, before = constraints.ranked_together(evaluated, Population.from_genotypes([best]))
            known = tuple(before.fitness.reshape(-1))
        else:
            evaluated = constraints.ranked(evaluated)
        merit = evaluated.merit()
        top = int(merit.argmax())
        if len(evaluated.weights) == 1:
            return top if known is None or merit[top] > known[0] else None
        weighted = evaluated.fitness.reshape(len(evaluated), -1)[top] * evaluated.weights
        return top if known is None or tuple(weighted) > known else None

    def _succeed(self, children: Population) -> None:
        if self.operators.survival is None:
            young, old = self.constraints.ranked_together(children, self.population)
            stay, order = self.survival.succession(young, old, self.islands.count)
        else:
            own = partial(self.operators.survivors, rng=self.rng)
            young, old = self.constraints.clipped(children), self.constraints.clipped(self.population)
            stay, order = self.survival.succession(young, old, self.islands.count, own)
        born = self.evaluations - (0 if self.estimates is None else self.estimates.repeats)
        self.numbers = np.concatenate([self.numbers[stay], np.arange(born, born + len(children))])
        self._population = Population.concatenate([self.population[stay], children])
        if self.estimates is not None:
            self.estimates.take(stay)
            self.estimates.append(children)
        if order is not None:
            self._take_rows(order)

    def _take_rows(self, rows: Ints) -> None:
        self._population, self.numbers = self.population[rows], self.numbers[rows]
        if self.estimates is not None:
            self.estimates.take(rows)

    def _settle(self) -> None:
        """Take the best of the present means: the highest of all evaluations would be one of good luck.

        So would be the mean of a few. The best is among those evaluated half as often as any, or more.
        """
        if self.estimates is None:
            self.estimates = Estimates.first(self.population)
        known = np.flatnonzero(2 * self.estimates.counts >= self.estimates.counts.max())
        best = self.population[int(known[self.constraints.ranked(self.population).merit()[known].argmax()])]
        self.stagnant = self.stagnant + 1 if best == self.best else 0
        self.best = best


def _twins(parents: Population, children: Population, islands: int) -> Ints:
    """Return the rows of children that equal a parent, or a child before them, of their own island."""
    both = Population.concatenate([parents, children])
    own = [np.repeat(np.arange(islands), len(part) // islands) for part in (parents, children)]
    keys = np.column_stack([np.concatenate(own), both.lengths, both.words.view(np.int64)])
    first = np.zeros(len(both), dtype=np.bool_)
    first[np.unique(keys, axis=0, return_index=True)[1]] = True
    return np.flatnonzero(~first[len(parents) :])
