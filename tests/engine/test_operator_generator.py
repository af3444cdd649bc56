"""How own operators get the search's random generator."""

from functools import partial, wraps

import numpy as np
import pytest

from genoevo import Evolution, Population
from genoevo.evaluation import Vectorised
from genoevo.operators import Operators
from tests.engine.evolutions import ones
from tests.engine.test_own_operators import shuffled


def swap(first, second, rng):
    """The second parents, as they are."""
    assert rng is not None
    return second


def late(population, limit=9, rng=None):
    return shuffled(population, rng) if limit == 9 else limit


def by_name(population, *, rng):
    return shuffled(population, rng)


def under_another_name(population, generator):
    return shuffled(population, generator)


@wraps(late)
def wrapped(*given, **named):
    return late(*given, **named)


@pytest.mark.parametrize("repair", [late, by_name, under_another_name, wrapped, partial(late, limit=9)])
def test_the_generator_takes_the_place_of_no_other_parameter(repair):
    start = Population.random(8, 12, np.random.default_rng(0))
    evolution = Evolution(Vectorised(ones), start, seed=1, operators=Operators(repair=repair))
    evolution.run(2)
    assert evolution.generation == 2


def swap_points(first, second, points=2, rng=None):
    assert points == 2
    return swap(first, second, rng)


def swap_by_name(first, second, *, rng):
    return swap(first, second, rng)


@pytest.mark.parametrize("crossover", [swap_points, swap_by_name])
def test_a_crossover_gets_the_generator_by_its_name(crossover):
    start = Population.random(8, 12, np.random.default_rng(0))
    found = Operators(crossover=crossover).crossed(start, start[::-1], np.random.default_rng(1), None)
    assert np.array_equal(found.bits(), start[::-1].bits())


@pytest.mark.parametrize(
    ("slot", "operator", "what"),
    [
        ("repair", lambda population, limit=9: population, "'limit' has the place of the generator"),
        ("mutation", lambda population, generator=None: population, "'generator' has the place"),
        ("crossover", lambda a, b, points=2: a, "'points' has the place"),
        ("mutation", lambda rng, population: population, "rng must come after"),
        ("selection", lambda population: [], "takes 1 arguments, not 2"),
    ],
)
def test_a_parameter_at_the_place_of_the_generator_is_named(slot, operator, what):
    with pytest.raises(TypeError, match=what):
        Operators(**{slot: operator})
