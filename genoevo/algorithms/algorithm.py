"""The base of the algorithms: a generation that asks for fitness as often as it needs, and that resumes exactly.

A generation is a generator: it yields genotypes, receives an :class:`Answer`, and changes the algorithm only after
its last one. So the state in the middle of a generation is the state at its beginning, with the generator of random
numbers as it was then, and the fitness told since. To resume is to run the generation again on that fitness.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from deap.tools import MultiStatistics, Statistics

from genoevo._bits import random_words
from genoevo._check import check_flag
from genoevo._rows import Bitstring
from genoevo._types import Floats
from genoevo.algorithms.options import Course, Options
from genoevo.algorithms.solutions import Answer, Solutions, check_merit
from genoevo.evaluation import Attempt, Evaluator, FitnessFunction
from genoevo.evolution import attempts, history
from genoevo.evolution.pending import Pending
from genoevo.evolution.record import Record, Recorded
from genoevo.evolution.search import Search
from genoevo.evolution.snapshot import best_from_state
from genoevo.population import Population
from genoevo.state import (
    State,
    check_array,
    check_state,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
    settings_state,
)
from genoevo.state.checkpoint import save_within


class Algorithm(Search):
    """A search for one objective by an algorithm of its own, with the interface of :class:`~genoevo.Evolution`.

    What differs: a generation asks one or more times. So :meth:`step` is a part of a generation, and a
    :class:`~genoevo.Stop` may end the run within one. Log, callbacks and ``stagnant`` count whole generations.

    Parameters
    ----------
    evaluate
        A function of one :class:`~genoevo.Genotype`, or an evaluator. None if only ask and tell are used.
    population
        The genotypes to start from, as :class:`~genoevo.Evolution` takes them. Later random genotypes get their
        lengths.
    seed
        Seed of the generator that makes every random decision.
    record, statistics, callbacks
        As for :class:`~genoevo.Evolution`.
    reevaluate
        Whether genotypes of *population* that have a fitness are evaluated again. By default their fitness counts.

    Raises
    ------
    ValueError
        If there are several objectives, or if the weight of the one is 0.

    """

    KIND: ClassVar[str]
    SETTINGS: ClassVar[tuple[str, ...]] = ()
    LATER: ClassVar[dict[str, Any]] = {}
    """What settings stand for that states of earlier versions do not have."""

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        **options: Unpack[Options],
    ) -> None:
        reevaluate = options.get("reevaluate", False)
        check_flag("reevaluate", reevaluate)
        start = population if isinstance(population, Population) else Population.from_genotypes(population)
        if len(start.weights) != 1 or not start.weights[0]:
            needed = "one objective with a weight other than 0"
            raise ValueError(f"{type(self).__name__} needs {needed}, got {start.weights}")
        super().__init__(
            evaluate,
            start,
            seed=seed,
            record=options.get("record"),
            statistics=options.get("statistics"),
            callbacks=options.get("callbacks", ()),
        )
        self.start = start.unevaluated() if reevaluate else start.copy()
        self.sign = 1.0 if start.weights[0] > 0 else -1.0
        self._population = self.start
        self._rng_before = generator_state(self.rng)  # as the generation began
        self._failing = 0
        self._end_generation()

    def _end_generation(self) -> None:
        self._course: Course | None = None
        self._next: Pending | None = None
        self._merit: list[Floats] = []  # told in this generation
        self._improved = False
        self._reasons: dict[str, int] = {}

    @abstractmethod
    def _generation(self) -> Course:
        """Yield the genotypes of one generation; change the algorithm only after the last answer."""

    @abstractmethod
    def _own_state(self) -> State:
        """Return what the algorithm keeps from one generation to the next."""

    @abstractmethod
    def _restore(self, own: State) -> None:
        """Take what :meth:`_own_state` gave; ValueError says what is missing or does not fit."""

    @property
    def population(self) -> Population:
        """The genotypes that the algorithm works with; before the first generation, those to start from."""
        return self._population

    def _random(self, n: int) -> Population:
        """Draw *n* random genotypes of the lengths of those to start from."""
        lengths = self.start.lengths
        lengths = self.rng.choice(lengths, n) if (lengths != lengths[0]).any() else np.full(n, lengths[0])
        words = random_words(lengths, self.start.words.shape[1], self.rng)
        return Population.unchecked(words, lengths, weights=self.start.weights)

    def _show(self, solutions: Solutions) -> None:
        self._population, self.numbers = solutions.population(), solutions.numbers

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to evaluate, which ends a run; only an algorithm with a limit of its own can be."""
        if self._course is None:
            self._begin()
        return self._next is None

    def ask(self) -> Population:
        """Return the next genotypes to evaluate; their number may differ each time.

        A second call before :meth:`tell` returns the same genotypes and draws nothing. Raises RuntimeError if the
        search is :attr:`exhausted`.
        """
        if self.exhausted:
            raise RuntimeError(f"this {type(self).__name__} is exhausted: nothing is left to evaluate")
        self._pending = self._next
        assert self._pending is not None
        return self._pending.population.copy()

    def _begin(self) -> None:
        self._rng_before = generator_state(self.rng)
        self._course = self._generation()
        self._next = next(self._course, None)

    def _receive(self, evaluated: Pending, reasons: dict[str, int]) -> None:
        self._recorded.add(evaluated, self.generation + 1, self.constraints)
        merit = evaluated.population.fitness * self.sign
        top = int(merit.argmax())
        if self.best is None or merit[top] > self.best.fitness.values[0] * self.sign:
            self.best, self._improved = evaluated.population[top], True
        if reasons:
            self._reasons = attempts.total([{attempts.REASONS: self._reasons}, {attempts.REASONS: reasons}])
        self._pending = None
        if self._answer(merit):
            self._complete()
        else:
            save_within(self, self.callbacks)

    def _answer(self, merit: Floats) -> bool:
        """Give the present generation its answer; return whether it is complete."""
        assert self._course is not None
        numbers = np.arange(self.evaluations, self.evaluations + len(merit))
        self._merit.append(merit)
        self.evaluations += len(merit)
        try:
            self._next = self._course.send(Answer(merit, numbers))
        except StopIteration:
            return True
        return False

    def _complete(self) -> None:
        failed = int(np.isinf(np.concatenate(self._merit)).sum())
        reasons = self._reasons
        self.generation += 1
        self.stagnant = 0 if self._improved else self.stagnant + 1
        self._end_generation()
        history.record(self.logbook, self, failed, self.statistics, reasons, {})
        for callback in self.callbacks:
            callback(self)

    def _check_limit(self, attempt: Attempt, asked: Population, limit: int | None) -> None:
        failed = self._failing + len(asked) if len(attempt.faults) == len(asked) else 0
        always = failed == self.evaluations + len(asked)
        if limit is not None and failed >= (limit if always else max(limit, _MANY)):
            attempts.refuse(attempt, asked, self.generation + 1, failed, always=always)
        self._failing = failed

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        rng = generator_state(self.rng) if self._course is None else self._rng_before
        return {
            "kind": self.KIND,
            "settings": {name: getattr(self, name) for name in self.SETTINGS},
            "start": population_state(self.start),
            "own": None if self.generation == 0 else self._own_state(),
            "rng": rng,
            "told": np.concatenate([np.zeros(0), *self._merit]),
            "asked": self.is_asked,
            "improved": self._improved,
            "reasons": self._reasons,
            "best": None if self.best is None else population_state(Population.from_genotypes([self.best])),
            **{name: getattr(self, name) for name in _COUNTS},
            "failing": self._failing,
            "log": history.log_state(self.logbook),
            "memory": settings_state(self.record),
            **self._recorded.as_state(),
        }

    @classmethod
    def from_state(
        cls,
        state: State,
        evaluate: Evaluator | FitnessFunction | None = None,
        *,
        statistics: Statistics | MultiStatistics | None = None,
        callbacks: Sequence[Callable[[Any], object]] = (),
    ) -> Self:
        """Resume from what :meth:`state_dict` gave, bit for bit. Functions must be given again.

        Raises ValueError if *state* is not the state of this algorithm, or names a part that is missing or does not
        fit.
        """
        check_state(f"a {cls.__name__}", state, _PARTS, kind=cls.KIND)
        settings = state["settings"]
        check_state(f"the settings of {cls.__name__}", settings, ())
        settings = {**cls.LATER, **settings}
        check_state(f"the settings of {cls.__name__}", settings, cls.SETTINGS)
        algorithm = cls(
            evaluate,
            population_from_state(state["start"]),
            seed=0,
            record=rebuild(Record, state["memory"]),
            statistics=statistics,
            callbacks=callbacks,
            **{name: settings[name] for name in cls.SETTINGS},
        )
        algorithm._resume(state)
        return algorithm

    def _resume(self, state: State) -> None:
        for name, value in counts(state, (*_COUNTS, "failing")).items():
            setattr(self, "_failing" if name == "failing" else name, value)
        for name in ("asked", "improved"):
            check_flag(name, state[name])
        self.logbook = history.log_from_state(state["log"])
        history.check_log(self.logbook, self.generation)
        this = f"a {type(self).__name__} of {self.evaluations} evaluations"
        self.best = best_from_state(this, state["best"], self.start.weights, begun=self.evaluations > 0)
        self._keep(Recorded.from_state(state, self.record, self.start.weights))
        self.rng = generator_from_state(state["rng"])
        if (state["own"] is None) != (self.generation == 0):
            raise ValueError(f"own must be None before the first generation alone, this is {self.generation}")
        if state["own"] is not None:
            self._restore(state["own"])
        told = check_array("told", state["told"], np.float64, (None,))
        check_merit("told", told)
        if len(told) or state["asked"]:
            self._repeat(told)
        self._improved, self._reasons = state["improved"], history.checked_reasons(state["reasons"])
        if state["asked"]:
            self._pending = self._next

    def _repeat(self, told: Floats) -> None:
        """Run the present generation to where it was, on the merit *told* so far."""
        if len(told) > self.evaluations:
            raise ValueError(f"told must have at most the {self.evaluations} evaluations, got {len(told)}")
        self.evaluations -= len(told)
        self._begin()
        while len(told):
            assert self._next is not None
            n = len(self._next.population)
            if n > len(told) or self._answer(told[:n]):
                raise ValueError("told does not fit the generation that it is said to be of")
            told = told[n:]


_MANY = 100  # failures in a row that end a search which asks for one genotype after the other: a few may be chance
_COUNTS = ("generation", "evaluations", "stagnant")
_PARTS = (
    *("settings", "start", "own", "rng", "told", "asked", "improved", "reasons", "best", *_COUNTS, "failing", "log"),
    *("memory", "hall_of_fame", "pareto_front", "lineage", "cache"),
)
