"""GeneticFeatureSelector: what it finds, its bounds and prices, and how it fits into scikit-learn."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genoevo import Stop
from genoevo_sklearn import GeneticFeatureSelector, choice


def selector(estimator=None, **settings):
    small = {"cv": 3, "population_size": 8, "generations": 4, "random_state": 0}
    return GeneticFeatureSelector(estimator or GaussianNB(), **{**small, **settings})


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that notes what its fit and its score got, in lists of the class."""

    fits, scores = [], []

    def fit(self, X, y, sample_weight=None):  # noqa: N803
        self.fits.append((X, None if sample_weight is None else list(sample_weight)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):  # noqa: N803
        return np.full(len(X), self.classes_[0])

    def score(self, X, y, sample_weight=None):  # noqa: N803
        self.scores.append(None if sample_weight is None else list(sample_weight))
        return 0.5


@pytest.fixture
def recorder():
    Recorder.fits, Recorder.scores = [], []
    return Recorder()


def test_it_selects_the_features_that_a_number_depends_on(numbers):
    found = selector(LinearRegression(), feature_cost=0.01, population_size=16, generations=12).fit(*numbers)
    assert found.get_support(indices=True).tolist() == [1, 4]
    assert found.n_features_ == 2
    assert found.transform(numbers[0]).tolist() == numbers[0][:, [1, 4]].tolist()


def test_scores_are_those_of_cross_val_score_on_the_subset(classes):
    x, y = classes
    found = selector().fit(x, y)
    results = found.cv_results_
    for row in (0, found.best_index_):
        scores = cross_val_score(GaussianNB(), x[:, results["support"][row]], y, cv=3)
        assert [results[f"split{split}_test_score"][row] for split in range(3)] == scores.tolist()
    assert found.best_score_ == results["mean_test_score"][found.best_index_] == results["mean_test_score"].max()
    assert results["rank_test_score"][found.best_index_] == 1


def test_every_subset_has_features_within_the_bounds_and_is_fitted_once(classes):
    found = selector(min_features=3, max_features=4, generations=8).fit(*classes)
    assert set(found.cv_results_["n_features"]) == {3, 4}
    masks = {mask.tobytes() for mask in found.cv_results_["support"]}
    assert len(masks) == found.n_candidates_ == len(found.cv_results_["support"])
    assert found.n_candidates_ + found.n_cached_ == found.logbook_[-1]["evaluations"]
    assert found.n_cached_ > 0


def test_repaired_subsets_prefer_no_feature(classes):
    found = selector(max_features=1, population_size=40, generations=6).fit(*classes)
    assert np.stack(found.cv_results_["support"]).any(axis=0).all()


def test_a_price_per_feature_decides_between_two_that_are_equal(numbers):
    x, y = numbers
    twins, prices = np.column_stack([x, x[:, 1]]), np.full(9, 0.001)
    for dear, cheap in ((1, 8), (8, 1)):
        price = prices.copy()
        price[dear] = 0.1
        found = selector(LinearRegression(), feature_cost=price, population_size=20, generations=15).fit(twins, y)
        assert found.support_[cheap]
        assert not found.support_[dear]


def test_a_pareto_front_has_no_row_that_another_dominates(classes):
    found = selector(pareto=True, population_size=12, generations=6).fit(*classes)
    front, results = found.pareto_front_, found.cv_results_
    cost, score = results["cost"][front], results["mean_test_score"][front]
    assert (np.diff(cost) > 0).all()
    assert (np.diff(score) > 0).all()
    for c, s in zip(results["cost"], results["mean_test_score"], strict=True):
        assert ((cost <= c) & (score >= s)).any()
    assert (results["cost"] == results["n_features"]).all()
    assert found.best_index_ == front[-1]


def test_the_choice_may_be_within_a_standard_error_or_a_function(numbers):
    settings = {"estimator": LinearRegression(), "pareto": True, "population_size": 16, "generations": 8}
    best, near = (selector(**settings, choice=choice).fit(*numbers) for choice in ("best", "one_standard_error"))
    last = selector(**settings, choice=lambda results: len(results["cost"]) - 1).fit(*numbers)
    results, error = best.cv_results_, best.cv_results_["std_test_score"][best.best_index_] / np.sqrt(2)
    allowed = results["mean_test_score"] >= best.best_score_ - error
    assert near.n_features_ == results["n_features"][allowed].min() < best.n_features_
    assert last.best_index_ == last.n_candidates_ - 1


def test_it_starts_from_given_subsets(classes):
    x, y = classes
    frame = pd.DataFrame(x, columns=[f"f{i}" for i in range(10)])
    mask = np.arange(10) < 3
    found = selector(initial_subsets=[mask, [4, 5], ["f7", "f0"]]).fit(frame, y)
    assert [np.flatnonzero(row).tolist() for row in found.cv_results_["support"][:3]] == [[0, 1, 2], [4, 5], [0, 7]]


def test_groups_reach_the_splitter_and_weights_the_fit_and_the_scorer(classes, recorder):
    x, y = classes
    groups, weights = np.arange(120) // 10, np.arange(120.0)
    found = selector(recorder, cv=GroupKFold(3), generations=1, population_size=2)
    found.fit(x, y, groups=groups, sample_weight=weights)
    assert found.n_splits_ == 3
    parts = [{int(weight) // 10 for weight in used} for _, used in Recorder.fits[:3]]
    tests = [{int(weight) // 10 for weight in used} for used in Recorder.scores[:3]]
    assert all(len(part) == 8 and not part & test for part, test in zip(parts, tests, strict=True))


def test_with_metadata_routing_everything_goes_where_it_was_requested(classes, recorder):
    x, y = classes
    weights, groups = np.arange(120.0), np.arange(120) // 10
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=False)
        own = recorder.set_fit_request(sample_weight="mine")
        found = selector(own, scoring=scorer, cv=GroupKFold(3), generations=1, population_size=2)
        found.fit(x, y, mine=weights, groups=groups)
        with pytest.raises(TypeError, match="other"):
            clone(found).fit(x, y, mine=weights, groups=groups, other=weights)
    parts = [{int(weight) // 10 for weight in used} for _, used in Recorder.fits[:3]]
    assert [len(part) for part in parts] == [8, 8, 8]


def test_splits_that_can_be_drawn_only_once_are_enough_with_metadata_routing(classes):
    once = iter(list(StratifiedKFold(3).split(*classes)))
    with sklearn.config_context(enable_metadata_routing=True):
        own = GaussianNB().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        found = selector(own, cv=once).fit(*classes, sample_weight=np.ones(120))
    assert found.n_splits_ == 3


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_missing_values_are_for_a_pipeline_to_judge(classes, kind):
    x, y = classes[0].copy(), classes[1]
    x[3, 2] = np.nan
    found = selector(make_pipeline(SimpleImputer(), GaussianNB())).fit(kind(x), y)
    assert len(found.transform(kind(x))) == len(x)
    with pytest.raises(ValueError, match="contains NaN"):
        selector(GaussianNB()).fit(kind(x), y)


def test_a_frame_of_types_that_no_array_can_hold_together_is_searched(classes):
    frame = pd.DataFrame(classes[0]).add_prefix("f").assign(day=pd.Timestamp("2026-01-01"))
    numbers = ColumnTransformer([("numbers", "passthrough", make_column_selector(dtype_include=float))])
    found = selector(make_pipeline(numbers, GaussianNB()), initial_subsets=[[0, 1]]).set_output(transform="pandas")
    assert found.fit(frame, classes[1]).transform(frame).shape == (120, found.n_features_)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_data_frame_stays_one_for_the_estimator_and_in_the_output(classes, recorder, frame):
    x, y = classes
    names = [f"f{i}" for i in range(10)]
    data = frame(dict(zip(names, x.T, strict=True)))
    output = "pandas" if frame is pd.DataFrame else "polars"
    found = selector(recorder, max_features=4).set_output(transform=output).fit(data, y)
    assert all(isinstance(used, frame) for used, _ in Recorder.fits)
    kept = [name for name, chosen in zip(names, found.support_, strict=True) if chosen]
    assert found.get_feature_names_out().tolist() == kept
    moved = found.transform(data)
    assert isinstance(moved, frame)
    assert list(moved.columns) == kept


def test_it_is_a_step_of_a_pipeline_with_other_steps_and_parameters(classes):
    x, y = classes
    pipeline = make_pipeline(StandardScaler(), selector(max_features=3), LogisticRegression())
    pipeline.set_params(geneticfeatureselector__estimator__var_smoothing=1e-8)
    assert pipeline.fit(x, y).score(x, y) > 0.9
    assert pipeline[-1].coef_.shape == (1, pipeline[1].n_features_)
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"x{i}" for i in pipeline[1].get_support(indices=True)]


def test_a_sparse_matrix_and_a_dense_one_give_the_same_search(numbers):
    x, y = numbers
    dense, sparse = (selector(LinearRegression()).fit(data, y) for data in (x, scipy.sparse.csr_array(x)))
    assert np.array_equal(*(np.stack(one.cv_results_["support"]) for one in (dense, sparse)))


def test_a_stop_ends_the_search_before(classes):
    found = selector(generations=50, stop=Stop(evaluations=16)).fit(*classes)
    assert (found.stop_reason_, found.n_generations_) == ("evaluations", 2)


class Fussy(GaussianNB):
    """A classifier that does not want the first feature."""

    def fit(self, X, y, sample_weight=None):  # noqa: N803
        if X.max() > 50:
            raise ValueError("I do not want this feature")
        return super().fit(X, y, sample_weight)


def with_bait(x):
    return np.column_stack([np.full(len(x), 99.0), x])


def test_a_subset_whose_fits_fail_is_never_selected_and_the_search_warns(classes):
    x, y = with_bait(classes[0]), classes[1]
    with pytest.warns(FitFailedWarning, match="I do not want"), pytest.warns(UserWarning, match="non-finite"):
        found = selector(Fussy()).fit(x, y)
    failed = np.isnan(found.cv_results_["mean_test_score"])
    assert (failed == np.stack(found.cv_results_["support"])[:, 0]).all()
    assert failed.any()
    assert not found.support_[0]


def test_failing_fits_have_the_score_of_the_user_or_raise(classes):
    x, y = with_bait(classes[0]), classes[1]
    with pytest.warns(FitFailedWarning):
        found = selector(Fussy(), error_score=-7).fit(x, y)
    assert found.cv_results_["mean_test_score"][np.stack(found.cv_results_["support"])[:, 0]].tolist()[0] == -7
    with pytest.raises(ValueError, match="I do not want this feature"):
        selector(Fussy(), error_score="raise").fit(x, y)
    with pytest.raises(ValueError, match=r"All the \d+ fits failed"):
        selector(Fussy()).fit(100 + x, y)


def test_without_prices_the_smaller_of_equal_subsets_and_a_front_over_their_sizes(classes):
    found = selector(population_size=20, generations=4).fit(*classes)
    results, front = found.cv_results_, found.pareto_front_
    score, size = results["mean_test_score"], results["n_features"]
    assert found.n_features_ == size[score == score.max()].min()
    assert len(front) > 1
    assert (np.diff(size[front]) > 0).all()
    assert (np.diff(score[front]) > 0).all()


@pytest.mark.parametrize(("rule", "row"), [("best", 1), ("one_standard_error", 3)])
def test_of_equally_cheap_subsets_that_with_the_fewest_features_is_chosen(rule, row):
    results = {
        "mean_test_score": np.array([0.91, 0.91, 0.8, 0.905, 0.904]),
        "std_test_score": np.full(5, 0.02),
        "n_features": np.array([6, 5, 1, 2, 2]),
        "cost": np.zeros(5),
    }
    assert choice.chosen(rule, results | {"fitness": results["mean_test_score"]}, splits=5) == row


def test_the_results_are_a_table(classes):
    found = selector().fit(*classes)
    table = pd.DataFrame(found.cv_results_)
    assert len(table) == found.n_candidates_
    assert table["support"][found.best_index_].tolist() == found.support_.tolist()
