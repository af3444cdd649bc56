"""A bounded cache of fitness by genotype, for functions that are deterministic and slow."""

from __future__ import annotations

from collections import OrderedDict
from math import isfinite

import numpy as np

from genoevo._bits import word_count
from genoevo._check import check_count
from genoevo._types import Floats
from genoevo.evaluation.fitness import Attempt, Evaluator, Fault, attempted
from genoevo.population import Population
from genoevo.state import State, check_state, counts, population_from_state, population_state

_Key = tuple[int, bytes]
_KEYS = ("size", "hits", "misses", "entries")


class Cache:
    """The fitness of the last *size* different genotypes that were looked up.

    Attributes
    ----------
    hits, misses : int
        Number of genotypes whose fitness was known, and of those that were evaluated. A genotype that occurs twice
        in one population is evaluated once.

    """

    def __init__(self, size: int) -> None:
        check_count("size", size, 1)
        self.size, self.hits, self.misses = size, 0, 0
        self._entries: OrderedDict[_Key, list[float]] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    def evaluated(self, evaluator: Evaluator, population: Population) -> Floats:
        """Evaluate as :func:`genoevo.evaluation.evaluated` does, but only genotypes that are not in the cache."""
        return self.attempted(evaluator, population).values.reshape(population.fitness.shape)

    def attempted(self, evaluator: Evaluator, population: Population) -> Attempt:
        """Evaluate as :func:`genoevo.evaluation.attempted` does, but only genotypes that are not in the cache."""
        keys = _keys(population)
        unknown: dict[_Key, int] = {}
        for row, key in enumerate(keys):
            if key not in self._entries:
                unknown.setdefault(key, row)
        known = {key: self._entries[key] for key in keys if key not in unknown}
        faults: dict[_Key, Fault] = {}
        if unknown:
            fitness, failed = attempted(evaluator, population[list(unknown.values())])
            known |= zip(unknown, fitness.tolist(), strict=True)
            faults = {key: failed[place] for place, key in enumerate(unknown) if place in failed}
        self.hits += len(keys) - len(unknown)
        self.misses += len(unknown)
        self._remember(known)
        values = np.array([known[key] for key in keys])
        return Attempt(values, {row: faults[key] for row, key in enumerate(keys) if key in faults})

    def _remember(self, known: dict[_Key, list[float]]) -> None:
        for key, fitness in known.items():
            if key in self._entries:
                self._entries.move_to_end(key)
            elif all(map(isfinite, fitness)):  # the fitness of a failure is not a property of its genotype
                self._entries[key] = fitness
        while len(self._entries) > self.size:
            self._entries.popitem(last=False)

    def state_dict(self) -> State:
        """Return size, counts and entries; the entries as a population, or None."""
        entries = None
        if self._entries:
            lengths = np.array([length for length, _ in self._entries], dtype=np.int64)
            words = np.zeros((len(lengths), word_count(int(lengths.max()))), dtype=np.uint64)
            for row, (_, data) in zip(words, self._entries, strict=True):
                row[: len(data) // 8] = np.frombuffer(data, dtype=np.uint64)
            fitness = np.array(list(self._entries.values()))
            entries = population_state(Population(words, lengths, fitness, np.ones(fitness.shape[1]).tolist()))
        return {"size": self.size, "hits": self.hits, "misses": self.misses, "entries": entries}

    @classmethod
    def from_state(cls, state: State, objectives: int = 1) -> Cache:
        """Return the cache that :meth:`state_dict` describes; ValueError names what is missing or does not fit."""
        check_state("a cache", state, _KEYS)
        size, hits, misses = counts(state, _KEYS[:3]).values()
        cache = cls(size)
        cache.hits, cache.misses = hits, misses
        if state["entries"] is not None:
            entries = population_from_state(state["entries"])
            entries.check_evaluated()
            if len(entries.weights) != objectives or len(entries) > size:
                raise ValueError(f"a cache must hold {size} at most of {objectives} objectives, got {entries}")
            values = entries.fitness.reshape(len(entries), -1).tolist()
            cache._entries = OrderedDict(zip(_keys(entries), values, strict=True))
        return cache


def _keys(population: Population) -> list[_Key]:
    rows = zip(population.lengths.tolist(), population.words, strict=True)
    return [(length, row[: word_count(length)].tobytes()) for length, row in rows]
