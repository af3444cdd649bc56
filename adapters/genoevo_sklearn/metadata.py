"""Metadata, such as sample weights and groups, on their way to estimator, splitter and scorer."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction, signature
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import process_routing

from genoevo_sklearn._private import routing_enabled
from genoevo_sklearn.fits import Split


def routed(owner: Any, scorer: Any, params: Mapping[str, Any]) -> Bunch:
    """Return what ``estimator.fit``, ``splitter.split`` and ``scorer.score`` get of the *params* of ``owner.fit``.

    Without metadata routing groups go to the splitter and everything else to the estimator; a scorer that takes
    sample weights gets these, too.
    """
    if routing_enabled():
        found: Bunch = process_routing(owner, "fit", **params)
        return found
    fit = {name: value for name, value in params.items() if name != "groups"}
    weights = fit.get("sample_weight")
    score = {"sample_weight": weights} if weights is not None and _takes_weights(scorer) else {}
    split = {"groups": params.get("groups")}
    return Bunch(estimator=Bunch(fit=fit), splitter=Bunch(split=split), scorer=Bunch(score=score))


def _takes_weights(scorer: Any) -> bool:
    if hasattr(scorer, "_accept_sample_weight"):
        return bool(scorer._accept_sample_weight())
    # Scorers of earlier versions do not say what their metric takes, and nothing passes weights to them there.
    return isfunction(scorer) and "sample_weight" in signature(scorer).parameters


def splits_of(cv: Any, X: Any, y: Any, params: Mapping[str, Any]) -> list[Split]:  # noqa: N803
    """Return the rows for training and for the test of every split; ValueError if there is none."""
    splits = [(np.asarray(train), np.asarray(test)) for train, test in cv.split(X, y, **params)]
    if not splits:
        raise ValueError(f"cv must yield at least one split, got none from {cv}")
    return splits
