"""Feature selection by a genetic algorithm."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from genoevo import Genotype, Selection, Stop, Survival
from genoevo._check import check_choice, check_flag, shown
from genoevo.operators import Operators, Reproduction, Variation
from genoevo_sklearn.choice import CHOICES, Rule, chosen, pareto_front
from genoevo_sklearn.inputs import allows_nan, validated
from genoevo_sklearn.results import columns_of
from genoevo_sklearn.searching import Search, Searching
from genoevo_sklearn.subsets import Mask, Subsets, masks_of, prices_of
from genoevo_sklearn.trials import Trials


class GeneticFeatureSelector(Searching, SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    """A transformer that selects features by a genetic algorithm over subsets, with any estimator.

    A genotype has one bit per feature [O]. A subset is worth the mean score of the estimator over the splits, less
    the prices of its features. Or the two are objectives of their own, for NSGA-II.

    Parameters
    ----------
    estimator
        A classifier, a regressor, or anything else that *scoring* can score. It is cloned for each fit.
    scoring
        As in ``cross_val_score``: the name of a score, a scorer, or None for the estimator's own score.
    cv
        As in ``cross_val_score``. The splits are drawn once, so that all subsets have the same.
    n_jobs
        Workers of the *pool*; None for 1, -1 for all cores.
    pool
        ``processes``, ``ray``, or a function that makes a pool as :class:`~genoevo.pools.ProcessPool` does, such as
        ``functools.partial(ProcessPool, timeout=60)``. One worker of ``processes`` is this process.
    feature_cost
        The score that a feature must be worth, one number or (n_features,) one per feature.
    pareto
        Whether the price is an objective of its own. *feature_cost* is then a price in any unit, and a single number
        counts the features.
    choice
        Which subset is selected. ``best``: the highest score less the price; with *pareto*, the highest score. Of
        equals the cheapest. ``one_standard_error``: the cheapest whose score is within a standard error of the
        highest score. Of equally cheap ones that with the fewest features. Or a function of ``cv_results_`` that
        returns a row.
    min_features, max_features
        The fewest and the most features; None for all. A genotype beyond them is repaired [O].
    initial_subsets
        Subsets to start from: masks of bool, or numbers or names of features. The others of the first generation are
        random.
    population_size, generations
        Subsets in a generation, and the number of generations.
    stop
        A :class:`~genoevo.Stop` that may end the search before.
    reproduction, selection, survival
        The rules of the engine. None for uniform crossover, tournaments of 2, and survival of the best of parents
        and children; with *pareto*, selection and survival of NSGA-II.
    operators
        Own crossover, mutation, selection, survival and repair, see :class:`~genoevo.operators.own.Operators`.
    variation
        Rates of mutation by feature, of exchange, and whether a genotype may occur twice, see
        :class:`~genoevo.operators.variation.Variation`; no frozen bits.
    random_state
        A seed, a ``numpy.random.RandomState``, or None.
    checkpoint
        A file to save the search to; if it exists, the search in it is resumed. More *generations* continue it.
    report
        An HTML file to write about the search, with the names of the features; None for none.
    verbose
        Above 0: show the progress.
    error_score
        The score of a fit that fails, or ``raise``.
    return_train_score
        Whether ``cv_results_`` has scores of the training rows.

    Attributes
    ----------
    support_ : numpy.ndarray
        (n_features,) bool: the selected features.
    n_features_ : int
        Their number.
    cv_results_ : dict
        Arrays with an entry for each subset that was fitted: ``support``, a mask (n_features,) of bool each,
        ``n_features``, ``cost``, ``fitness``, and what ``RandomizedSearchCV`` has: ``mean_test_score``,
        ``split0_test_score``, ...
    best_index_ : int
        The row of the selected subset.
    best_score_ : float
        Its mean score.
    pareto_front_ : numpy.ndarray
        Rows that no other row dominates in score and cost, cheapest first; without prices, in score and number of
        features.
    logbook_ : deap.tools.Logbook
        One record per generation, as in :class:`~genoevo.Evolution`.
    n_generations_, n_candidates_, n_cached_ : int
        Generations so far, subsets fitted, and genotypes whose subset was known already.
    stop_reason_ : str
        The reason for the end, as :meth:`genoevo.Evolution.run` gives it.
    n_splits_, n_features_in_, feature_names_in_
        As in other estimators of scikit-learn.

    """

    def __init__(
        self,
        estimator: Any,
        *,
        scoring: Any = None,
        cv: Any = None,
        n_jobs: int | None = None,
        pool: str | Callable[..., Any] = "processes",
        feature_cost: Any = 0.0,
        pareto: bool = False,
        choice: Rule = "best",
        min_features: int = 1,
        max_features: int | None = None,
        initial_subsets: Any = None,
        population_size: int = 30,
        generations: int = 20,
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
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.pool = pool
        self.feature_cost = feature_cost
        self.pareto = pareto
        self.choice = choice
        self.min_features = min_features
        self.max_features = max_features
        self.initial_subsets = initial_subsets
        self.population_size = population_size
        self.generations = generations
        self.stop = stop
        self.reproduction = reproduction
        self.selection = selection
        self.survival = survival
        self.operators = operators
        self.variation = variation
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.report = report
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score

    def fit(self, X: Any, y: Any = None, **params: Any) -> GeneticFeatureSelector:  # noqa: N803
        """Select features of *X*.

        Parameters
        ----------
        X
            (n_samples, n_features): an array, a sparse matrix, or a data frame, which the estimator gets as one.
        y
            (n_samples,) or (n_samples, n_outputs), or None for an estimator that needs none.
        **params
            Without metadata routing: ``groups`` for *cv*, and everything else for the estimator's ``fit``;
            ``sample_weight`` is also for a scorer that takes it. With metadata routing: what was requested.

        Raises
        ------
        ValueError, TypeError
            For a setting that is not allowed, for data that are not allowed, and if every fit fails.

        """
        self._check_settings()
        self._check_choice()
        if isinstance(self.scoring, list | tuple | set | dict):
            raise ValueError(f"scoring must be one score, got {shown(self.scoring)}")
        X, y = validated(self, X, y)  # noqa: N806
        scorer = check_scoring(self.estimator, scoring=self.scoring)
        prices = prices_of(self.feature_cost, self.n_features_in_, counted=self.pareto)
        subsets = Subsets(self.n_features_in_, self.min_features, self.max_features, prices)
        fits = self._fits(X, y, params, scorer=scorer, metrics=("score",), candidates=subsets)
        trials = Trials(fits, "score", self._objectives(subsets))
        ended = self._search(self._searched(trials, subsets))
        trials.report()
        self._keep_results(trials, subsets)
        self._write_page(ended)
        return self

    def _check_choice(self) -> None:
        check_flag("pareto", self.pareto)
        if not callable(self.choice):
            check_choice("choice", self.choice, CHOICES)

    def _objectives(self, subsets: Subsets) -> Callable[[Genotype, float], tuple[float, ...]]:
        if self.pareto:
            return lambda genotype, score: (score, subsets.price(genotype))
        return lambda genotype, score: (score - subsets.price(genotype),)

    def _searched(self, trials: Trials, subsets: Subsets) -> Search:
        reproduction = Reproduction() if self._replaces("crossover") else Reproduction(crossover="uniform")
        order = "nsga2" if self.pareto and not self._replaces("survival") else "best"
        names = getattr(self, "feature_names_in_", None)
        labels = np.array([f"x{place}" for place in range(subsets.features)] if names is None else names)
        given = masks_of(() if self.initial_subsets is None else self.initial_subsets, subsets.features, names)
        subsets.check(given)
        if len(given) > self.population_size:
            most, got = f"at most {self.population_size} (population_size)", len(given)
            raise ValueError(f"initial_subsets must be {most} subsets, got {got}")
        weights = (1.0, -1.0) if self.pareto else (1.0,)
        return Search(
            title="features",
            trials=trials,
            start=lambda rng: subsets.start(self.population_size, rng, given, weights),
            rules={
                "reproduction": self.reproduction or reproduction,
                "selection": self._selects("crowded" if self.pareto else "tournament"),
                "survival": self.survival or Survival(strategy="plus", method=order),
                **self._own(),
            },
            layout=subsets.layout,
            about={
                "features": [subsets.features, subsets.minimum, subsets.maximum],
                "feature_cost": subsets.prices,
                "pareto": self.pareto,
                "initial_subsets": [mask.tolist() for mask in given],
            },
            decode=lambda genotype: labels[subsets.mask(genotype)].tolist(),
            objectives=("score", "cost") if self.pareto else (),
            callbacks=[subsets.keep_repaired],
        )

    def _keep_results(self, trials: Trials, subsets: Subsets) -> None:
        masks = np.array([subsets.mask(genotype) for genotype in trials.genotypes])
        columns = columns_of(trials.table(), trials.fits.columns)
        cost = np.array([subsets.price(genotype) for genotype in trials.genotypes])
        score = columns["mean_test_score"]
        support = np.empty(len(masks), dtype=object)  # a column, so that all results are a table
        support[:] = list(masks)
        self.cv_results_ = {
            "support": support,
            "n_features": masks.sum(axis=1),
            "cost": cost,
            "fitness": score if self.pareto else score - cost,
            **columns,
        }
        self.pareto_front_ = pareto_front(score, cost if subsets.prices.any() else masks.sum(axis=1))
        self.best_index_ = chosen(self.choice, self.cv_results_, self.n_splits_)
        self.best_score_ = float(score[self.best_index_])
        self.support_: Mask = masks[self.best_index_]
        self.n_features_ = int(self.support_.sum())

    def _get_support_mask(self) -> Mask:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags.allow_nan = allows_nan(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing: ``fit`` to the estimator's ``fit``, the splitter's ``split`` and the scorer."""
        router = MetadataRouter(owner=self)
        router.add(estimator=self.estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        splitter = check_cv(self.cv, classifier=is_classifier(self.estimator))
        router.add(splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        scorer = check_scoring(self.estimator, scoring=self.scoring)
        router.add(scorer=scorer, method_mapping=MethodMapping().add(caller="fit", callee="score"))
        return router
