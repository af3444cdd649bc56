"""Where fitness is computed, and what happens where that fails.

An evaluator computes; :func:`evaluated` applies the evaluator's :class:`Failure` rule, the same for all of them.
Worker processes are in :mod:`genoevo.pools`.
"""

from genoevo.evaluation.fitness import (
    Action,
    Attempt,
    EvaluationError,
    Evaluator,
    Failure,
    Fault,
    FitnessFunction,
    InProcess,
    Vectorised,
    as_evaluator,
    evaluated,
)

__all__ = [
    "Action",
    "Attempt",
    "EvaluationError",
    "Evaluator",
    "Failure",
    "Fault",
    "FitnessFunction",
    "InProcess",
    "Vectorised",
    "as_evaluator",
    "evaluated",
]
