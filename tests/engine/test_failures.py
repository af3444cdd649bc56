"""Evaluations that fail: whose fault it is, what is counted, and when it ends the search."""

import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from genoevo import Evolution, Population, Record, Stop, Survival
from genoevo.algorithms import LTGA, P3, FastGA
from genoevo.evaluation import Attempt, EvaluationError, Failure, Fault, InProcess, Vectorised, attempted, evaluated
from genoevo.pools import ProcessPool
from genoevo.state import load, save

sys.path.append(str(Path(__file__).parent))  # also of the workers, which inherit it
from fitness_functions import (
    BAD,
    ODD,
    OwnEvaluator,
    odd_by_length,
    raising_at_once,
    returning,
    typo,
    typo_at_once,
    unshowable,
)

WORST = Failure(action="worst")


@pytest.fixture
def start(rng):
    return Population.random(20, 16, rng)


def good_from(generation):
    """A fitness that fails in every generation but those before *generation*, of 20 and then 19 genotypes."""
    calls = iter(range(10**6))

    def fitness(genotype):
        if next(calls) >= 20 + 19 * (generation - 2):
            raise OSError("no licence")
        return sum(genotype)

    return fitness


@pytest.mark.parametrize(
    "make", [lambda: InProcess(typo, failure=WORST), lambda: Vectorised(typo_at_once, failure=WORST)]
)
def test_a_typo_ends_the_search_in_the_first_generation_and_is_told(start, make):
    evolution = Evolution(make(), start, seed=1)
    with pytest.raises(
        EvaluationError, match=r"generation 1: every evaluation failed.*: 20 raised AttributeError.*summ"
    ):
        evolution.run(100)
    assert evolution.generation == 0


def test_a_search_of_which_all_evaluations_fail_later_ends_then_and_can_go_on(start):
    evolution = Evolution(InProcess(good_from(4), failure=WORST), start, seed=1)
    with pytest.raises(
        EvaluationError, match=r"generation 4: the last 19 evaluations failed.*: 19 raised OSError: no licence"
    ):
        evolution.run(100)
    evolution.tell(np.zeros(19))
    assert evolution.generation == 4


def test_the_limit_counts_evaluations_in_a_row_across_generations(start):
    evolution = Evolution(
        InProcess(good_from(2), failure=Failure(action="worst", limit=3)),
        start,
        seed=1,
        survival=Survival(strategy="steady", offspring=1),
    )
    with pytest.raises(EvaluationError, match="generation 4: the last 3 evaluations failed"):
        evolution.run(100)


@pytest.mark.parametrize("algorithm", [P3, LTGA])
def test_a_fitness_that_fails_for_half_of_the_genotypes_does_not_end_an_algorithm(start, algorithm):
    def fitness(genotype):
        return None if crc32(bytes(genotype)) % 2 else sum(genotype)

    search = algorithm(InProcess(fitness, failure=WORST), start, seed=1)
    search.run(stop=Stop(evaluations=3000))
    assert search.evaluations >= 3000
    assert sum(search.failures.values()) > 1000


@pytest.mark.parametrize("algorithm", [P3, LTGA, FastGA])
def test_an_algorithm_ends_after_a_hundred_failures_in_a_row_and_says_so(start, algorithm):
    calls = iter(range(10**6))
    broken = InProcess(lambda g: sum(g) if next(calls) < 30 else None, failure=WORST)
    search = algorithm(broken, start, seed=1)
    with pytest.raises(EvaluationError, match=r"the last 1\d\d evaluations failed. Of the last \d+ genotypes"):
        search.run(1000)


def test_an_algorithm_whose_first_genotypes_all_fail_ends_at_once(start):
    search = LTGA(InProcess(typo, failure=WORST), start, seed=1)
    with pytest.raises(EvaluationError, match=r"generation 1: every evaluation failed. Of the last 20 genotypes"):
        search.step()


def test_without_a_limit_the_search_goes_on_whatever_fails(start):
    evolution = Evolution(InProcess(typo, failure=Failure(action="worst", limit=None)), start, seed=1)
    assert evolution.run(3) == "generations"


