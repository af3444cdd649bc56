"""Evaluators, which compute fitness, and the rule for evaluations that fail.

An evaluator computes; :func:`evaluated` applies its :class:`Failure` rule, in the same way for every evaluator.
Worker processes are in :mod:`genoevo.pools`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from genoevo._check import check_callable, check_choice, check_count, check_flag, check_type, shown
from genoevo._numbers import as_floats
from genoevo._types import Floats
from genoevo.genotype import Genotype
from genoevo.population import Population

FitnessFunction = Callable[[Genotype], float | Sequence[float]]
Action = Literal["raise", "worst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The rule for a genotype whose evaluation fails.

    A failure is an exception, or a value that is not a number, not finite or of the wrong shape. In worker processes
    it is also a missing answer in time, or the end of the worker.

    Parameters
    ----------
    action
        ``raise``: an :class:`EvaluationError`, after which the same genotypes can be evaluated again. ``worst``:
        the worst fitness there is, minus infinity under a positive weight, plus infinity under a negative one.
    retries
        How often failed genotypes are evaluated again before that.
    limit
        Evaluations in a row that may fail under ``worst``, counted in whole generations of an
        :class:`~genoevo.Evolution`. At that number it raises EvaluationError, and also if every evaluation of the
        first generation fails, because then there is nothing to select by. The algorithms of
        :mod:`genoevo.algorithms` count each ``ask``, and once an evaluation has succeeded they let 100 fail at
        least. None for no limit.

    """

    action: Action = "raise"
    retries: int = 0
    limit: int | None = 10

    def __post_init__(self) -> None:
        check_choice("action", self.action, get_args(Action))
        check_count("retries", self.retries, 0)
        if self.limit is not None:
            check_count("limit", self.limit, 1)


def checked(failure: Failure | None) -> Failure:
    """Return *failure*, or the default if it is None; TypeError for anything else."""
    if failure is None:
        return Failure()
    check_type("failure", failure, Failure)
    return failure


class EvaluationError(RuntimeError):
    """An evaluation failed. ``genotype`` is the first that failed, ``__cause__`` the function's exception."""

    __module__ = "genoevo.evaluation"  # tracebacks and pickles name the path that users import

    def __init__(self, message: str, genotype: Genotype) -> None:
        super().__init__(message)
        self.genotype = genotype

    def __reduce__(self) -> tuple[Any, ...]:
        return EvaluationError, (str(self), self.genotype)


class Fault(NamedTuple):
    """The reason why a genotype has no fitness.

    *what* the function did, its exception if it raised one, and the *kind* under which a log counts it, which is
    independent of how genotypes are grouped for evaluation; empty for *what* itself.
    """

    what: str
    cause: BaseException | None = None
    kind: str = ""


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
        check_callable("function", function)
        self.function = function
        self.failure = checked(failure)

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
        if type(result) is float and target.size == 1 and isfinite(result):  # what most functions return, at once
            target[0] = result
            return None
        numbers = "one finite number" if target.size == 1 else f"{target.size} finite numbers"
        try:
            array = as_floats("fitness", result)
        except ValueError as error:
            return Fault(f"returned {shown(result)}, not {numbers},", error.__cause__)
        if array.size != target.size or array.ndim > 1 or not np.isfinite(array).all():
            return Fault(f"returned {shown(result)}, not {numbers},")
        target[:] = array
        return None


