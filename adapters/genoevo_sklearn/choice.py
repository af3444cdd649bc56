"""The choice of one subset among all that were fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from genoevo._check import shown
from genoevo_sklearn.fits import Doubles

Rule = Literal["best", "one_standard_error"] | Callable[[dict[str, Any]], int]
CHOICES = ("best", "one_standard_error")


def chosen(rule: Rule, results: dict[str, Any], splits: int) -> int:
    """Return the row of ``cv_results_`` that *rule* chooses; ValueError if no subset has a finite score.

    The rule of one standard error is of Breiman et al. 1984, Classification and regression trees.
    """
    if not np.isfinite(results["fitness"]).any():
        raise ValueError("no subset has a finite score: see error_score, and cv_results_ for each split")
    if callable(rule):
        row = rule(results)
        if not isinstance(row, int | np.integer) or not 0 <= row < len(results["cost"]):
            raise ValueError(f"choice must return a row of cv_results_, got {shown(row)}")
        return int(row)
    if rule == "best":
        fitness = _finite(results["fitness"])
        return _cheapest(results, fitness == fitness.max())
    score = _finite(results["mean_test_score"])
    best = int(score.argmax())
    error = results["std_test_score"][best] / np.sqrt(max(splits - 1, 1))
    return _cheapest(results, score >= score[best] - error)


def _cheapest(results: Mapping[str, Any], allowed: npt.NDArray[np.bool_]) -> int:
    rows = np.flatnonzero(allowed)
    order = -results["mean_test_score"][rows], results["n_features"][rows], results["cost"][rows]
    return int(rows[np.lexsort(order)[0]])


def pareto_front(score: Doubles, cost: Doubles) -> npt.NDArray[np.int64]:
    """Return the rows that no other dominates, cheapest first, (m,) int64; of equal rows the first."""
    front, highest = [], -np.inf
    for row in np.lexsort((-_finite(score), cost)):
        if score[row] > highest:
            front.append(row)
            highest = score[row]
    return np.array(front, dtype=np.int64)


def _finite(values: Doubles) -> Doubles:
    return np.where(np.isfinite(values), values, -np.inf)  # so that they are never chosen
