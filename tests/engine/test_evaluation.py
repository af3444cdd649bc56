import os
import pickle
import select
import signal
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
    dying,
    exiting,
    hanging,
    infinite,
    infinite_at_once,
    length,
    lengths,
    nan,
    nan_at_once,
    no_number,
    no_number_at_once,
    of_two_values,
    of_two_values_at_once,
    pair,
    process_id,
    raising,
    raising_at_once,
)

WORST = Failure(action="worst")
RAY = pytest.param("ray", marks=pytest.mark.ray)
# What is the same code for all of them is tested without Ray, which takes seconds to start a worker.
NOT_ON_RAY = pytest.mark.parametrize("evaluator", ["in process", "pool"], indirect=True)


@pytest.fixture
def population():
    return Population.from_genotypes(["0110", "1", "111", "01011"])


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


@pytest.fixture(params=["pool", RAY])
def pool(request):
    """As ``evaluator``, of worker processes alone and of any function."""
    opened = []

    def make(function, workers=1, **settings):
        if request.param == "ray":
            request.getfixturevalue("three_nodes")
        opened.append((ProcessPool if request.param == "pool" else RayPool)(function, workers=workers, **settings))
        return opened[-1]

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


def test_the_cause_in_a_worker_is_its_traceback(population, pool):
    with pytest.raises(EvaluationError) as caught:
        evaluated(pool(raising), population)
    assert "in raising" in str(caught.value.__cause__)


def test_an_interrupt_is_no_failure_of_a_genotype(population):
    def function(genotype):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(InProcess(function, failure=WORST), population)


@pytest.mark.parametrize(
    ("pool", "batch", "timeout"),
    [("pool", 1, 0.4), ("pool", 4, 0.4), pytest.param("ray", 4, 1.5, marks=pytest.mark.ray)],
    indirect=["pool"],
)
def test_a_function_that_hangs_is_stopped_and_its_genotype_named(population, pool, batch, timeout):
    with pytest.raises(EvaluationError, match=rf"did not return within {timeout:g} seconds for 111"):
        evaluated(pool(hanging, timeout=timeout, batch=batch), population)


@pytest.mark.parametrize("function", [dying, exiting])
def test_a_worker_that_ends_is_replaced_and_its_genotype_named(population, pool, function):
    pool = pool(function)
    with pytest.raises(EvaluationError, match=r"ended its .*worker.* for 111"):
        evaluated(pool, population)
    assert evaluated(pool, population[[0, 1]]).tolist() == [4, 1]


def test_a_worker_that_ended_while_idle_is_blamed_on_no_genotype(population, pool):
    pool = pool(process_id)
    [first] = set(evaluated(pool, population))
    ended = os.pidfd_open(int(first))
    os.kill(int(first), signal.SIGKILL)
    assert select.select([ended], [], [], 60) == ([ended], [], [])
    os.close(ended)
    [second] = set(evaluated(pool, population[:1]))
    assert second != first


@pytest.mark.parametrize(
    ("pool", "batch", "timeout"),
    [("pool", 1, 0.4), ("pool", 2, 0.4), ("pool", 4, 0.4), pytest.param("ray", 2, 1.5, marks=pytest.mark.ray)],
    indirect=["pool"],
)
@pytest.mark.parametrize("function", [hanging, dying])
def test_a_lost_worker_costs_no_other_genotype_its_fitness(population, pool, function, batch, timeout):
    pool = pool(function, workers=2, batch=batch, timeout=timeout, failure=WORST)
    assert evaluated(pool, population).tolist() == [4, 1, -np.inf, 5]


def test_an_interrupted_evaluation_leaves_nothing_for_the_next_one(population, pool, monkeypatch):
    pool = pool(length, batch=1)

    def interrupted(workers, seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluated(pool, population)
    monkeypatch.undo()
    assert evaluated(pool, population[[3, 2, 1, 0]]).tolist() == [5, 3, 1, 4]


def test_workers_whose_start_was_interrupted_are_not_used_again(population, pool, monkeypatch):
    pool = pool(length, batch=2)

    def interrupted():
        worker = start()
        monkeypatch.setattr(worker, "wait_until_ready", interrupt)
        return worker

    def interrupt():
        raise KeyboardInterrupt

    start = pool._start
    monkeypatch.setattr(pool, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluated(pool, population)
    monkeypatch.undo()
    assert evaluated(pool, population).tolist() == [4, 1, 3, 5]


def test_a_vectorised_function_gets_batches_in_workers(population, pool):
    assert evaluated(pool(Vectorised(lengths), batch=3), population).tolist() == [4, 1, 3, 5]


def test_a_pool_tells_of_answers_as_they_arrive(population, pool):
    known = []
    found = pool(length, batch=1)
    found.answered = lambda attempt: known.append(np.isfinite(attempt.values).sum())
    found.attempt(population)
    assert known[0] < known[-1] == 4
    assert known == sorted(known)


def test_a_pool_that_was_closed_starts_again(population, pool):
    pool = pool(length)
    evaluated(pool, population)
    pool.close()
    assert evaluated(pool, population).tolist() == [4, 1, 3, 5]


def test_the_same_seed_gives_the_same_run_whatever_the_evaluator(rng, frozen, pool):
    start = Population.random(10, np.arange(60, 70), rng)
    states = []
    for evaluate in (length, pool(length, workers=1), pool(length, workers=2, batch=1), Vectorised(lengths)):
        evolution = Evolution(evaluate, start, seed=3)
        evolution.run(4)
        states.append(frozen(evolution.state_dict()))
    assert states[0] == states[1] == states[2] == states[3]


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


def test_a_worker_that_cannot_start_is_an_error_whatever_the_rule(population, monkeypatch):
    pool = ProcessPool(length, workers=1, failure=WORST)
    monkeypatch.setattr(
        "genoevo.evaluation.pools.process_pool._serve", os.abort
    )  # is called with arguments that it does not take
    with pytest.raises(RuntimeError, match=r"a worker could not start: it ended its worker process \(exit code 1\)"):
        evaluated(pool, population)


def test_without_ray_its_pool_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"RayPool needs ray: pip install genoevo\[ray\]"):
        RayPool(length)


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