class Vectorised:
    """An evaluator that calls *function* with a whole :class:`~genoevo.Population`.

    Parameters
    ----------
    function
        Returns a (n,) or (n, objectives) array. For another shape all genotypes that it was called with have failed.
    failure
        The rule for genotypes that fail.
    isolate
        What if *function* raises, or returns something other than numbers. True: it is called again with halves of
        the population, and halves of these, until the genotypes at fault are found, so that no other fails with
        them. False: all genotypes that it was called with have failed.

    """

    def __init__(
        self,
        function: Callable[[Population], npt.ArrayLike],
        *,
        failure: Failure | None = None,
        isolate: bool = True,
    ) -> None:
        check_callable("function", function)
        check_flag("isolate", isolate)
        self.function = function
        self.failure = checked(failure)
        self.isolate = isolate

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Evaluate every genotype, in order."""
        n, objectives = len(population), len(population.weights)
        try:
            result = self.function(population)
        except Exception as error:
            raised, called = f"raised {_described(error)}", f", called with {n} genotypes," if n > 1 else ""
            return self._in_halves(population, Fault(raised + called, error, raised), hasty=hasty)
        try:
            array = as_floats("fitness", result)
        except ValueError as error:
            what = f"returned {shown(result)}, not numbers,"
            kind = f"returned fitness of type {type(result).__name__}, not numbers,"
            return self._in_halves(population, Fault(what, error.__cause__, kind), hasty=hasty)
        shapes = [(n, objectives), *([(n,)] if objectives == 1 else [])]
        if array.shape not in shapes:
            what = f"returned fitness of shape {array.shape}, not of shape {' or '.join(map(str, shapes))},"
            fault = Fault(what, None, "returned fitness of a wrong shape")
            return Attempt(_unknown(population), dict.fromkeys(range(n), fault))
        values = np.array(array).reshape(n, objectives)
        if np.count_nonzero(np.isfinite(values)) == values.size:
            return Attempt(values, {})
        finite = np.isfinite(values).all(axis=1)
        bad = {int(row): Fault(f"returned {values[row]}, not finite,") for row in np.flatnonzero(~finite)}
        return Attempt(values, bad)

    def _in_halves(self, population: Population, fault: Fault, *, hasty: bool) -> Attempt:
        n = len(population)
        if n == 1 or not self.isolate:
            return Attempt(_unknown(population), dict.fromkeys(range(n), fault))
        values, faults = self.attempt(population[: n // 2], hasty=hasty)
        rest = population[n // 2 :]
        found, others = Attempt(_unknown(rest), {}) if hasty and faults else self.attempt(rest, hasty=hasty)
        return Attempt(np.concatenate([values, found]), faults | {n // 2 + row: it for row, it in others.items()})


def evaluated(evaluator: Evaluator, population: Population) -> Floats:
    """Evaluate *population*: (n,) float64 with one objective, else (n, objectives).

    The fitness is finite, except for genotypes that failed under the rule ``worst``. Under ``raise``,
    EvaluationError names the first genotype that failed.
    """
    return attempted(evaluator, population).values.reshape(population.fitness.shape)


def attempted(evaluator: Evaluator, population: Population) -> Attempt:
    """Evaluate as :func:`evaluated` does, and return also the fault of each genotype that failed under ``worst``."""
    rule = evaluator.failure
    rows, part = np.arange(len(population)), population
    for left in reversed(range(rule.retries + 1)):
        hasty = left == 0 and rule.action == "raise"
        found, faults = tried(evaluator, part, hasty=hasty)
        if part is population:
            values = found.copy()  # the evaluator may keep its array
        else:
            values[rows] = found
        if not faults:
            return Attempt(values, {})
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
    return Attempt(values, {int(row): faults[place] for row, place in zip(rows, failed, strict=True)})


def tried(evaluator: Evaluator, population: Population, *, hasty: bool = False) -> Attempt:
    """Return what ``evaluator.attempt`` returns; TypeError if that is not an attempt at *population*."""
    found, faults = evaluator.attempt(population, hasty=hasty)
    name, expected = type(evaluator).__name__, (len(population), len(population.weights))
    values = as_floats(f"the values of {name}.attempt", found)
    if values.shape != expected:
        raise TypeError(f"{name}.attempt must return values of shape {expected}, got {values.shape}")
    rows = range(len(population))
    if not isinstance(faults, dict) or not all(row in rows and isinstance(it, Fault) for row, it in faults.items()):
        raise TypeError(f"{name}.attempt must return a Fault by row of the {len(rows)}, got {shown(faults)}")
    if not (hasty and faults) and np.count_nonzero(np.isfinite(values)) < values.size:
        for row in np.flatnonzero(~np.isfinite(values).all(axis=1)):
            faults = {int(row): Fault(f"returned {values[row]}, not finite,")} | faults
    return Attempt(values, faults)


def as_evaluator(evaluate: Evaluator | FitnessFunction) -> Evaluator:
    """Return *evaluate* itself, or :class:`InProcess` around a function; TypeError for anything else."""
    if isinstance(evaluate, Evaluator):
        return evaluate
    if not callable(evaluate):
        raise TypeError(f"evaluate must be callable, got {type(evaluate).__name__}")
    return InProcess(evaluate)


def _unknown(population: Population) -> Floats:
    return np.full((len(population), len(population.weights)), np.nan)


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # of the exception's own method
        return f"{type(error).__name__}, whose text cannot be shown"
