"""Numbers from outside, of Python, numpy and torch: taken as they are or refused."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from genoevo import Evolution, Population
from genoevo._numbers import as_floats


class Tensor:
    """A tensor of torch that requires a gradient: numpy cannot read it before it is detached."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return self

    def tolist(self):
        return self.values


class Broken:
    """An object of which nothing can be asked."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __array__(self, dtype=None, copy=None):
        raise KeyError("no array")


TAKEN = [
    (3, 3),
    (True, 1),
    (np.float32(0.5), 0.5),
    (np.array([2]), [2]),
    (10**20, 1e20),
    (Fraction(1, 4), 0.25),
    ([Decimal("1.5"), 2], [1.5, 2]),
    (Tensor(2.5), 2.5),
    ((Tensor(1.0), Tensor(2.0)), [1, 2]),
]


@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=lambda value: type(value).__name__)
def test_numbers_of_every_kind_are_taken(value, expected):
    assert as_floats("fitness", value).tolist() == expected


REFUSED = [
    "7",
    b"7",
    ["7", 1],
    None,
    [None, 1],
    1 + 2j,
    np.complex64(1),
    np.timedelta64(3, "s"),
    10**400,
    [10**400, 1],
]
REFUSED += [{1: 2}, Broken(), [[1], [2, 3]], np.datetime64("2020")]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_not_a_real_number_is_refused(value):
    with pytest.raises(ValueError, match="fitness must be numbers, got "):
        as_floats("fitness", value)


def test_a_masked_number_is_missing():
    assert np.isnan(as_floats("fitness", np.ma.array([1, 2], mask=[True, False]))).tolist() == [True, False]


def test_tell_refuses_text_that_looks_like_numbers(rng):
    evolution = Evolution(None, Population.random(2, 5, rng), seed=1)
    evolution.ask()
    with pytest.raises(ValueError, match=r"fitness must be numbers, got \['1', '2'\]"):
        evolution.tell(["1", "2"])
