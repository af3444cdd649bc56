"""Searches that start from known parameters: the inverse of decoding, and what is refused."""

from copy import deepcopy
from enum import Enum

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from genoevo_sklearn import Categorical, Choice, Float, GeneticSearchCV, Graph, Integer, ListOf, Option, Space


class Kernel(Enum):
    LINE = 1
    CURVE = 2


OPTIONS = Choice([Option("tree", {"depth": Integer(1, 9)}), Option("line", {"slope": Float(1, 5)}), "none"])
OPTIONS_OF = {"kind": OPTIONS}
TWICE = ListOf(Integer(1, 30), 1, 3)
SPACES = {
    "values": {"a": Integer(1, 90), "b": Integer(1, 900, log=True), "c": Float(0.01, 9, log=True), "d": Float(-3, 2)},
    "categories": {"a": ["x", None, 2.5], "b": Categorical([True, 1, "y"]), "c": {"inner": Integer(0, 3)}},
    "choice": {"kind": OPTIONS, "other": [1, 2]},
    "choice in a choice": {"kind": Choice([Option("a", {"kind__of": OPTIONS}), Option("b", {"x": Integer(1, 2)})])},
    "list": {"size": Integer(1, 5), "layers": ListOf({"kind": OPTIONS, "rate": Float(0, 1)}, 1, 4)},
    "plain list": {"layers": ListOf(Integer(1, 300), 2, 3)},
    "list of an option": {"kind": Choice([Option("a", {"layers": ListOf(Choice(["x", "y"]), 1, 3)}), "b"])},
    "lists": {"a": ListOf(OPTIONS_OF, 0, 3), "b": ListOf(Integer(1, 9), 1, 3), "c": ListOf([1, 2], 2, 2)},
    "list of lists": {"a": ListOf({"b": ListOf(OPTIONS_OF, 1, 3), "c": [1, 2]}, 1, 2)},
    "one list twice": {"a": TWICE, "b": TWICE},
    "lists of options": {"kind": Choice([Option("a", {"x": TWICE}), Option("b", {"y": TWICE, "z": [1, 2]})])},
    "list beside a graph": {"list": TWICE, "graph": Graph(1, 3)},
    "one list in elements, too": {"a": ListOf({"x": TWICE}, 0, 2), "b": TWICE},
    "options of one value": {"k": Choice([Option("r", {"g": Float(0.1, 1)}), Option("r", {"g": ["up", "down"]})])},
    "types": {"a": [1, 1.0, True], "b": [Kernel.LINE, Kernel.CURVE], "c": Choice([Kernel.LINE, Kernel.CURVE])},
    "graph": {"x": Integer(1, 4), "graph": Graph(1, 5)},
    "graph alone": {"graph": Graph(2, 4, precision=3)},
    "graph of an option": {"kind": Choice([Option("a", {"graph": Graph(1, 3)}), "b"])},
}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("coding", ["gray", "binary"])
@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("name", SPACES)
def test_what_a_genotype_means_is_encoded_in_one_that_means_the_same(name, bits, coding, rng):
    space = Space(SPACES[name], bits=bits, coding=coding)
    for genotype in space.start(30, rng):
        wanted = space.decoded(genotype)
        found = space.decoded(space.encoded("these", wanted.value, rng))
        assert (repr(found.value), found.key) == (repr(wanted.value), wanted.key)


@pytest.mark.parametrize(
    ("options", "given", "place"),
    [
        ([LogisticRegression(), LogisticRegression(C=2), KNeighborsClassifier()], LogisticRegression(C=2), 1),
        ([np.arange(3), np.arange(4)], np.arange(4), 1),
        ([1, 1.0], 1.0, 1),
        ([True, 1], np.True_, 0),
        (["x", "y"], np.str_("y"), 1),
        ([None, "y"], None, 0),
    ],
)
def test_an_option_is_found_by_what_it_is(options, given, place, rng):
    space = Space({"a": options, "b": Choice([*options[:-1], Option(options[-1], {"c": Integer(1, 2)})])})
    also = {"c": 2} if place == len(options) - 1 else {}
    genotype = space.encoded("these", deepcopy({"a": given, "b": given} | also), rng)
    value = space.decoded(genotype).value
    assert value["a"] is value["b"] is options[place]


def test_a_number_becomes_the_nearest_that_its_genes_can_tell_apart(rng):
    for dimension, given, nearest in (
        (Float(0, 7), 3.4, 3.0),
        (Float(0, 7), 3.6, 4.0),
        (Float(1, 128, log=True), 5, 4),
    ):
        space = Space({"x": dimension}, bits=3)
        found = space.decoded(space.encoded("these", {"x": given}, rng)).value["x"]
        assert found == pytest.approx(nearest)


def test_genes_of_options_that_are_not_chosen_are_random(rng):
    space = Space({"kind": OPTIONS})
    found = {str(space.encoded("these", {"kind": "none"}, rng)) for _ in range(20)}
    assert len(found) > 10


SEARCH = GeneticSearchCV(
    KNeighborsClassifier(), {"n_neighbors": Integer(1, 60)}, cv=3, population_size=6, generations=2, random_state=1
)


