"""What every search has around its algorithm: evaluation, counts, the best, the record, the log, callbacks, stops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from deap.tools import MultiStatistics, Statistics

from genoevo._check import check_callable, check_type, shown
from genoevo._html import shortened, table
from genoevo._types import Ints
from genoevo.evaluation import Attempt, Evaluator, FitnessFunction, as_evaluator
from genoevo.evolution import attempts, history
from genoevo.evolution.constraints import Constraints
from genoevo.evolution.history import Log
from genoevo.evolution.pending import Pending
from genoevo.evolution.record import Record, Recorded
from genoevo.evolution.stops import Stop, run_until
from genoevo.genotype import Genotype
from genoevo.operators.own import Operators
from genoevo.population import Population
from genoevo.state import State, seeded

_NO_CONSTRAINTS, _NO_OPERATORS = Constraints(), Operators()


class Search(ABC):
    """A search with an ask-tell interface; :class:`~genoevo.Evolution` describes parameters and attributes."""

    generation: int
    evaluations: int
    best: Genotype | None
    stagnant: int
    front_stagnant: int | None
    numbers: Ints
    logbook: Log
    rng: np.random.Generator
    _pending: Pending | None

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        start: Population,
        *,
        seed: int,
        record: Record | None,
        statistics: Statistics | MultiStatistics | None,
        callbacks: Sequence[Callable[[Any], object]],
    ) -> None:
        self._record = Record() if record is None else record
        check_type("record", self._record, Record)
        if statistics is not None:
            history.check_names(statistics, self._further(start, 0))
        self.statistics = statistics
        self.callbacks = _checked(callbacks)
        self.numbers = np.arange(len(start))
        self.rng = seeded(seed)
        self.generation = 0
        self.evaluations = 0
        self.best = None
        self.stagnant = 0
        self.front_stagnant = None
        self.logbook = Log()
        self._keep(Recorded.empty(self._record, start.weights, self.operators.names))
        self._pending = None
        self._evaluator = None if evaluate is None else as_evaluator(evaluate)

    def _keep(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.hall_of_fame, self.pareto_front = recorded.hall_of_fame, recorded.pareto_front
        self.lineage, self.cache = recorded.lineage, recorded.cache

    @property
    @abstractmethod
    def population(self) -> Population:
        """The genotypes that the search works with at present."""

    constraints = property(lambda self: _NO_CONSTRAINTS, doc="The constraints.")
    operators = property(lambda self: _NO_OPERATORS, doc="The own operators.")
    record = property(lambda self: self._record, doc="What is kept besides the population.")

    @property
    def is_asked(self) -> bool:
        """Whether genotypes that ``ask`` returned are waiting for their fitness."""
        return self._pending is not None

    @property
    def failures(self) -> dict[str, int]:
        """The number of evaluations that failed so far, for each reason, the most frequent reason first."""
        return attempts.total(self.logbook)

    def _further(self, population: Population, resampled: int) -> dict[str, int]:
        """Return the columns of a record of the log that not all searches have."""
        return {}

    @abstractmethod
    def ask(self) -> Population:
        """Return the genotypes to evaluate."""

    def tell(self, fitness: npt.ArrayLike) -> None:
        """Give the fitness of the genotypes that :meth:`ask` returned, in their order.

        *fitness* is (n,) or (n, objectives), and finite. Only a genotype whose evaluation failed may have the worst
        infinity under its weight, as :class:`~genoevo.evaluation.Failure` gives it. Raises RuntimeError before
        :meth:`ask`, and ValueError for a wrong shape, NaN, or another infinity. The state is unchanged then.
        """
        if self._pending is None:
            raise RuntimeError("tell() before ask(): no genotypes are pending")
        self._receive(self._pending.evaluated(fitness), {})

    @abstractmethod
    def _receive(self, evaluated: Pending, reasons: dict[str, int]) -> None:
        """Do what :meth:`tell` does with the pending genotypes and their fitness; some failed for *reasons*."""

    def step(self) -> None:
        """Ask, evaluate and tell once, which is one generation of an :class:`~genoevo.Evolution`.

        If the evaluation raises, the genotypes are not lost: they stay pending, for the next call or for :meth:`ask`
        and :meth:`tell`. Raises EvaluationError also at the limit of :class:`~genoevo.evaluation.Failure`.
        """
        if self._evaluator is None:
            raise RuntimeError(f"this {type(self).__name__} has no evaluate function; use ask() and tell()")
        asked = self.ask()
        attempt = attempts.attempt(self._evaluator, self.cache, asked)
        self._check_limit(attempt, asked, self._evaluator.failure.limit)
        assert self._pending is not None
        evaluated = self._pending.evaluated(attempt.values)
        self._receive(evaluated, attempts.reasons_of(attempt.faults.values()) if attempt.faults else {})

    @abstractmethod
    def _check_limit(self, attempt: Attempt, asked: Population, limit: int | None) -> None:
        """Raise EvaluationError if too many evaluations failed in a row."""

    def run(self, generations: int | Stop | None = None, *, stop: Stop | None = None) -> str:
        """Run that many further generations, or fewer if *stop* ends the run before.

        The first generation evaluates the initial population. Returns the reason of the end: ``generations``, the
        name of the stop's condition, or ``exhausted`` if nothing is left to evaluate. A stop may also be the only
        argument. Raises ValueError if there is none or *generations* is not a whole number, and TypeError if *stop*
        is not a :class:`~genoevo.Stop`.
        """
        return run_until(self, generations, stop)

    @abstractmethod
    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""

    def __repr__(self) -> str:
        best = "" if self.best is None else f", best {_values(self.best)}"
        done = f"generation {self.generation}, {self.evaluations} evaluations"
        return f"{type(self).__name__}({done}{best}, {self.population})"

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {"generation": self.generation, "evaluations": self.evaluations}
        if self.best is not None:
            rows |= {"best fitness": _values(self.best), "best genotype": shortened(str(self.best))}
            rows |= {"generations without a better one": self.stagnant}
        if self.failures:
            rows["failed evaluations"] = sum(self.failures.values())
        return table(type(self).__name__, rows | {"population": self.population})


def _values(genotype: Genotype) -> str:
    return ", ".join(f"{value:g}" for value in genotype.fitness.values)


def _checked(callbacks: Sequence[Callable[[Any], object]]) -> tuple[Callable[[Any], object], ...]:
    if callable(callbacks):
        raise TypeError(f"callbacks must be a sequence of functions: write [{shown(callbacks)}]")
    for callback in callbacks:
        check_callable("a callback", callback)
    return tuple(callbacks)
