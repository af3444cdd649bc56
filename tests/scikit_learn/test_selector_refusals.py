"""GeneticFeatureSelector: settings that it refuses, by name."""

import numpy as np
import pytest
from sklearn.svm import SVC

from tests.scikit_learn.test_selector import selector


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population_size": 1}, "population_size must be a whole number of at least 2, got 1"),
        ({"generations": 0}, "generations must be a whole number of at least 1, got 0"),
        ({"min_features": 5, "max_features": 4}, "min_features must be a whole number from 1 to 4, got 5"),
        ({"max_features": 11}, "max_features must be a whole number from 1 to 10, got 11"),
        ({"feature_cost": [1, 2]}, r"feature_cost must be a finite number, or one for each of 10, got \[1, 2\]"),
        ({"feature_cost": np.nan}, "feature_cost must be a finite number"),
        ({"choice": "worst"}, "choice must be one of best, one_standard_error, got 'worst'"),
        ({"choice": lambda results: -1}, "choice must return a row of cv_results_, got -1"),
        ({"pareto": 1}, "pareto must be True or False, got 1"),
        ({"pool": "threads"}, "pool must be one of processes, ray, got 'threads'"),
        ({"error_score": "ignore"}, "error_score must be 'raise' or a number, got 'ignore'"),
        ({"initial_subsets": [[True] * 3]}, r"initial_subsets\[0\] must be a mask of 10 features, got 3"),
        ({"initial_subsets": [[0, 10]]}, r"initial_subsets\[0\] must have numbers of features from 0 to 9"),
        ({"initial_subsets": [[1, 0, 1] + [0] * 7]}, r"initial_subsets\[0\] must name .* once .a mask must be bool"),
        ({"initial_subsets": 5}, "initial_subsets must be a list of subsets, got 5"),
        ({"return_train_score": "no"}, "return_train_score must be True or False, got 'no'"),
        ({"checkpoint": "nowhere/search.npz"}, "checkpoint must be a file in a directory that exists, got"),
        ({"initial_subsets": [["a"]]}, r"initial_subsets\[0\] names a feature that X does not have, 'a'"),
        ({"initial_subsets": [[0]] * 9}, r"at most 8 \(population_size\) subsets, got 9"),
        ({"estimator": SVC(kernel="precomputed")}, "takes distances or a kernel matrix"),
        ({"cv": []}, "cv must yield at least one split"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_by_name(classes, settings, message):
    with pytest.raises(ValueError, match=message):
        selector(**settings).fit(*classes)


def test_settings_of_a_wrong_type_are_refused_by_name(classes):
    with pytest.raises(TypeError, match="stop must be of type Stop, got 5"):
        selector(stop=5).fit(*classes)
    with pytest.raises(TypeError, match="pool must be one of processes, ray, or make a pool, got 5"):
        selector(pool=5).fit(*classes)
    with pytest.raises(TypeError, match="checkpoint must be a path, got 5"):
        selector(checkpoint=5).fit(*classes)


def test_a_given_subset_outside_the_bounds_is_named(classes):
    with pytest.raises(ValueError, match=r"initial_subsets\[1\] must have 1 to 3 features .*, got 4"):
        selector(max_features=3, initial_subsets=[[0], [1, 2, 3, 4]]).fit(*classes)


@pytest.mark.parametrize("scoring", [["accuracy", "f1"], {"a": "accuracy"}])
def test_several_scores_are_refused(classes, scoring):
    with pytest.raises(ValueError, match="scoring must be one score"):
        selector(scoring=scoring).fit(*classes)
