"""GeneticSearchCV: as RandomizedSearchCV, with conditions and lists of layers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, RandomizedSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from genoevo import Population, Survival
from genoevo.operators import Operators
from genoevo_sklearn import Categorical, Choice, Float, GeneticSearchCV, Graph, Integer, ListOf, Option

KNN = {"n_neighbors": Integer(1, 30), "weights": ["uniform", "distance"]}


def search(estimator=None, space=None, **settings):
    small = {"cv": 3, "population_size": 6, "generations": 3, "random_state": 0}
    return GeneticSearchCV(estimator or KNeighborsClassifier(), space or KNN, **{**small, **settings})


class Layers(ClassifierMixin, BaseEstimator):
    """A classifier whose score is highest for the layers (3, 2, 1), and that needs no data."""

    def __init__(self, layers=(), graph=()):
        self.layers, self.graph = layers, graph

    def fit(self, X, y):  # noqa: N803
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):  # noqa: N803
        wanted = (3, 2, 1)
        return sum(a == b for a, b in zip(self.layers, wanted, strict=False)) - abs(len(self.layers) - 3)


def test_results_have_the_columns_and_the_scores_of_randomized_search(classes):
    x, y = classes
    found = search(return_train_score=True).fit(x, y)
    distributions = {"n_neighbors": range(1, 31), "weights": ["uniform", "distance"]}
    theirs = RandomizedSearchCV(KNeighborsClassifier(), distributions, n_iter=5, cv=3, return_train_score=True)
    assert set(found.cv_results_) == set(theirs.fit(x, y).cv_results_)
    for params, score in zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True):
        assert score == cross_val_score(KNeighborsClassifier(**params), x, y, cv=3).mean()
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert found.best_score_ == found.cv_results_["mean_test_score"].max()


def test_the_best_is_refit_to_all_data_and_predicts(classes):
    x, y = classes
    frame = pd.DataFrame(x, columns=list("abcdefghij"))
    found = search().fit(frame, y)
    alone = KNeighborsClassifier(**found.best_params_).fit(frame, y)
    assert found.predict(frame).tolist() == alone.predict(frame).tolist()
    assert found.predict_proba(frame).tolist() == alone.predict_proba(frame).tolist()
    assert found.score(frame, y) == alone.score(frame, y)
    assert found.classes_.tolist() == [0, 1]
    assert (found.n_features_in_, found.feature_names_in_.tolist()) == (10, list("abcdefghij"))
    assert found.refit_time_ > 0


def test_without_refit_there_is_a_best_row_and_no_estimator(classes):
    found = search(refit=False).fit(*classes)
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert not hasattr(found, "best_estimator_")
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        found.predict(classes[0])


def test_refit_may_choose_a_row_itself(classes):
    found = search(refit=lambda results: 2).fit(*classes)
    assert found.best_index_ == 2
    assert found.best_estimator_.n_neighbors == found.cv_results_["params"][2]["n_neighbors"]


def test_of_several_scores_refit_names_the_one_that_is_maximised(classes):
    found = search(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(*classes)
    assert found.multimetric_
    assert found.best_score_ == found.cv_results_["mean_test_neg_log_loss"].max()
    assert found.logbook_[-1]["best"] == found.best_score_
    assert found.cv_results_["rank_test_accuracy"].min() == 1
    for refit in (False, lambda results: 0):
        with pytest.raises(ValueError, match="refit must name the score to maximise, one of accuracy, f1"):
            search(scoring=["accuracy", "f1"], refit=refit).fit(*classes)


def test_a_function_that_returns_several_scores_is_refused(classes):
    with pytest.raises(ValueError, match=r"scoring must return one number, got \['a', 'b'\]"):
        search(scoring=lambda estimator, x, y: {"a": 1.0, "b": 2.0}).fit(*classes)


def test_it_finds_the_layers_with_the_highest_score(classes):
    space = {"layers": ListOf(Integer(0, 3), 1, 6)}
    found = search(Layers(), space, cv=2, population_size=20, generations=25).fit(*classes)
    assert found.best_params_ == {"layers": (3, 2, 1)}
    assert found.best_estimator_.layers == (3, 2, 1)
    assert {len(params["layers"]) for params in found.cv_results_["params"]} == {1, 2, 3, 4, 5, 6}
    assert found.cv_results_["param_layers"][0] == found.cv_results_["params"][0]["layers"]


def test_layers_with_parameters_of_their_own_beside_a_graph_or_plain_values(classes):
    element = {"units": Integer(1, 4), "kind": Categorical(["relu", "tanh"])}
    for name, structure in (("layers", ListOf(element, 1, 3)), ("graph", Graph(1, 3))):
        space = {name: structure, "layers" if name == "graph" else "graph": [(), (1,)]}
        found = search(Layers(), space, scoring=lambda *given: 0.0, cv=2, population_size=12).fit(*classes)
        assert {len(params[name]) for params in found.cv_results_["params"]} == {1, 2, 3}
        assert {params["layers" if name == "graph" else "graph"] for params in found.cv_results_["params"]} == {
            (),
            (1,),
        }


def test_equal_parameters_are_fitted_once_however_they_are_encoded(classes):
    found = search(space={"n_neighbors": Integer(1, 3)}, population_size=12, generations=6).fit(*classes)
    assert sorted(params["n_neighbors"] for params in found.cv_results_["params"]) == [1, 2, 3]
    assert found.n_candidates_ == 3
    assert found.n_cached_ == found.logbook_[-1]["evaluations"] - 3


def test_estimators_are_options_with_parameters_of_their_own(classes):
    x, y = classes
    options = [
        Option(KNeighborsClassifier(), {"model__n_neighbors": Integer(1, 9)}),
        Option(DecisionTreeClassifier(random_state=0), {"model__max_depth": Integer(1, 4)}),
        GaussianNB(),
    ]
    pipeline = Pipeline([("model", DummyClassifier())])
    found = search(pipeline, {"model": Choice(options)}, population_size=12).fit(x, y)
    kinds = [type(model) for model in found.cv_results_["param_model"]]
    assert set(kinds) == {KNeighborsClassifier, DecisionTreeClassifier, GaussianNB}
    hidden = found.cv_results_["param_model__n_neighbors"].mask
    assert hidden.tolist() == [kind is not KNeighborsClassifier for kind in kinds]
    own = {name: value for name, value in found.best_params_.items() if name != "model"}
    assert own.items() <= found.best_estimator_.get_params().items()


def test_fits_that_fail_have_error_score_and_lose(classes):
    space = {"C": [-1.0, 0.5, 1.0]}
    with pytest.warns(FitFailedWarning, match="fits failed"), pytest.warns(UserWarning, match="non-finite"):
        found = search(LogisticRegression(), space, population_size=8).fit(*classes)
    assert found.best_params_["C"] > 0
    failed = np.array([params["C"] < 0 for params in found.cv_results_["params"]])
    assert np.isnan(found.cv_results_["mean_test_score"][failed]).all()
    assert found.cv_results_["rank_test_score"][failed].tolist() == [3]
    with pytest.raises(ValueError, match="'C' parameter"):
        search(LogisticRegression(), space, population_size=8, error_score="raise").fit(*classes)


def test_a_parameter_that_the_estimator_does_not_have_is_an_error_whatever_error_score(classes):
    with pytest.raises(ValueError, match="Invalid parameter 'neighbours'"):
        search(space={"neighbours": Integer(1, 3)}).fit(*classes)


def test_groups_and_weights_reach_where_they_belong(numbers):
    x, y = numbers
    groups = np.arange(60) // 6
    found = search(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)}, cv=GroupKFold(5))
    weighted = clone(found).fit(x, y, groups=groups, sample_weight=np.linspace(0, 1, 60))
    assert weighted.n_splits_ == 5
    plain = found.fit(x, y, groups=groups)
    assert weighted.best_estimator_.coef_.tolist() != plain.best_estimator_.coef_.tolist()
    alone = Ridge(**weighted.best_params_).fit(x, y, np.linspace(0, 1, 60))
    assert weighted.best_estimator_.coef_.tolist() == alone.coef_.tolist()


def test_rules_of_the_engine_can_be_given(classes):
    found = search(survival=Survival(strategy="steady", offspring=2), generations=5).fit(*classes)
    assert [record["evaluations"] for record in found.logbook_] == [6, 8, 10, 12, 14]


def test_an_estimator_that_needs_no_target_is_searched_by_its_own_score(classes):
    from sklearn.mixture import GaussianMixture

    found = search(GaussianMixture(random_state=0), {"n_components": Integer(1, 3)}).fit(classes[0])
    assert found.best_params_["n_components"] in (1, 2, 3)
    assert found.predict(classes[0]).shape == (120,)


TWO = {"scoring": ["accuracy", "recall"], "generations": 2}


@pytest.mark.parametrize("refit", [False, "accuracy", lambda results: 3])
def test_the_search_maximises_its_objective_and_refits_what_refit_says(classes, refit):
    found = search(**TWO, refit=refit, objective="recall").fit(*classes)
    best = [record["best"] for record in found.logbook_][-1]
    assert best == pytest.approx(found.cv_results_["mean_test_recall"].max())
    if callable(refit):
        assert found.best_index_ == 3
    else:
        by = refit or "recall"
        assert found.best_index_ == found.cv_results_[f"rank_test_{by}"].argmin()
        assert found.best_score_ == found.cv_results_[f"mean_test_{by}"].max()
    assert hasattr(found, "best_estimator_") == bool(refit)


def test_an_objective_must_be_a_score(classes):
    with pytest.raises(ValueError, match="objective must be one of"):
        search(**TWO, refit=False, objective="f1").fit(*classes)
    with pytest.raises(ValueError, match="objective or refit must name the score"):
        search(**TWO, refit=False).fit(*classes)
    with pytest.raises(ValueError, match="objective names one of several scores, but there is one"):
        search(objective="accuracy").fit(*classes)


def test_with_metadata_routing_groups_and_weights_go_where_they_were_requested(numbers):
    x, y = numbers
    groups, weights = np.arange(60) // 6, np.linspace(0, 1, 60)
    space = {"alpha": Float(1e-3, 1e3, log=True)}
    with sklearn.config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        found = search(ridge, space, cv=GroupKFold(5)).fit(x, y, groups=groups, sample_weight=weights)
        with pytest.raises(TypeError, match="other"):
            clone(found).fit(x, y, groups=groups, sample_weight=weights, other=weights)
    assert found.n_splits_ == 5
    alone = Ridge(**found.best_params_).fit(x, y, weights)
    assert found.best_estimator_.coef_.tolist() == alone.coef_.tolist()


def test_a_polars_frame_gives_what_an_array_gives(classes, tmp_path):
    x, y = classes
    frame = pl.DataFrame({f"f{i}": column for i, column in enumerate(x.T)})
    saved = {"checkpoint": tmp_path / "search.npz"}
    found, plain = search(**saved).fit(frame, y), search().fit(x, y)
    assert found.best_params_ == plain.best_params_
    assert found.feature_names_in_.tolist() == frame.columns
    assert search(**saved, generations=4).fit(frame, y).n_generations_ == 4


@pytest.mark.parametrize(
    "space",
    [
        {"alpha": Integer(1, 3), "kind": Choice([Option("a", {"alpha": Integer(1, 9)}), "b"])},
        {"kind": Choice([Option("a", {"kind": Integer(1, 9)}), "b"])},
        {name: Choice([Option("a", {"alpha": [1, 2]}), "b"]) for name in ("one", "two")},
    ],
    ids=["a parameter and an option's", "a choice and its option's", "options of two choices"],
)
def test_a_parameter_that_is_set_twice_is_named(classes, space):
    with pytest.raises(ValueError, match=r"each parameter once, got '(alpha|kind)' again in '(kind|two)'"):
        search(space=space).fit(*classes)


def test_options_of_one_choice_may_set_the_same_parameter(classes):
    space = {"weights": Choice([Option(name, {"n_neighbors": Integer(1, 9)}) for name in ("uniform", "distance")])}
    assert set(search(space=space).fit(*classes).best_params_) == {"weights", "n_neighbors"}


def longer(first, second, rng):
    """The genes of both parents."""
    return Population.from_genotypes([[*a, *b] for a, b in zip(first, second, strict=True)], first.weights)


def test_an_own_operator_that_leaves_the_bounds_of_a_list_is_told(classes):
    space = {"layers": ListOf(Integer(1, 3), 2, 3)}
    with pytest.raises(ValueError, match=r"elements of the ListOf must be 2 to 3, got .: an own operator"):
        search(Layers(), space, operators=Operators(crossover=longer)).fit(*classes)
