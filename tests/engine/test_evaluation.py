"""Evaluators: the fitness of each genotype, and what becomes of failures."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo import Evolution, Population, Survival
from genoevo.evaluation import EvaluationError, Failure, InProcess, Vectorised, evaluated
from genoevo.pools import ProcessPool, RayPool

sys.path.append(str(Path(__file__).parent))  # also of the workers, which inherit it
from fitness_functions import (
    BAD,
    Flaky,
    infinite,
    infinite_at_once,
    length,
    nan,
    nan_at_once,
    no_number,
    no_number_at_once,
    of_two_values,
    of_two_values_at_once,
    pair,
    raising,
    raising_at_once,
)

WORST = Failure(action="worst")
RAY = pytest.param("ray", marks=pytest.mark.ray)
# What is the same code for all of them is tested without Ray, which takes seconds to start a worker.
NOT_ON_RAY = pytest.mark.parametrize("evaluator", ["in process", "pool"], indirect=True)


@pytest.fixture(params=["in process", "pool", RAY])
def evaluator(request):
    """Makes an evaluator of a function of one genotype; what it opened is closed at the end."""
    opened = []

    def make(function, **settings):
        if request.param == "in process":
            return InProcess(function, **settings)
        if request.param == "ray":
            request.getfixturevalue("three_nodes")
        pool = (ProcessPool if request.param == "pool" else RayPool)(function, workers=1, **settings)
        opened.append(pool)
        return pool

    yield make
    for pool in opened:
        pool.close()


def test_in_process_calls_the_function_with_each_genotype_in_order(population):
    seen = []
    values = evaluated(InProcess(lambda genotype: seen.append(genotype) or len(genotype)), population)
    assert seen == list(population)
    assert values.tolist() == [4, 1, 3, 5]


def test_vectorised_calls_the_function_once_with_the_population(population):
    seen = []
    values = evaluated(Vectorised(lambda given: seen.append(given) or given.lengths), population)
    assert seen == [population]
    assert values.tolist() == [4, 1, 3, 5]


def test_every_evaluator_gives_each_genotype_its_own_fitness(population, evaluator):
    assert evaluated(evaluator(length), population).tolist() == [4, 1, 3, 5]


def test_several_objectives_give_a_matrix(population, evaluator):
    population = Population(population.words, population.lengths, weights=(1, -1))
    found = evaluated(evaluator(pair), population)
    np.testing.assert_array_equal(found, [[4, -2], [1, -1], [3, -3], [5, -3]])


FAILURES = [
    (raising, raising_at_once, "raised KeyError: 'no such bit'"),
    (nan, nan_at_once, "returned .*nan.*,"),
    (infinite, infinite_at_once, "returned .*inf.*,"),
    (of_two_values, of_two_values_at_once, "returned .*,"),
    (no_number, no_number_at_once, "returned .*,"),
]
IDS = ["raises", "NaN", "infinite", "shape", "no number"]


@NOT_ON_RAY
@pytest.mark.parametrize(("function", "_", "message"), FAILURES, ids=IDS)
def test_by_default_a_failure_raises_and_names_the_genotype(population, evaluator, function, _, message):
    with pytest.raises(EvaluationError, match=rf"^the fitness function {message}.* for 111$") as caught:
        evaluated(evaluator(function), population)
    assert caught.value.genotype == BAD


@NOT_ON_RAY
@pytest.mark.parametrize(("function", "_", "message"), FAILURES, ids=IDS)
def test_under_worst_a_failed_genotype_loses_and_no_other_suffers(population, evaluator, function, _, message):
    assert evaluated(evaluator(function, failure=WORST), population).tolist() == [4, 1, -np.inf, 5]


@pytest.mark.parametrize(("_", "function", "message"), FAILURES, ids=IDS)
def test_a_vectorised_function_that_fails_raises_and_says_what_it_did(population, _, function, message):
    with pytest.raises(EvaluationError, match=rf"^the fitness function {message}"):
        evaluated(Vectorised(function), population)


@pytest.mark.parametrize("function", [nan_at_once, infinite_at_once])
def test_rows_of_a_vectorised_function_fail_one_by_one(population, function):
    assert evaluated(Vectorised(function, failure=WORST), population).tolist() == [4, 1, -np.inf, 5]


@pytest.mark.parametrize("function", [raising_at_once, of_two_values_at_once, no_number_at_once])
def test_a_vectorised_function_that_gives_nothing_usable_fails_for_all(population, function):
    whole = Vectorised(function, failure=WORST, isolate=False)
    assert evaluated(whole, population).tolist() == [-np.inf] * 4


def test_the_worst_fitness_is_the_worst_under_each_weight(population):
    population = Population(population.words, population.lengths, weights=(2, -1, 0))
    found = evaluated(InProcess(lambda g: (1, 2, 3) if g != BAD else None, failure=WORST), population)
    assert found.tolist() == [[1, 2, 3], [1, 2, 3], [-np.inf, np.inf, 0], [1, 2, 3]]


@NOT_ON_RAY
@pytest.mark.parametrize("action", ["raise", "worst"])
def test_failed_genotypes_are_evaluated_again_as_often_as_asked(population, evaluator, tmp_path, action):
    evaluator = evaluator(Flaky(tmp_path, times=2), failure=Failure(action=action, retries=2))
    assert evaluated(evaluator, population).tolist() == [4, 1, 3, 5]


def test_what_still_fails_after_all_retries_is_a_failure(population, evaluator, tmp_path):
    evaluator = evaluator(Flaky(tmp_path, times=3), failure=Failure(retries=2))
    with pytest.raises(EvaluationError, match=r"raised OSError: the simulator crashed for 111 \(tried 3 times\)"):
        evaluated(evaluator, population)


def test_only_failed_rows_are_evaluated_again(population):
    seen = []

    def function(given):
        seen.append([str(genotype) for genotype in given])
        return nan_at_once(given)

    evaluated(Vectorised(function, failure=Failure(action="worst", retries=1)), population)
    assert seen == [["0110", "1", "111", "01011"], ["111"]]


def test_after_a_failure_that_raises_the_rest_is_not_computed(population):
    seen = []
    with pytest.raises(EvaluationError):
        evaluated(InProcess(lambda genotype: seen.append(genotype) or nan(genotype)), population)
    assert len(seen) == 3


def test_the_cause_of_a_failure_is_the_functions_own_exception(population):
    with pytest.raises(EvaluationError) as caught:
        evaluated(InProcess(raising), population)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_interrupt_is_no_failure_of_a_genotype(population):
    def function(genotype):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(InProcess(function, failure=WORST), population)


@pytest.mark.parametrize("evaluate", [InProcess(raising), Vectorised(raising_at_once)])
def test_after_a_failure_that_raises_the_generation_is_still_there(population, evaluate):
    evolution = Evolution(evaluate, population, seed=1)
    with pytest.raises(EvaluationError):
        evolution.step()
    assert [str(genotype) for genotype in evolution.ask()] == ["0110", "1", "111", "01011"]
    evolution.tell([1, 2, 3, 4])
    assert evolution.generation == 1


def test_a_failed_genotype_is_never_the_best_and_is_counted(population):
    evolution = Evolution(InProcess(raising, failure=WORST), population, seed=1)
    evolution.step()
    assert str(evolution.best) == "01011"
    assert evolution.logbook[0]["failed"] == 1
    assert evolution.logbook[0]["mean"] == pytest.approx(10 / 3)


def test_under_nsga2_failed_genotypes_survive_only_where_there_is_nobody_else(rng):
    def first_half_fails(genotype):
        return None if genotype.bits[0] else (int(genotype.bits[1:].sum()), len(genotype))

    bits = rng.integers(0, 2, (8, 20))
    bits[:, 0] = [1] * 5 + [0] * 3
    evolution = Evolution(
        InProcess(first_half_fails, failure=WORST),
        Population.from_bits(bits, weights=(1, -1)),
        seed=1,
        survival=Survival(strategy="plus", method="nsga2"),
    )
    failures = 0
    for _ in range(3):
        evolution.step()
        failures += evolution.logbook[-1]["failed"]
        dead = np.isinf(evolution.population.fitness).any(axis=1).sum()
        assert dead == max(0, 8 - (evolution.evaluations - failures))


def test_an_evaluation_error_can_be_pickled(population):
    with pytest.raises(EvaluationError) as caught:
        evaluated(InProcess(raising), population)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.genotype) == (str(caught.value), BAD)


def test_a_function_that_cannot_travel_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match="a fitness function for worker processes must be picklable"):
        ProcessPool(lambda genotype: 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Failure(action="ignore"), "action must be one of raise, worst, got 'ignore'"),
        (lambda: Failure(retries=-1), "retries must be at least 0, got -1"),
        (lambda: ProcessPool(length, workers=0), "workers must be at least 1, got 0"),
        (lambda: RayPool(length, workers=0), "workers must be at least 1, got 0"),
        (lambda: RayPool(length, batch=0), "batch must be at least 1, got 0"),
        (lambda: ProcessPool(length, batch=0), "batch must be at least 1, got 0"),
        (lambda: ProcessPool(length, timeout=0), "timeout must be above 0 seconds, got 0"),
    ],
)
def test_invalid_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
