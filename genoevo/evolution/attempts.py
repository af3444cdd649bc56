"""The evaluation of one generation: what is known already, why evaluations failed, and when that ends a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from genoevo.evaluation import Attempt, EvaluationError, Evaluator, Fault, attempted
from genoevo.evaluation.cache import Cache
from genoevo.population import Population

REASONS = "reasons"
"""The entry of a record of the log in which evaluations failed: how many failed for which reason."""
OTHERS = "other reasons"
_MOST = 20  # reasons of one record
_LONGEST = 200  # letters of a reason


def attempt(evaluator: Evaluator, cache: Cache | None, asked: Population) -> Attempt:
    """Evaluate the genotypes of *asked* that have no fitness yet, by *cache* if there is one."""
    compute = attempted if cache is None else cache.attempted
    known = asked.evaluated
    if not np.count_nonzero(known):
        return compute(evaluator, asked)
    values, faults = np.array(asked.fitness.reshape(len(asked), -1)), dict[int, Fault]()
    rows = np.flatnonzero(~known)
    if len(rows):
        values[rows], failed = compute(evaluator, asked[rows])
        faults = {int(rows[place]): fault for place, fault in failed.items()}
    return Attempt(values, faults)


def reasons_of(faults: Iterable[Fault]) -> dict[str, int]:
    """Count *faults* by reason, the most frequent first; at most 20 reasons and :data:`OTHERS`."""
    count = Counter(_reason(fault) for fault in faults)
    ordered = sorted(count.items(), key=lambda entry: (-entry[1], entry[0]))
    rest = sum(number for _, number in ordered[_MOST:])
    return dict(ordered[:_MOST]) | ({OTHERS: rest} if rest else {})


def _reason(fault: Fault) -> str:
    text = (fault.kind or fault.what).partition("\n")[0].removesuffix(",")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def total(log: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of failures for each reason in the records of *log*, the most frequent reason first."""
    count: Counter[str] = Counter()
    for record in log:
        count.update(record.get(REASONS, {}))
    return dict(sorted(count.items(), key=lambda entry: (-entry[1], entry[0])))


def check_limit(attempt: Attempt, asked: Population, log: list[dict[str, Any]], limit: int | None) -> None:
    """Raise EvaluationError if the limit of :class:`~genoevo.evaluation.Failure` is reached.

    *log* has the records of the generations before.
    """
    if limit is None or len(attempt.faults) < len(asked):
        return
    failed = len(asked) + _failed_in_a_row(log)
    if log and failed < limit:
        return
    refuse(attempt, asked, len(log) + 1, failed, always=not log)


def refuse(attempt: Attempt, asked: Population, generation: int, failed: int, *, always: bool) -> NoReturn:
    """Raise EvaluationError: all of *asked* failed, in *generation*, and so did the last *failed* evaluations.

    *always* says whether no evaluation has succeeded so far.
    """
    genotype = asked[min(attempt.faults)]
    why = "; ".join(f"{number} {reason}" for reason, number in reasons_of(attempt.faults.values()).items())
    last = "every evaluation failed" if always else f"the last {failed} evaluations failed"
    raise EvaluationError(
        f"generation {generation}: {last}. Of the last {len(asked)} genotypes, beginning with {genotype}: {why}. "
        f"Failure(limit=None) continues all the same",
        genotype,
    ) from attempt.faults[min(attempt.faults)].cause


def _failed_in_a_row(log: list[dict[str, Any]]) -> int:
    # Evaluations of the last generations in which none succeeded.
    count = 0
    for row in reversed(range(len(log))):
        before = log[row - 1]["evaluations"] if row else 0
        evaluated = log[row]["evaluations"] - before
        if log[row]["failed"] < evaluated:
            break
        count += evaluated
    return count
