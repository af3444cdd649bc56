"""The fits of a candidate: one model for each split, in this process or in a worker."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn import config_context, get_config
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from genoevo import Genotype, Population
from genoevo.evaluation import Attempt, Failure, Fault
from genoevo_sklearn._private import fit_and_score

Doubles = npt.NDArray[np.float64]
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

FIT_FAILED = "a fit failed"
"""The kind of a fault that says in JSON which fits of a candidate failed."""


class Candidates(Protocol):
    """The meaning of a genotype: a subset of the features, or parameters of the estimator."""

    def key(self, genotype: Genotype) -> Hashable:
        """Return what is equal for genotypes that mean the same candidate."""

    def applied(self, genotype: Genotype, X: Any) -> tuple[Any, dict[str, Any] | None]:  # noqa: N803
        """Return the data and the parameters of the estimator, None for its own."""


@dataclass(frozen=True, kw_only=True)
class Fits:
    """An evaluator of the engine that fits and scores candidates, a number of times each.

    The values of a candidate are for each split in turn: the test score of each metric, the training score of each if
    asked for, seconds of the fit, seconds of scoring. :attr:`width` is their number. A fit that fails has
    *error_score* for scores, and its traceback is in the fault of its candidate.

    Parameters
    ----------
    estimator, X, y
        What is fitted, unfitted itself, and the data.
    splits
        Rows for training and rows for the test, (n,) int64 each, of every split.
    scorer, metrics
        The scorer and the names of what it returns; ``("score",)`` if that is one number.
    candidates
        The meaning of genotypes.
    fit_params, score_params
        Metadata for the estimator's ``fit`` and for the scorer; what has a value per sample is split as the data.
    train_score
        Whether to score the training rows, too.
    error_score
        ``raise``, or the score of a fit that fails.
    threads
        The most threads that a fit may use for linear algebra; None for no limit.

    """

    estimator: Any
    X: Any
    y: Any
    splits: Sequence[Split]
    scorer: Any
    metrics: tuple[str, ...]
    candidates: Candidates
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    score_params: Mapping[str, Any] = field(default_factory=dict)
    train_score: bool = False
    error_score: float | str = np.nan
    threads: int | None = None
    failure: Failure = field(default_factory=Failure)
    # scikit-learn's settings belong to a thread: a worker would not have those of the one that searches.
    config: Mapping[str, Any] = field(default_factory=get_config)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a split's values, in order."""
        kinds = ("test", "train") if self.train_score else ("test",)
        return (*(f"{kind}_{metric}" for kind in kinds for metric in self.metrics), "fit_time", "score_time")

    @property
    def width(self) -> int:
        """The number of values of a candidate."""
        return len(self.splits) * len(self.columns)

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Fit and score every candidate, in order. *population* has as many objectives as :attr:`width`."""
        values, faults = np.full((len(population), self.width), np.nan), dict[int, Fault]()
        with config_context(**self.config), self._limits():
            for row, genotype in enumerate(population):
                try:
                    values[row], errors = self._measured(genotype)
                except Exception as error:  # of anybody's estimator, or with error_score="raise"
                    faults[row] = Fault(f"raised {type(error).__name__}: {error}", error)
                    if hasty:
                        break
                else:
                    if errors:
                        faults[row] = Fault(json.dumps(errors), None, FIT_FAILED)
        return Attempt(values, faults)

    def _limits(self) -> AbstractContextManager[object]:
        return nullcontext() if self.threads is None else threadpool_limits(self.threads)

    def _measured(self, genotype: Genotype) -> tuple[Doubles, dict[int, str]]:
        data, parameters = self.candidates.applied(genotype, self.X)
        rows, errors = [], {}
        for number, (train, test) in enumerate(self.splits):
            found = fit_and_score(
                clone(self.estimator),
                data,
                self.y,
                scorer=self.scorer,
                train=train,
                test=test,
                verbose=0,
                parameters=parameters,
                fit_params=dict(self.fit_params),
                score_params=dict(self.score_params),
                return_train_score=self.train_score,
                return_times=True,
                error_score=self.error_score,
            )
            if found["fit_error"] is not None:
                errors[number] = found["fit_error"]
            rows.append([*self._scores(found), found["fit_time"], found["score_time"]])
        return np.array(rows, dtype=np.float64).reshape(-1), errors

    def _scores(self, found: Mapping[str, Any]) -> list[float]:
        scores: list[float] = []
        for kind in ("test_scores", "train_scores") if self.train_score else ("test_scores",):
            given = found[kind]
            if isinstance(given, dict) and self.metrics == ("score",):
                hint = "GeneticSearchCV takes a dict of scorers"
                raise ValueError(f"scoring must return one number, got {sorted(given)}; {hint}")
            scores += [given[name] for name in self.metrics] if isinstance(given, dict) else [given]
        return scores