def test_a_search_over_estimators_can_be_cloned_with_what_it_starts_from(classes):
    space = {"estimator": Choice([Option(LogisticRegression(), {"estimator__C": Float(0.1, 9)}), GaussianNB()])}
    search = GeneticSearchCV(
        Pipeline([("estimator", GaussianNB())]), space, cv=2, population_size=2, generations=1, random_state=0
    )
    first = search.fit(*classes)
    again = clone(search.set_params(initial_parameters=first.cv_results_["params"])).fit(*classes)
    assert repr(again.cv_results_["params"]) == repr(first.cv_results_["params"])


def test_a_search_begins_with_the_given_parameters_and_draws_the_others_as_ever(classes):
    plain = clone(SEARCH).fit(*classes)
    found = clone(SEARCH).set_params(initial_parameters=[{"n_neighbors": 60}, {"n_neighbors": np.int64(1)}])
    found.fit(*classes)
    assert [one["n_neighbors"] for one in found.cv_results_["params"][:2]] == [60, 1]
    assert found.cv_results_["params"][2] == plain.cv_results_["params"][2]


def test_the_best_parameters_of_a_search_can_start_another(classes):
    space = {"C": Float(1e-3, 1e3, log=True), "fit_intercept": [True, False]}
    settings = {"cv": 3, "population_size": 4, "random_state": 2}
    first = GeneticSearchCV(LogisticRegression(), space, generations=3, **settings).fit(*classes)
    second = GeneticSearchCV(
        LogisticRegression(), space, generations=1, initial_parameters=[first.best_params_], **settings
    ).fit(*classes)
    assert second.cv_results_["params"][0] == first.best_params_
    assert second.best_score_ >= first.best_score_


def test_a_checkpoint_refuses_other_initial_parameters(classes, tmp_path):
    saved = clone(SEARCH).set_params(checkpoint=tmp_path / "search.npz", initial_parameters=[{"n_neighbors": 5}])
    saved.fit(*classes)
    clone(saved).set_params(generations=3).fit(*classes)
    clone(saved).set_params(initial_parameters=({"n_neighbors": np.int64(5)},)).fit(*classes)
    for other in ([{"n_neighbors": 6}], None):
        with pytest.raises(ValueError, match="initial_parameters"):
            clone(saved).set_params(initial_parameters=other).fit(*classes)


NEURAL = {"kind": OPTIONS, "layers": ListOf(Integer(1, 9), 1, 2), "act": ["relu", "tanh"]}
GOOD = {"kind": "tree", "depth": 3, "layers": [4], "act": "relu"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act": "gelu"}, r"initial_parameters\[0\]\['act'\] must be one of \['relu', 'tanh'\], got 'gelu'"),
        ({"kind": "bush"}, r"\['kind'\] must be one of \['tree', 'line', 'none'\], got 'bush'"),
        ({"depth": 10}, r"\['depth'\] must be from 1 to 9, got 10"),
        ({"depth": True}, r"\['depth'\] must be from 1 to 9, got True"),
        ({"depth": float("nan")}, r"\['depth'\] must be from 1 to 9, got nan"),
        ({"layers": [4, 4, 4]}, r"\['layers'\] must be a list of 1 to 2 elements, got \[4, 4, 4\]"),
        ({"layers": 4}, r"\['layers'\] must be a list of 1 to 2 elements, got 4"),
        ({"layers": [0]}, r"\['layers'\]\[0\] must be from 1 to 9, got 0"),
        ({"slope": 2.0}, r"initial_parameters\[0\] must have only kind, depth, layers, act, got 'slope'"),
        ({"kind": "line"}, r"initial_parameters\[0\] must have 'slope', got \{.*"),
    ],
)
def test_parameters_that_the_space_does_not_have_are_refused(change, message, classes):
    search = GeneticSearchCV(KNeighborsClassifier(), NEURAL, initial_parameters=[GOOD | change])
    with pytest.raises(ValueError, match=message):
        search.fit(*classes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([(0, 1)], r"must have an entry for each of 2 to 4 nodes, got \[\(0, 1\)\]"),
        ([(0, 2), (0,)], r"\['graph'\]\[0\] must be numbers of nodes below 2, got \(0, 2\)"),
        ([([0],), (0,)], r"\['graph'\]\[0\] must be numbers of nodes below 2, got \(\[0\],\)"),
        ([(True,), (0,)], r"\['graph'\]\[0\] must be numbers of nodes below 2, got \(True,\)"),
        ([(0,), ()], r"\['graph'\]\[1\] must be numbers of nodes below 3, got \(\)"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(value, message, rng):
    with pytest.raises(ValueError, match=message):
        Space({"graph": Graph(2, 4)}).encoded("these", {"graph": value}, rng)


def test_weights_of_a_graph_cannot_be_given(rng):
    space = Space({"graph": Graph(2, 4, kind="sparse")})
    with pytest.raises(ValueError, match=r"these\['graph'\] cannot be given: .* kind 'sparse' are rounded"):
        space.encoded("these", {"graph": []}, rng)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_neighbors": 3}, r"a list of at most 6 \(population_size\) dicts, got \{'n_neighbors': 3\}"),
        ([{"n_neighbors": 3}] * 7, r"a list of at most 6 \(population_size\) dicts, got 7"),
        ([3], r"initial_parameters\[0\] must be a dict of parameters, got 3"),
    ],
)
def test_initial_parameters_must_be_a_list_of_few_dicts(given, message, classes):
    with pytest.raises(ValueError, match=message):
        clone(SEARCH).set_params(initial_parameters=given).fit(*classes)
