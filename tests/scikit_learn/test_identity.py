"""The text by which a checkpoint knows a setting."""

import copy
import os
import subprocess
import sys
from functools import lru_cache, partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from genoevo_sklearn import Categorical, Choice, Option
from genoevo_sklearn.identity import text_of


class Terse(GaussianNB):
    """A classifier whose repr leaves its parameters out."""

    def __repr__(self):
        return "Terse()"


class Foreign:
    """An estimator that is not derived from scikit-learn's."""

    def __init__(self, depth):
        self.depth = depth

    def get_params(self, deep=True):
        return {"depth": self.depth}


class Weighted:
    """A scorer with a setting."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, estimator, x, y):
        return self.weight


def scorer(weight, labels=("a", "b")):
    def score(estimator, x, y):
        return weight if y[0] in {"no", "yes"} else labels

    return score


def countdown(n):
    def below(k):
        return 0 if k == n else below(k - 1)

    return below


LONG = np.array([str(number) for number in range(2000)], dtype=object)
PAIRS = [
    (lambda e, x, y: 0.0, lambda e, x, y: 1.0),
    (lambda e, x, y: x, lambda e, x, y: y),
    (lambda e, x, y, weight=1: weight, lambda e, x, y, weight=2: weight),
    (scorer(1), scorer(2)),
    (scorer(1, np.arange(2000)), scorer(1, np.arange(2000)[::-1])),
    (scorer(1, np.array([len, 1])), scorer(1, np.array([len, 2]))),
    (countdown(1), countdown(2)),
    (lru_cache(scorer(1)), lru_cache(scorer(2))),
    (Weighted(1), Weighted(2)),
    (Weighted(1).__call__, Weighted(2).__call__),
    (make_scorer(lambda a, b: 0), make_scorer(lambda a, b: 1)),
    (make_scorer(f1_score), make_scorer(f1_score, average="macro")),
    ([scorer(1)], [scorer(2)]),
    ({"own": partial(scorer(1), y=3)}, {"own": partial(scorer(2), y=3)}),
    (FunctionTransformer(lambda x: x), FunctionTransformer(lambda x: -x)),
    (Pipeline([("t", FunctionTransformer(scorer(1)))]), Pipeline([("t", FunctionTransformer(scorer(2)))])),
    (Choice([Option(scorer(1)), "b"]), Choice([Option(scorer(2)), "b"])),
    (Terse(), Terse(var_smoothing=0.1)),
    (Pipeline([("t", Terse())]), Pipeline([("t", Terse(var_smoothing=0.1))])),
    (Foreign(1), Foreign(2)),
    (KMeans(init=np.zeros((60, 20))), KMeans(init=np.eye(60, 20))),
    (KMeans(init=np.full((2, 2), 0.1)), KMeans(init=np.full((2, 2), 0.1 + 1e-12))),
    (Foreign(pd.DataFrame({"a": range(99)})), Foreign(pd.DataFrame({"a": [*range(50), 0, *range(51, 99)]}))),
    (Foreign(csr_array(np.eye(3))), Foreign(csr_array(2 * np.eye(3)))),
    (Categorical([np.zeros(2000), "k-means++"]), Categorical([np.ones(2000), "k-means++"])),
    (OrdinalEncoder(categories=[LONG]), OrdinalEncoder(categories=[np.where(LONG == "1000", "x", LONG)])),
    (Foreign(torch.zeros(2)), Foreign(torch.ones(2))),
    (Foreign(pl.Series([1, 2])), Foreign(pl.Series([1.0, 2.0]))),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_differs_has_another_text(one, other):
    assert text_of(one) == text_of(one)
    assert text_of(one) != text_of(other)


@pytest.mark.parametrize("make", [scorer, countdown, Weighted, lambda n: make_scorer(scorer(n)), Foreign])
def test_equal_ones_have_the_same_text_wherever_they_are_in_memory(make):
    assert text_of(make(1)) == text_of(make(1))


def test_without_own_functions_the_text_is_the_repr_in_full():
    long = Pipeline([(f"step{i}", LogisticRegression(C=i + 0.5)) for i in range(40)])
    assert text_of(long) == BaseEstimator.__repr__(long, N_CHAR_MAX=10**9)
    for value in (None, "f1", np.log1p, make_scorer(f1_score), Weighted):
        assert text_of(value) == repr(value)
    assert text_of(SelectKBest()) == "SelectKBest()"
    assert text_of(f1_score) == "<function f1_score>"


def framed(columns):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    for name in columns:  # a block each
        frame[name] = [0.5, None]
    return frame


@pytest.mark.parametrize(
    "value",
    [KMeans(init=np.random.default_rng(0).random((99, 3))[::5]), Foreign(framed("bc")), Foreign(torch.ones(2))],
    ids=["slice", "frame", "tensor"],
)
def test_a_copy_has_the_same_text_however_it_lies_in_memory(value):
    assert text_of(copy.deepcopy(value)) == text_of(value)


def test_an_array_that_its_repr_shows_whole_has_the_repr_whatever_is_set_for_printing():
    value = GaussianNB(priors=np.array([0.25, 0.75]))
    text = text_of(value)
    assert text == BaseEstimator.__repr__(value, N_CHAR_MAX=10**9)
    with np.printoptions(precision=1, floatmode="fixed"):
        assert text_of(value) == text


def test_another_process_gives_the_same_text():
    code = "from tests.scikit_learn.test_identity import *; print(text_of([scorer(1), Weighted({'a', 'b', 'c'})]))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == text_of([scorer(1), Weighted({"a", "b", "c"})])
