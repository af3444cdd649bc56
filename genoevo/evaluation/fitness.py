"""Evaluators, which compute fitness, and the rule for evaluations that fail.

An evaluator computes; :func:`evaluated` applies its :class:`Failure` rule, in the same way for every evaluator.
Worker processes are in :mod:`genoevo.pools`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from genoevo._check import check_at_least, check_choice
from genoevo._types import Floats
from genoevo.genotype import Genotype
from genoevo.population import Population

FitnessFunction = Callable[[Genotype], float | Sequence[float]]
Action = Literal["raise", "worst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The rule for a genotype whose evaluation fails.

    A failure is an exception, or a value that is not finite or of the wrong shape. In worker processes it is also
    a missing answer in time, or the end of the worker.

    Parameters
    ----------
    action
        ``raise``: an :class:`EvaluationError`, after which the same genotypes can be evaluated again. ``worst``:
        the worst fitness there is, minus infinity under a positive weight, plus infinity under a negative one.
    retries
        How often failed genotypes are evaluated again before that.

    """

    action: Action = "raise"
    retries: int = 0

    def __post_init__(self) -> None:
        check_choice("action", self.action, get_args(Action))
        check_at_least("retries", self.retries, 0)


class EvaluationError(RuntimeError):
    """An evaluation failed. ``genotype`` is the first that failed, ``__cause__`` the function's exception."""

    __module__ = "genoevo.evaluation"  # tracebacks and pickles name the path that users import

    def __init__(self, message: str, genotype: Genotype) -> None:
        super().__init__(message)
        self.genotype = genotype

    def __reduce__(self) -> tuple[Any, ...]:
        return EvaluationError, (str(self), self.genotype)


class Fault(NamedTuple):
    """The reason why a genotype has no fitness: *what* the function did, and its exception if it raised one."""

    what: str
    cause: BaseException | None = None


class Attempt(NamedTuple):
    """The fitness (n, objectives) of a population, and the fault of each row that has none."""

    values: Floats
    faults: dict[int, Fault]


@runtime_checkable
class Evaluator(Protocol):
    """The interface of what computes fitness.

    A genotype's fitness must not depend on what else is evaluated, when, or in which process.
    """

    failure: Failure

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Evaluate each genotype once. *hasty*: return soon after the first fault, with the rest undone."""


class InProcess:
    """An evaluator that calls *function* with one :class:`~genoevo.Genotype` after the other, in this process.

    *function* returns a float, or a sequence of floats with several objectives.
    """

    def __init__(self, function: FitnessFunction, *, failure: Failure | None = None) -> None:
        self.function = function
        self.failure = failure or Failure()

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Evaluate every genotype, in order."""
        values, faults = _unknown(population), dict[int, Fault]()
        for row, genotype in enumerate(population):
            fault = self._evaluate(genotype, values[row])
            if fault is not None:
                faults[row] = fault
                if hasty:
                    break
        return Attempt(values, faults)

    def _evaluate(self, genotype: Genotype, target: Floats) -> Fault | None:
        try:
            result = self.function(genotype)
        except Exception as error:
            return Fault(f"raised {_described(error)}", error)
        array = _as_floats(result)
        if array is None or array.size != target.size or array.ndim > 1 or not np.isfinite(array).all():
            numbers = "one finite number" if target.size == 1 else f"{target.size} finite numbers"
            return Fault(f"returned {result!r}, not {numbers},")
        target[:] = array
        return None


class Vectorised:
    """An evaluator that calls *function* with a whole :class:`~genoevo.Population`.

    *function* returns a (n,) or (n, objectives) array. If it raises, or returns something of another shape, all
    genotypes that it was called with have failed.
    """

    def __init__(self, function: Callable[[Population], npt.ArrayLike], *, failure: Failure | None = None) -> None:
        self.function = function
        self.failure = failure or Failure()

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Evaluate every genotype, in order."""
        values = _unknown(population)
        try:
            result = self.function(population)
        except Exception as error:
            what = f"raised {_described(error)}, called with {len(values)} genotypes,"
            return Attempt(values, dict.fromkeys(range(len(values)), Fault(what, error)))
        array = _as_floats(result)
        shapes = [values.shape, *([values.shape[:1]] if values.shape[1] == 1 else [])]
        if array is None or array.shape not in shapes:
            got = f"type {type(result).__name__}" if array is None else f"shape {array.shape}"
            what = f"returned fitness of {got}, not of shape {' or '.join(map(str, shapes))},"
            return Attempt(values, dict.fromkeys(range(len(values)), Fault(what)))
        values[:] = array.reshape(values.shape)
        finite = np.isfinite(values).all(axis=1)
        bad = {int(row): Fault(f"returned {values[row]}, not finite,") for row in np.flatnonzero(~finite)}
        return Attempt(values, bad)


def evaluated(evaluator: Evaluator, population: Population) -> Floats:
    """Evaluate *population*: (n,) float64 with one objective, else (n, objectives).

    The fitness is finite, except for genotypes that failed under the rule ``worst``. Under ``raise``,
    EvaluationError names the first genotype that failed.
    """
    rule = evaluator.failure
    values = _unknown(population)
    rows, part = np.arange(len(population)), population
    for left in reversed(range(rule.retries + 1)):
        hasty = left == 0 and rule.action == "raise"
        found, faults = evaluator.attempt(part, hasty=hasty)
        values[rows] = found
        if not faults:
            return values.reshape(population.fitness.shape)
        failed = sorted(faults)
        first = faults[failed[0]]
        rows = rows[failed]
        part = population[rows]
    if rule.action == "raise":
        genotype = part[0]
        tries = f" (tried {rule.retries + 1} times)" if rule.retries else ""
        raise EvaluationError(f"the fitness function {first.what} for {genotype}{tries}", genotype) from first.cause
    weights = np.array(population.weights)
    values[rows] = np.where(weights == 0, 0.0, np.copysign(np.inf, -weights))
    return values.reshape(population.fitness.shape)


def as_evaluator(evaluate: Evaluator | FitnessFunction) -> Evaluator:
    """Return *evaluate* itself, or :class:`InProcess` around a function; TypeError for anything else."""
    if isinstance(evaluate, Evaluator):
        return evaluate
    if not callable(evaluate):
        raise TypeError(f"evaluate must be callable, got {type(evaluate).__name__}")
    return InProcess(evaluate)


def _unknown(population: Population) -> Floats:
    return np.full((len(population), len(population.weights)), np.nan)


def _as_floats(result: Any) -> Floats | None:
    try:
        return np.asarray(result, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
