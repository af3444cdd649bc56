"""Searches of the estimators on a cluster of three nodes: the same as in one process."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from genoevo_sklearn import GeneticFeatureSelector, GeneticSearchCV, Integer

SMALL = {"cv": 3, "population_size": 6, "generations": 3, "random_state": 4}
SEARCHES = {
    "selector": GeneticFeatureSelector(GaussianNB(), feature_cost=0.01, **SMALL),
    "search": GeneticSearchCV(KNeighborsClassifier(), {"n_neighbors": Integer(1, 60)}, **SMALL),
}


def measured(found):
    results = {name: value for name, value in found.cv_results_.items() if "_time" not in name}
    return {name: np.asarray(list(value), dtype=object).tolist() for name, value in results.items()}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_on_three_nodes_is_the_one_in_this_process(three_nodes, name):
    data = make_classification(120, 10, n_informative=3, n_redundant=0, random_state=3)
    local = clone(SEARCHES[name]).fit(*data)
    found = clone(SEARCHES[name]).set_params(pool="ray", n_jobs=-1).fit(*data)
    assert measured(found) == measured(local)
    assert list(found.logbook_) == list(local.logbook_)