def test_one_success_in_a_generation_is_enough(start):
    fails = iter([False, *[True] * 19, False, *[True] * 18])
    evolution = Evolution(InProcess(lambda g: None if next(fails) else 1.0, failure=WORST), start, seed=1)
    assert evolution.run(2) == "generations"


def test_the_reasons_of_failures_are_counted_in_the_log_and_in_all(start, tmp_path):
    def fitness(genotype):
        if genotype[0]:
            raise OSError("no licence\nat all")
        return None if genotype[1] else sum(genotype)

    evolution = Evolution(InProcess(fitness, failure=WORST), start, seed=1)
    evolution.run(3)
    first = evolution.logbook[0]["reasons"]
    assert set(first) == {"raised OSError: no licence", "returned None, not one finite number"}
    assert sum(first.values()) == evolution.logbook[0]["failed"]
    assert sum(evolution.failures.values()) == sum(evolution.logbook.select("failed"))
    save(tmp_path / "state", evolution.state_dict())
    assert Evolution.from_state(load(tmp_path / "state")).failures == evolution.failures


def test_a_generation_without_failures_has_no_reasons(start):
    evolution = Evolution(sum, start, seed=1)
    evolution.run(2)
    assert "reasons" not in evolution.logbook[0]
    assert evolution.failures == {}


def test_reasons_are_not_printed_as_a_column(start):
    evolution = Evolution(InProcess(lambda g: None if g[0] else 1.0, failure=WORST), start, seed=1)
    evolution.run(1)
    assert "reasons" not in str(evolution.logbook)
    assert "failed" in str(evolution.logbook)


def test_many_different_reasons_are_kept_to_twenty_and_the_rest(rng):
    calls = iter(range(10**6))
    population = Population.random(100, 16, rng)
    evolution = Evolution(InProcess(lambda g: -np.inf if next(calls) else 1.0, failure=WORST), population, seed=1)
    evolution.step()
    assert evolution.failures == {"returned -inf, not one finite number": 99}
    many = Evolution(
        InProcess(lambda g: {}[f"{next(calls)}"] if sum(g) % 9 else 1.0, failure=WORST), population, seed=1
    )
    many.step()
    assert len(many.failures) == 21
    assert sum(many.failures.values()) == many.logbook[0]["failed"]


def test_a_corrupt_count_of_reasons_is_refused(start):
    evolution = Evolution(InProcess(lambda g: None if g[0] else 1.0, failure=WORST), start, seed=1)
    evolution.run(1)
    state = evolution.state_dict()
    state["log"]["records"][0]["reasons"] = {"raised": -1}
    with pytest.raises(
        ValueError, match="number of failures for 'raised' must be a whole number of at least 1, got -1"
    ):
        Evolution.from_state(state)


def test_a_cache_tells_why_genotypes_failed(start):
    evolution = Evolution(InProcess(typo, failure=WORST), start, seed=1, record=Record(cache=9))
    with pytest.raises(EvaluationError, match="summ"):
        evolution.step()


def test_a_batch_function_that_raises_for_one_row_costs_that_row_alone(population):
    values, faults = attempted(Vectorised(raising_at_once, failure=WORST), population)
    assert values[:, 0].tolist() == [4, 1, -np.inf, 5]
    assert {row: fault.what for row, fault in faults.items()} == {2: "raised KeyError: 'no such bit'"}


def test_a_batch_function_may_return_the_same_array_each_time(population):
    room = np.empty(len(population))

    def function(given):
        if BAD in list(given):
            raise KeyError
        room[: len(given)] = given.lengths
        return room[: len(given)]

    evaluator = Vectorised(function, failure=WORST)
    assert evaluated(evaluator, population).tolist() == [4, 1, -np.inf, 5]
    first = evaluated(evaluator, population[:2])
    evaluated(evaluator, population[3:])
    assert first.tolist() == [4, 1]


def test_the_mean_of_the_log_leaves_out_earlier_failures_that_are_still_in_the_population(start):
    def fitness(genotype):
        if calls.pop() < 4:
            raise KeyError
        return sum(genotype)

    calls = [*[9] * 100, *range(20)]
    evolution = Evolution(InProcess(fitness, failure=WORST), start, seed=1, survival=Survival(strategy="steady"))
    evolution.run(3)
    assert (np.isinf(evolution.population.fitness).sum(), evolution.logbook[-1]["failed"]) == (2, 0)
    assert np.isfinite(evolution.logbook.select("mean")).all()


