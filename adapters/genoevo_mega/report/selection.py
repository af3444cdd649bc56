"""What selection did and what it found, as the page draws it. Shares are integers in thousandths."""

from __future__ import annotations

from typing import Any

import numpy as np

from genoevo_mega.experiments.selection import ERRORS
from genoevo_mega.report.rates import intervals
from genoevo_mega.report.reader import Log, LoggedRun
from genoevo_runs.arrays import Doubles, Ints

_FEWEST = 5  # comparisons of a window for a rate with an interval


def selection(log: Log, rule: str, starts: Ints) -> dict[str, Any] | None:
    """Return curves over the windows that begin at rounds *starts*, and the summary; None without genotypes.

    ``survival`` and ``wins`` have ``rate``, ``low`` and ``high``; ``overlap`` and ``correlation`` are means of each
    window. A curve without any value is null, and so is a window's value if it has none.
    """
    found = log.selection
    if found is None or not len(starts):
        return None
    windows = [slice(first, last) for first, last in zip(starts, [*starts[1:], log.rounds], strict=True)]
    # The first round chooses the first elites: nothing can survive it.
    counted = [found.survived[max(window.start, 1) : window.stop] for window in windows]
    cases = np.array([part.size for part in counted])
    return {
        "rule": rule,
        "size": found.size,
        "survival": _where(cases > 0, intervals(np.array([part.sum() for part in counted]), np.maximum(cases, 1))),
        "wins": _wins([found.wins[window] for window in windows]),
        "overlap": _means([found.overlap[window] for window in windows]),
        "correlation": _means([found.correlation[window] for window in windows]),
        "summary": found.summary(rule),
    }


def frontiers(run: LoggedRun) -> list[list[list[Any]]]:
    """Return the settled genotypes of each task: multiply-adds, success, its bounds, age, and whether the elite's.

    The estimates are those of the newest checkpoint; before the first one, of the round that recorded them.
    """
    found = run.info["frontier"] if run.info else None
    if found:
        return [[_point(one, one["multiply_adds"], one["estimate"]) for one in found[task]] for task in run.log.tasks]
    logged = run.log.frontier
    return [[_point(one, one["price"], one["success"]) for one in logged.get(task, [])] for task in run.log.tasks]


def warnings(parts: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each run of the page whose selection does no better than chance."""
    told = [(part["name"], part["selection"] and part["selection"]["summary"]["warning"]) for part in parts]
    return [f"Warning: {name}: {warning}." for name, warning in told if warning]


def _point(one: dict[str, Any], price: float, success: float) -> list[Any]:
    bounds = np.clip([success, success - ERRORS * one["error"], success + ERRORS * one["error"]], 0, 1)
    return [round(price), *(1000 * bounds).round().astype(int).tolist(), one["age"], one.get("elite", False)]


def _wins(windows: list[Doubles]) -> dict[str, list[int | None]] | None:
    known = [part[~np.isnan(part)] for part in windows]
    if not any(len(part) >= _FEWEST for part in known):
        return None
    means = np.array([part.mean() if len(part) >= _FEWEST else np.nan for part in known])
    errors = np.array([part.std(ddof=1) / len(part) ** 0.5 if len(part) >= _FEWEST else np.nan for part in known])
    bounds = {"rate": means, "low": means - ERRORS * errors, "high": means + ERRORS * errors}
    return {name: _thousandths(np.clip(values, 0, 1)) for name, values in bounds.items()}


def _means(windows: list[Doubles]) -> list[int | None] | None:
    known = [part[~np.isnan(part)] for part in windows]
    means = np.array([part.mean() if len(part) else np.nan for part in known])
    return None if np.isnan(means).all() else _thousandths(means)


def _thousandths(values: Doubles) -> list[int | None]:
    return [None if np.isnan(value) else round(1000 * value) for value in values.tolist()]


def _where(known: Any, rates: dict[str, list[int]]) -> dict[str, list[int | None]]:
    return {name: [v if k else None for v, k in zip(of, known, strict=True)] for name, of in rates.items()}
