"""The self-adjusting (1 + (lambda, lambda)) genetic algorithm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import numpy as np

from genoevo._bits import bernoulli_words, flip_bits
from genoevo._check import check_between
from genoevo._rows import Bitstring
from genoevo._types import Words
from genoevo.algorithms.one import OneParent
from genoevo.algorithms.options import Course, Options
from genoevo.algorithms.solutions import Solutions
from genoevo.evaluation import Evaluator, FitnessFunction
from genoevo.population import Population
from genoevo.state import State, check_state

_FACTOR = 1.5


class LambdaLambdaGA(OneParent):
    """The self-adjusting (1 + (lambda, lambda)) GA: mutate strongly, then repair by crossover with the parent.

    The first generation evaluates *population* and keeps the best. Each other flips the same number of bits, binomial
    with a mean of lambda and at least 1, in lambda copies of the parent, and crosses the best of these with the
    parent, lambda times, taking each bit from it with probability 1 / lambda. The best of all replaces the parent
    unless it is worse. Lambda starts at 1. It is divided by 1.5 after a success, and multiplied by the fourth root of
    1.5 otherwise.

    Parameters
    ----------
    evaluate, population, seed, record, statistics, callbacks, reevaluate
        As for :class:`~genoevo.algorithms.Algorithm`.

    Attributes
    ----------
    parent : Solutions or None
        The solution that it keeps, which is also ``population``.
    strength : float
        Lambda.

    Notes
    -----
    Source: Doerr, Doerr and Ebel 2015, From black-box complexity to designing new genetic algorithms; Doerr and Doerr
    2018, Optimal static and self-adjusting parameter choices for the (1 + (lambda, lambda)) genetic algorithm. As in
    Goldman and Punch 2014, children that equal the parent or the mutant are not evaluated, the mutant competes with
    them, and of equals the one farthest from the parent wins. A lambda above the number of bits becomes 1: Hevia
    Fajardo and Sudholt 2020, On the choice of the parameter control mechanism in the (1+(lambda,lambda)) genetic
    algorithm.

    """

    KIND = "lambda-lambda-ga"

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        **options: Unpack[Options],
    ) -> None:
        self.strength = 1.0
        super().__init__(evaluate, population, seed=seed, **options)

    def _generation(self) -> Course:
        parent = self.parent
        if parent is None:
            yield from self._first()
            return
        mutants = parent.children(self._mutants(parent), np.zeros(self._count, dtype=np.int64))
        answer = yield mutants
        top = int(answer.merit.argmax())
        candidates = Solutions.of(mutants.population, *answer)[top : top + 1]
        words = self._crossed(parent, candidates)
        if len(words):
            rows = np.zeros(len(words), dtype=np.int64)
            crossed = parent.children(words, rows, np.repeat(candidates.numbers, len(words)))
            answer = yield crossed
            candidates += Solutions.of(crossed.population, *answer)
        distance = np.bitwise_count(candidates.words ^ parent.words).sum(axis=1)
        best = int(np.lexsort((-distance.astype(np.int64), -candidates.merit))[0])
        self._adjust(parent, candidates[best : best + 1])

    @property
    def _count(self) -> int:
        return round(self.strength)

    def _mutants(self, parent: Solutions) -> Words:
        length, flips = int(parent.lengths[0]), 0
        while not flips:
            flips = int(self.rng.binomial(length, min(self.strength / length, 1.0)))
        words = np.repeat(parent.words, self._count, axis=0)
        bits = self.rng.random((self._count, length)).argsort(axis=1)[:, :flips]
        flip_bits(words, np.repeat(np.arange(self._count), flips), bits.reshape(-1))
        return words

    def _crossed(self, parent: Solutions, mutant: Solutions) -> Words:
        """Return the children of *parent* and *mutant* that equal neither."""
        apart = parent.words ^ mutant.words
        taken = bernoulli_words(np.full(self._count, 1 / self.strength), apart.shape[1], self.rng) & apart
        new = np.any(taken, axis=1) & np.any(taken != apart, axis=1)
        return np.asarray(parent.words ^ taken[new])

    def _adjust(self, parent: Solutions, best: Solutions) -> None:
        if best.merit[0] > parent.merit[0]:
            self.strength = max(self.strength / _FACTOR, 1.0)
        else:
            self.strength *= _FACTOR**0.25
        if self.strength > parent.lengths[0]:
            self.strength = 1.0
        if best.merit[0] >= parent.merit[0]:
            self._take(best)

    def _own_state(self) -> State:
        return {**super()._own_state(), "strength": self.strength}

    def _restore(self, own: State) -> None:
        super()._restore(own)
        check_state(f"a {type(self).__name__}", own, ("strength",))
        assert self.parent is not None
        check_between("strength", own["strength"], 1, int(self.parent.lengths[0]))
        self.strength = float(own["strength"])
