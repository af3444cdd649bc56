"""The check of the data that features are selected from."""

from __future__ import annotations

from typing import Any

from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, validate_data

from genoevo_sklearn._private import output_config


def allows_nan(estimator: Any) -> bool:
    """Return whether missing values are left to *estimator*, which may contain one that imputes them.

    The tags of a pipeline do not tell what its first step takes. Its fits will.
    """
    contains = any(hasattr(one, "get_params") for one in estimator.get_params().values())
    return bool(get_tags(estimator).input_tags.allow_nan) or contains


def validated(selector: Any, X: Any, y: Any) -> tuple[Any, Any]:  # noqa: N803
    """Return the data of a selector's ``fit``; ValueError, TypeError for what is not allowed.

    A data frame keeps its types and names. Missing values are refused if ``transform`` would refuse them.
    """
    tags = get_tags(selector)
    if get_tags(selector.estimator).input_tags.pairwise:
        raise ValueError("X must have features to select from, but the estimator takes distances or a kernel matrix")
    settings = {"accept_sparse": "csr", "ensure_all_finite": not tags.input_tags.allow_nan}
    if hasattr(X, "columns"):
        unchanged = hasattr(X, "iloc") and output_config("transform", estimator=selector)["dense"] != "default"
        if not tags.input_tags.allow_nan and not unchanged:
            for name in X.columns:  # which may have types that no array can hold together
                check_array(X[[name]], dtype=None)
        settings = {"skip_check_array": True}
    if y is None and not tags.target_tags.required:
        return validate_data(selector, X, **settings), None
    if "skip_check_array" not in settings:
        settings["multi_output"] = True
    return validate_data(selector, X, y, **settings)
