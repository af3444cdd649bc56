"""The fast genetic algorithm: one parent and heavy-tailed mutation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import numpy as np

from genoevo._check import check_whole
from genoevo._rows import Bitstring
from genoevo._types import Words
from genoevo.algorithms.one import OneParent
from genoevo.algorithms.options import MOST, Course, Options
from genoevo.algorithms.solutions import Solutions
from genoevo.evaluation import Evaluator, FitnessFunction
from genoevo.operators.heavy_tailed import check_beta, heavy_tailed
from genoevo.population import Population


class FastGA(OneParent):
    """The (1 + lambda) EA with heavy-tailed mutation: no mutation rate has to be chosen.

    The first generation evaluates *population* and keeps the best. Each other makes children by
    :func:`~genoevo.operators.heavy_tailed.heavy_tailed`, and keeps the best of them unless it is worse than the
    parent. A child that equals its parent is drawn again [O].

    Parameters
    ----------
    evaluate, population, seed, record, statistics, callbacks, reevaluate
        As for :class:`~genoevo.algorithms.Algorithm`.
    beta : > 1
        Exponent of the power law.
    offspring : from 1 to 10,000
        Children of a generation, which ``ask`` returns together. The published algorithm has 1.

    Attributes
    ----------
    parent : Solutions or None
        The solution that it keeps, which is also ``population``.

    Notes
    -----
    Source: Doerr, Le, Makhmara and Nguyen 2017, Fast genetic algorithms.

    """

    KIND = "fast-ga"
    SETTINGS = ("beta", "offspring")

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        beta: float = 1.5,
        offspring: int = 1,
        **options: Unpack[Options],
    ) -> None:
        check_beta(beta)
        check_whole("offspring", offspring, 1, MOST)
        self.beta, self.offspring = float(beta), int(offspring)
        super().__init__(evaluate, population, seed=seed, **options)

    def _generation(self) -> Course:
        if self.parent is None:
            yield from self._first()
            return
        words = self._mutants(self.parent)
        children = self.parent.children(words, np.zeros(len(words), dtype=np.int64))
        answer = yield children
        best = int(answer.merit.argmax())
        if answer.merit[best] >= self.parent.merit[0]:
            self._take(Solutions.of(children.population, *answer)[best : best + 1])

    def _mutants(self, parent: Solutions) -> Words:
        words = np.repeat(parent.words, self.offspring, axis=0)
        same = np.arange(self.offspring)
        while len(same):
            copies = Population.unchecked(words[same], np.repeat(parent.lengths, len(same)))
            words[same] = heavy_tailed(copies, self.rng, beta=self.beta).words
            same = same[(words[same] == parent.words).all(axis=1)]
        return words
