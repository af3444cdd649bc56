"""The page about a search: what it tells, and that a page that cannot be written loses nothing."""

import json
import re

import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from genoevo_sklearn import GeneticFeatureSelector, GeneticSearchCV, Integer
from tests.scikit_learn.workers import Interrupting, Layered

SMALL = {"cv": 2, "population_size": 4, "generations": 2, "random_state": 0}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "page.html"


def shallow(estimator, x, y):
    return -estimator.depth


def result_in(path):
    data = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1]
    return json.loads(data)["result"]


def test_the_page_has_the_best_parameters_by_name(classes, path):
    layers = [({"units": units, "rate": 1},) for units in (2, 3)]
    space = {"depth": Integer(1, 9), "width": [max, sum], "layers": layers}
    found = GeneticSearchCV(Layered(), space, scoring=shallow, report=path, **SMALL).fit(*classes)
    best, result = found.best_params_, result_in(path)
    text = str(best["width"])  # JSON has no functions
    assert result["decoded"] == {"depth": best["depth"], "width": text, "layers": [dict(best["layers"][0])]}
    assert "chosen" not in result


@pytest.mark.parametrize("names", [None, [f"f{place}" for place in range(10)]])
def test_the_page_has_the_names_of_the_features(classes, path, names):
    x, y = classes
    data = x if names is None else pd.DataFrame(x, columns=names)
    found = GeneticFeatureSelector(GaussianNB(), feature_cost=0.001, report=path, **SMALL).fit(data, y)
    assert result_in(path)["decoded"] == found.get_feature_names_out().tolist()


def test_a_candidate_that_is_chosen_in_place_of_the_best_is_on_the_page(classes, path):
    last = GeneticFeatureSelector(
        GaussianNB(), choice=lambda results: int(results["fitness"].argmin()), report=path, **SMALL
    ).fit(*classes)
    result = result_in(path)
    assert result["chosen"] == last.get_feature_names_out().tolist()
    assert result["decoded"] != result["chosen"]


@pytest.mark.parametrize("name", ["missing/page.html", "."])
def test_a_page_that_has_no_place_is_refused_before_the_first_fit(classes, tmp_path, monkeypatch, name):
    monkeypatch.setattr(Interrupting, "fits", 0)
    search = GeneticSearchCV(Interrupting(), {"depth": [1, 2]}, report=tmp_path / name, **SMALL)
    with pytest.raises(ValueError, match="report must be a file in a directory that exists, got"):
        search.fit(*classes)
    assert Interrupting.fits == 0
    with pytest.raises(TypeError, match="report must be a path, got 5"):
        search.set_params(report=5).fit(*classes)


@pytest.mark.parametrize(
    "search",
    [GeneticFeatureSelector(GaussianNB(), **SMALL), GeneticSearchCV(KNeighborsClassifier(), {"p": [1, 2]}, **SMALL)],
)
def test_a_page_that_cannot_be_written_loses_no_result(classes, path, monkeypatch, search):
    def full(path):
        raise OSError("the disk is full")

    monkeypatch.setattr("genoevo_sklearn.searching.replacing", full)
    search = clone(search).set_params(report=path)
    with pytest.raises(OSError, match="the disk is full"):
        search.fit(*classes)
    plain = clone(search).set_params(report=None).fit(*classes)
    assert search.best_score_ == plain.best_score_
    assert hasattr(search, "best_estimator_") == hasattr(plain, "best_estimator_")