def test_a_batch_function_that_returns_one_thing_that_is_no_number_costs_that_row_alone(population):
    function = lambda given: [None if g == BAD else len(g) for g in given]  # noqa: E731
    assert evaluated(Vectorised(function, failure=WORST), population).tolist() == [4, 1, -np.inf, 5]


def test_the_genotype_at_fault_is_named_also_if_the_rule_is_to_raise(population):
    with pytest.raises(EvaluationError, match=r"^the fitness function raised KeyError.* for 111$") as caught:
        evaluated(Vectorised(raising_at_once), population)
    assert caught.value.genotype == BAD


def test_the_row_at_fault_is_found_in_few_calls(rng):
    population, calls = Population.random(256, 40, rng), []

    def function(given):
        calls.append(len(given))
        if population[200] in list(given):
            raise KeyError
        return given.lengths

    _, faults = attempted(Vectorised(function, failure=WORST), population)
    assert set(faults) == {200}
    assert len(calls) <= 1 + 2 * 8


def test_reasons_are_the_same_in_batches_of_any_size(start):
    found = []
    for workers, batch in ((None, None), (1, 20), (2, 3)):
        evaluator = Vectorised(raising_at_once, failure=WORST, isolate=False)
        if workers:
            evaluator = ProcessPool(evaluator, workers=workers, batch=batch, failure=WORST)
        population = Population.from_genotypes(["111"] * 7)
        faults = attempted(evaluator, population).faults
        found.append([fault.kind or fault.what for fault in faults.values()])
        if workers:
            evaluator.close()
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", ODD)
def test_whatever_a_function_returns_is_taken_or_a_failure_of_its_genotype(population, kind):
    values, faults = attempted(InProcess(returning(kind), failure=WORST), population)
    expected = 7.0 if kind == "a gradient" else -np.inf
    assert values[:, 0].tolist() == [4, 1, expected, 5]
    assert set(faults) == (set() if kind == "a gradient" else {2})


def test_no_worker_ends_because_of_what_a_function_returns_or_raises():
    population = Population.from_genotypes(["1" * length for length in range(1, 9)])
    with ProcessPool(odd_by_length, workers=1, failure=WORST) as pool:
        values, faults = attempted(pool, population)
    assert values[:, 0].tolist() == [7.0, *[-np.inf] * 6, 8.0]
    assert not any("worker process" in fault.what for fault in faults.values())


def test_an_exception_without_a_text_is_a_failure_like_another(population):
    with pytest.raises(EvaluationError, match="raised UnshowableError, whose text cannot be shown for 111"):
        evaluated(InProcess(unshowable), population)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Attempt(np.zeros(()), {}), r"attempt must return values of shape \(4, 1\), got \(\)"),
        (Attempt(np.zeros((4, 1)), {9: Fault("failed")}), "attempt must return a Fault by row of the 4, got"),
        (Attempt(np.zeros((4, 1)), {0: "failed"}), "attempt must return a Fault by row of the 4, got"),
    ],
)
def test_an_evaluator_of_ones_own_that_answers_nonsense_is_refused(population, result, message):
    with pytest.raises(TypeError, match=f"OwnEvaluator.{message}"):
        evaluated(OwnEvaluator(result), population)


def test_a_row_that_an_evaluator_of_ones_own_leaves_out_has_failed(population):
    own = OwnEvaluator(Attempt(np.array([[1.0], [np.nan], [2.0], [3.0]]), {}))
    with pytest.raises(EvaluationError, match=r"returned \[nan\], not finite, for 1"):
        evaluated(own, population)


def test_the_limit_of_failures_is_checked():
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        Failure(limit=0)


def test_a_reason_of_several_lines_is_one_line(start):
    matrix = np.zeros((2, 2))
    evolution = Evolution(InProcess(lambda g: matrix if g[0] else 1.0, failure=WORST), start, seed=1)
    evolution.step()
    assert list(evolution.failures) == ["returned array([[0., 0.], [0., 0.]]), not one finite number"]
