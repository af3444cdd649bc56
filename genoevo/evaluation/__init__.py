"""Evaluators, which compute fitness, and the rule for evaluations that fail.

An evaluator computes; :func:`evaluated` applies its :class:`Failure` rule, in the same way for every evaluator.
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
    attempted,
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
    "attempted",
    "evaluated",
]
