"""``cv_results_``: the columns that both searches have, as ``RandomizedSearchCV`` names them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from genoevo_sklearn.fits import Doubles


def columns_of(table: Doubles, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return means, standard deviations, splits and ranks of what was measured.

    Parameters
    ----------
    table
        (candidates, splits, columns) float64.
    names
        The name of each column, such as ``test_score`` and ``fit_time``.

    """
    results: dict[str, npt.NDArray[Any]] = {}
    for column, name in enumerate(names):
        values = table[:, :, column]
        with np.errstate(invalid="ignore"):  # the deviation of infinite scores
            results |= {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}
        if name.endswith("_time"):
            continue
        results |= {f"split{split}_{name}": values[:, split] for split in range(table.shape[1])}
        _warn_if_not_finite(name, results[f"mean_{name}"])
        if name.startswith("test_"):
            results[f"rank_{name}"] = ranks(results[f"mean_{name}"])
    return results


def ranks(scores: Doubles) -> npt.NDArray[np.int32]:
    """Return the rank of each score, (n,) int32: 1 for the highest, equals share the lowest; NaN ranks last."""
    if np.isnan(scores).all():
        return np.ones(len(scores), dtype=np.int32)
    known = np.where(np.isnan(scores), np.nanmin(scores) - 1, scores)
    return np.asarray(rankdata(-known, method="min"), dtype=np.int32)


def _warn_if_not_finite(name: str, means: Doubles) -> None:
    if not np.isfinite(means).all():
        kind = name.partition("_")[0]
        warnings.warn(f"One or more of the {kind} scores are non-finite: {means}", UserWarning, stacklevel=4)


def columns_of_parameters(candidates: Sequence[dict[str, Any]]) -> dict[str, np.ma.MaskedArray[Any, Any]]:
    """Return ``param_NAME`` for each parameter, (n,) objects, masked for a candidate that does not have it."""
    results: dict[str, np.ma.MaskedArray[Any, Any]] = {}
    for row, parameters in enumerate(candidates):
        for name, value in parameters.items():
            empty = np.ma.MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
            column = results.setdefault(f"param_{name}", empty)
            column.mask[row] = False
            column.data[row] = value  # assigning to the array itself would take a tuple for an array
    return results
