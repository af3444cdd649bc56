"""Searches by all algorithms, and how they are played by ask and tell."""

import numpy as np
import pytest

from genoevo import Population, Record
from genoevo.algorithms import LTGA, P3, FastGA, LambdaLambdaGA
from tests.engine.evolutions import ones

KINDS = {
    "fast-ga": (FastGA, {"offspring": 3}),
    "lambda-lambda-ga": (LambdaLambdaGA, {}),
    "ltga": (LTGA, {}),
    "ltga-one-size": (LTGA, {"interleaved": False}),
    "p3": (P3, {}),
    "p3-at-once": (P3, {"at_once": 5}),
}
each = pytest.mark.parametrize("name", KINDS)
RECORD = Record(hall_of_fame=3, lineage=True, cache=50)


def made(name, evaluate=None, size=20, start=None, **options):
    kind, settings = KINDS[name]
    if start is None:
        start = Population.random(4, size, np.random.default_rng(1))
    return kind(evaluate, start, seed=3, **settings, **options)


def played(search, times, function=ones):
    for _ in range(times):
        search.tell(function(search.ask()))
    return search
