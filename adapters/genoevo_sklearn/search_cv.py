"""Search of parameters and architectures by a genetic algorithm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags, indexable

from genoevo import Selection, Stop, Survival
from genoevo._check import check_choice, shown
from genoevo.operators import Operators, Reproduction, Variation
from genoevo_runs.report.evolution import decoded
from genoevo_sklearn._private import BaseSearchCV
from genoevo_sklearn.identity import text_of
from genoevo_sklearn.results import columns_of, columns_of_parameters
from genoevo_sklearn.searching import Search, Searching
from genoevo_sklearn.space import Space
from genoevo_sklearn.space.codes import Coding
from genoevo_sklearn.trials import Trials


class GeneticSearchCV(Searching, BaseSearchCV):
    """A search of an estimator's parameters, or of its architecture, by a genetic algorithm.

    It is used as ``RandomizedSearchCV`` is. Different genotypes with the same parameters are fitted once.

    Parameters
    ----------
    estimator
        Any estimator. It is cloned for each fit.
    param_space
        A dimension for each parameter: :class:`Integer`, :class:`Float`, :class:`Categorical` or a list,
        :class:`Choice`, :class:`ListOf`, :class:`Graph`.
    scoring
        As in ``RandomizedSearchCV``, but a function returns one number.
    objective
        Of several scores, the name of the one that the search maximises; None for the one that *refit* names. As in
        ``RandomizedSearchCV``, *refit* must then be a name, a function or False.
    n_jobs
        Workers of the *pool*; None for 1, -1 for all cores.
    pool
        ``processes``, ``ray``, or a function that makes a pool as :class:`~genoevo.pools.ProcessPool` does. One
        worker of ``processes`` is this process.
    refit
        As in ``RandomizedSearchCV``: whether to fit the best parameters to all data, the name of a score, or a
        function of ``cv_results_`` that returns the row to refit.
    cv
        As in ``RandomizedSearchCV``. The splits are drawn once, so that all candidates have the same.
    coding
        ``gray``: neighbouring values differ in one bit (Gray code). ``binary``: plain binary numbers.
    bits
        Bits of a gene, 1 to 16; more if a dimension has more values. A Float has ``2**bits`` values.
    population_size, generations
        Candidates in a generation, and the number of generations.
    initial_parameters
        Parameters to start from: dicts as in ``best_params_``, at most *population_size*. The other candidates of
        the first generation are random. A number becomes the nearest that its genes can tell apart.
    stop
        A :class:`~genoevo.Stop` that may end the search before.
    reproduction, selection, survival
        The rules of the engine. None for uniform crossover of whole genes; tournaments of 2; and survival of the best
        of parents and children. If lengths vary, one child of five has an element inserted, deleted or duplicated, or
        a node more or less at the end of its graph.
    operators
        Own crossover, mutation, selection, survival and repair, see :class:`~genoevo.operators.own.Operators`.
    variation
        Rates of exchange, steps of ``creep``, and whether a genotype may occur twice, see
        :class:`~genoevo.operators.variation.Variation`; no frozen bits, and with a list or graph no rates by bit.
    random_state
        A seed, a ``numpy.random.RandomState``, or None.
    checkpoint
        A file to save the search to; if it exists, the search in it is resumed. More *generations* continue it.
    report
        An HTML file to write about the search, with the best parameters; None for none.
    verbose
        Above 0: show the progress.
    error_score
        The score of a fit that fails, or ``raise``.
    return_train_score
        Whether ``cv_results_`` has scores of the training rows.

    Attributes
    ----------
    cv_results_ : dict
        As in ``RandomizedSearchCV``, with a row for each candidate that was fitted.
    best_estimator_, best_params_, best_score_, best_index_
        As in ``RandomizedSearchCV``.
    scorer_, refit_time_, n_splits_, multimetric_, n_features_in_, feature_names_in_, classes_
        As in ``RandomizedSearchCV``.
    logbook_ : deap.tools.Logbook
        One record per generation, as in :class:`~genoevo.Evolution`.
    n_generations_, n_candidates_, n_cached_ : int
        Generations so far, candidates fitted, and genotypes whose candidate was known already.
    stop_reason_ : str
        The reason for the end, as :meth:`genoevo.Evolution.run` gives it.

    """

    def __init__(
        self,
        estimator: Any,
        param_space: Mapping[str, Any],
        *,
        scoring: Any = None,
        objective: str | None = None,
        n_jobs: int | None = None,
        pool: str | Callable[..., Any] = "processes",
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        cv: Any = None,
        coding: Coding = "gray",
        bits: int = 8,
        population_size: int = 20,
        generations: int = 10,
        initial_parameters: Sequence[Mapping[str, Any]] | None = None,
        stop: Stop | None = None,
        reproduction: Reproduction | None = None,
        selection: Selection | None = None,
        survival: Survival | None = None,
        operators: Operators | None = None,
        variation: Variation | None = None,
        random_state: Any = None,
        checkpoint: str | PathLike[str] | None = None,
        report: str | PathLike[str] | None = None,
        verbose: int = 0,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_space = param_space
        self.objective = objective
        self.pool = pool
        self.coding = coding
        self.bits = bits
        self.population_size = population_size
        self.generations = generations
        self.initial_parameters = initial_parameters
        self.stop = stop
        self.reproduction = reproduction
        self.selection = selection
        self.survival = survival
        self.operators = operators
        self.variation = variation
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.report = report

    def fit(self, X: Any, y: Any = None, **params: Any) -> GeneticSearchCV:  # noqa: N803
        """Search parameters for *X* and *y*, and refit the best.

        Parameters
        ----------
        X
            (n_samples, n_features), or whatever *estimator* takes.
        y
            (n_samples,) or (n_samples, n_outputs), or None.
        **params
            Without metadata routing: ``groups`` for *cv*, and everything else for the estimator's ``fit``;
            ``sample_weight`` is also for a scorer that takes it. With metadata routing: what was requested.

        Raises
        ------
        ValueError, TypeError
            For a setting that is not allowed, and if every fit fails.

        """
        self._check_settings()
        if y is None and self.__sklearn_tags__().target_tags.required:
            raise ValueError(f"{type(self.estimator).__name__} requires y to be passed, but the target y is None")
        space = Space(self.param_space, coding=self.coding, bits=self.bits)
        given = self._initial(space)
        scorer, metrics, metric = self._metrics()
        X, y = indexable(X, y)  # noqa: N806
        fits = self._fits(X, y, params, scorer=scorer, metrics=metrics, candidates=space)
        trials = Trials(fits, metric, lambda genotype, score: (score,))
        ended = self._search(self._searched(trials, space, given))
        trials.report()
        self._keep_results(trials, space, metric)
        self.scorer_ = getattr(scorer, "_scorers", scorer)
        if self.refit:
            self._refit(X, y, fits.fit_params)
        self._write_page(ended)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags = get_tags(self.estimator).target_tags
        tags.array_api_support = False  # nothing is tested with arrays other than numpy's
        return tags

    def _metrics(self) -> tuple[Any, tuple[str, ...], str]:
        """Return the scorer, the names of its scores, and the name of the one that is maximised."""
        scorer, metric = self._get_scorers()
        self.multimetric_ = hasattr(scorer, "_scorers")
        if not self.multimetric_:
            if self.objective is not None:
                raise ValueError(
                    f"objective names one of several scores, but there is one, got {self.objective!r:.80}"
                )
            return scorer, ("score",), "score"
        names = tuple(scorer._scorers)
        if self.objective is not None:
            check_choice("objective", self.objective, names)
            return scorer, names, self.objective
        if metric not in names:
            allowed = f"one of {', '.join(names)}"
            raise ValueError(f"objective or refit must name the score to maximise, {allowed}, got {metric!r:.80}")
        return scorer, names, metric

    def _initial(self, space: Space) -> list[Mapping[str, Any]]:
        """Return the parameters to start from, as the space has them; ValueError says which of them cannot be."""
        given = () if self.initial_parameters is None else self.initial_parameters
        if not isinstance(given, list | tuple) or len(given) > self.population_size:
            allowed = f"a list of at most {self.population_size} (population_size) dicts"
            got = f"{len(given)}" if isinstance(given, list | tuple) else shown(given)
            raise ValueError(f"initial_parameters must be {allowed}, got {got}")
        known = space.encoded_all("initial_parameters", given, np.random.default_rng(0))
        return [space.decoded(genotype).value for genotype in known]

    def _searched(self, trials: Trials, space: Space, given: list[Mapping[str, Any]]) -> Search:
        return Search(
            title="parameters",
            trials=trials,
            start=lambda rng: space.start(self.population_size, rng, given),
            rules={
                "reproduction": space.reproduction(self.reproduction, crosses=not self._replaces("crossover")),
                "selection": self._selects("tournament"),
                "survival": self.survival or Survival(strategy="plus"),
                **self._own(),
            },
            layout=space.layout,
            about={
                "space": text_of(space, within=self.param_space),
                "metric": trials.metric,
                "initial_parameters": text_of(given, within=self.param_space) if given else None,
            },
            decode=lambda genotype: {name: decoded(one) for name, one in space.decoded(genotype).value.items()},
        )

    def _keep_results(self, trials: Trials, space: Space, metric: str) -> None:
        candidates = [space.decoded(genotype).value for genotype in trials.genotypes]
        columns = columns_of(trials.table(), trials.fits.columns)
        self.cv_results_ = {**columns_of_parameters(candidates), "params": candidates, **columns}
        if isinstance(self.refit, str) and self.multimetric_:
            metric = self.refit  # the search may maximise another one
        self.best_index_ = int(self._select_best_index(self.refit, metric, self.cv_results_))
        if not callable(self.refit):
            self.best_score_ = float(columns[f"mean_test_{metric}"][self.best_index_])
        self.best_params_ = candidates[self.best_index_]

    def _refit(self, X: Any, y: Any, params: Mapping[str, Any]) -> None:  # noqa: N803
        self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        began = time.perf_counter()
        if y is None:
            self.best_estimator_.fit(X, **params)
        else:
            self.best_estimator_.fit(X, y, **params)
        self.refit_time_ = time.perf_counter() - began
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
