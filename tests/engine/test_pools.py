"""Evaluators of worker processes: workers that fail, hang or end, and what it costs."""

import os
import select
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo import Evolution, Population
from genoevo.evaluation import EvaluationError, Failure, Vectorised, evaluated
from genoevo.pools import ProcessPool, RayPool

sys.path.append(str(Path(__file__).parent))  # also of the workers, which inherit it
from fitness_functions import dying, exiting, hanging, length, lengths, process_id, raising

WORST = Failure(action="worst")


@pytest.fixture(params=["pool", pytest.param("ray", marks=pytest.mark.ray)])
def pool(request):
    """Makes an evaluator of any function by worker processes; what it opened is closed at the end."""
    opened = []

    def make(function, workers=1, **settings):
        if request.param == "ray":
            request.getfixturevalue("three_nodes")
        opened.append((ProcessPool if request.param == "pool" else RayPool)(function, workers=workers, **settings))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()


def test_the_cause_in_a_worker_is_its_traceback(population, pool):
    with pytest.raises(EvaluationError) as caught:
        evaluated(pool(raising), population)
    assert "in raising" in str(caught.value.__cause__)


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
