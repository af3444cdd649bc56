import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, Population, Record
from genoevo.cache import Cache
from genoevo.evaluation import EvaluationError, Failure, InProcess, Vectorised

SHORT = st.text("01", min_size=1, max_size=3)


def value(genotype):
    return float(int("1" + str(genotype), 2))


def strings(*strings):
    return Population.from_genotypes(strings)


class Counted(InProcess):
    """Evaluates by :func:`value` and remembers what it was asked for."""

    def __init__(self, **settings):
        self.asked = []
        super().__init__(lambda genotype: self.asked.append(str(genotype)) or value(genotype), **settings)


def reference(batches, size):
    """Hits and misses of a cache that drops what was least recently asked for."""
    known, hits, misses = [], 0, 0
    for batch in batches:
        hits += len(batch) - len(new := [s for s in dict.fromkeys(batch) if s not in known])
        misses += len(new)
        recent = [s for s in dict.fromkeys(batch) if s not in new] + new
        known = ([s for s in known if s not in recent] + recent)[-size:]
    return hits, misses, known


@given(batches=st.lists(st.lists(SHORT, min_size=1, max_size=6), max_size=8), size=st.integers(1, 8))
def test_values_are_right_and_hits_counted_as_a_plain_model_counts_them(batches, size):
    cache, evaluator = Cache(size), Counted()
    for batch in batches:
        assert cache.evaluated(evaluator, strings(*batch)).tolist() == list(map(value, batch))
        assert len(cache) <= size
    hits, misses, _ = reference(batches, size)
    assert (cache.hits, cache.misses) == (hits, misses)
    assert len(evaluator.asked) == misses


@given(
    batches=st.lists(st.lists(SHORT, min_size=1, max_size=6), max_size=6),
    more=st.lists(SHORT, min_size=1, max_size=6),
    size=st.integers(1, 6),
)
def test_a_saved_cache_goes_on_exactly(batches, more, size):
    cache = Cache(size)
    for batch in batches:
        cache.evaluated(Counted(), strings(*batch))
    again = Cache.from_state(cache.state_dict())
    found = []
    for one in (cache, again):
        evaluator = Counted()
        one.evaluated(evaluator, strings(*more))
        found.append((evaluator.asked, one.hits, one.misses, len(one), list(one._entries)))
    assert found[0] == found[1]


def test_genotypes_that_differ_in_length_alone_are_different():
    evaluator = Counted()
    Cache(9).evaluated(evaluator, strings("1", "10", "100", "1" + "0" * 70))
    assert len(evaluator.asked) == 4


def test_the_same_genotype_in_a_wider_population_is_known():
    cache, evaluator = Cache(9), Counted()
    cache.evaluated(evaluator, strings("101"))
    cache.evaluated(evaluator, strings("1" * 100, "101"))
    assert cache.hits == 1


def test_several_objectives_are_remembered(rng):
    population = Population.random(5, 30, rng, weights=(1, -1))
    evaluator = Vectorised(lambda p: np.stack([p.lengths, p.words[:, 0] % 97], axis=1))
    cache = Cache(9)
    first = cache.evaluated(evaluator, population)
    np.testing.assert_array_equal(cache.evaluated(evaluator, population), first)
    assert first.shape == (5, 2)
    assert cache.hits == 5


def test_a_failure_is_not_remembered():
    crash = iter([True, False])
    evaluator = InProcess(lambda g: None if next(crash) else 1.0, failure=Failure(action="worst"))
    cache = Cache(9)
    assert cache.evaluated(evaluator, strings("1")).tolist() == [-np.inf]
    assert cache.evaluated(evaluator, strings("1")).tolist() == [1.0]
    assert cache.misses == 2


def test_an_evaluation_that_raises_leaves_the_cache_alone():
    cache = Cache(9)
    with pytest.raises(EvaluationError):
        cache.evaluated(InProcess(lambda genotype: None), strings("1"))
    assert (len(cache), cache.hits, cache.misses) == (0, 0, 0)


@pytest.mark.parametrize("size", [1, 30, 10_000])
def test_a_run_with_a_cache_is_the_run_without_it(rng, size):
    start = Population.random(20, 12, rng)
    runs = []
    for record in (Record(), Record(cache=size)):
        evaluator = Counted()
        evolution = Evolution(evaluator, start, seed=1, record=record)
        evolution.run(20)
        runs.append((list(evolution.logbook), [str(genotype) for genotype in evolution.population]))
    assert runs[0] == runs[1]
    assert len(evaluator.asked) == evolution.cache.misses < evolution.evaluations
    assert evolution.cache.hits + evolution.cache.misses == evolution.evaluations
