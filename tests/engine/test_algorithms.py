"""What all algorithms have in common: the interface of Evolution."""

import numpy as np
import pytest

from genoevo import Genotype, Population, Record, Stop
from genoevo.algorithms import ALGORITHMS, LTGA, P3, FastGA
from genoevo.evaluation import EvaluationError, Failure, InProcess, Vectorised
from genoevo.history import PopulationStatistics
from genoevo.problems import HIFF, Trap
from tests.engine.evolutions import ones
from tests.engine.searches import each, made, played


@each
def test_ask_and_tell_do_what_run_does(name, frozen):
    one, other = made(name, Vectorised(ones)), made(name)
    one.run(generations=6)
    while other.generation < 6:
        played(other, 1)
    assert frozen(one.state_dict()) == frozen(other.state_dict())


@each
def test_asking_twice_returns_equal_genotypes_and_draws_nothing(name, frozen):
    one, other = played(made(name), 5), played(made(name), 5)
    assert (one.ask().words == one.ask().words).all()
    other.ask()
    assert frozen(one.state_dict()) == frozen(other.state_dict())
    one.ask().words[:] = 0  # a copy
    assert frozen(played(one, 5).state_dict()) == frozen(played(other, 5).state_dict())


@each
def test_a_stop_counts_evaluations_within_a_generation(name):
    search = made(name, Vectorised(Trap(20)))
    assert search.run(stop=Stop(evaluations=50)) == "evaluations"
    assert 50 <= search.evaluations < 50 + (1 if name == "p3" else 20)
    generation = search.generation
    assert search.run(generations=2) == "generations"
    assert search.generation == generation + 2


@each
def test_the_log_and_the_callbacks_get_whole_generations(name):
    seen, statistics = [], PopulationStatistics(lambda population: population.fitness)
    statistics.register("top", np.max)
    search = made(name, Vectorised(ones), statistics=statistics, callbacks=[lambda it: seen.append(it.generation)])
    search.run(generations=5)
    assert seen == [record["generation"] for record in search.logbook] == [1, 2, 3, 4, 5]
    assert search.logbook[-1]["evaluations"] == search.evaluations
    assert search.logbook[-1]["best"] == search.best.fitness.values[0] == search.best.bits.sum()
    assert search.logbook[-1]["top"] == search.population.fitness.max()
    assert len(search.numbers) == len(search.population)


@each
def test_to_minimise_is_to_maximise_the_negative(name):
    start = Population.random(4, 20, np.random.default_rng(1))
    start.weights = (-2.0,)
    one, other = made(name, Vectorised(lambda it: -ones(it)), start=start), made(name, Vectorised(ones))
    one.run(generations=8)
    other.run(generations=8)
    assert str(one.best) == str(other.best)
    assert one.best.fitness.values[0] == -other.best.fitness.values[0]


@each
def test_what_is_recorded_is_what_was_evaluated(name):
    asked = []

    def evaluate(population):
        asked.extend(population)
        return ones(population)

    search = made(name, Vectorised(evaluate), record=Record(hall_of_fame=2, lineage=True))
    search.run(generations=8)
    assert len(search.lineage.fitness) == len(asked) == search.evaluations
    assert search.lineage.fitness[:, 0].tolist() == [genotype.bits.sum() for genotype in asked]
    assert search.hall_of_fame[0].fitness.values == search.best.fitness.values
    for number, genotype in zip(search.numbers.tolist(), search.population, strict=True):
        assert str(asked[number]) == str(genotype)
    for child, (one, other) in zip(asked, search.lineage.parents.tolist(), strict=True):
        if other >= 0:  # bits of two parents
            assert ((child.bits == asked[one].bits) | (child.bits == asked[other].bits)).all()


@each
def test_the_fitness_of_genotypes_to_start_from_counts(name):
    start = Population.from_bits([[0, 1] * 10, [1, 1] * 10])
    start.fitness = [5.0, 20.0]
    asked = []

    def evaluate(population):
        asked.extend(map(str, population))
        return ones(population)

    made(name, Vectorised(evaluate), start=start).run(generations=1)
    assert not {"01" * 10, "1" * 20} & set(asked[:2])
    again = made(name, Vectorised(evaluate), start=start, reevaluate=True)
    asked.clear()
    again.run(generations=1)
    assert "01" * 10 in asked


@each
def test_a_failed_evaluation_is_the_worst_and_counted_by_reason(name):
    def sometimes(genotype):
        if genotype.bits[0]:
            raise ZeroDivisionError("first bit")
        return float(genotype.bits.sum())

    start = Population.from_bits(np.eye(4, 20, dtype=int)[::-1])
    search = made(name, InProcess(sometimes, failure=Failure(action="worst", limit=None)), start=start)
    search.run(generations=4)
    assert search.failures == {"raised ZeroDivisionError: first bit": sum(it["failed"] for it in search.logbook)}
    assert search.failures
    assert not search.best.bits[0]


@each
def test_evaluations_in_a_row_that_fail_end_the_search(name):
    search = made(name, InProcess(lambda genotype: None, failure=Failure(action="worst", limit=10)))
    with pytest.raises(EvaluationError, match=r"evaluations? failed"):
        search.run(generations=1000)
    assert search.evaluations < 10


@each
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.0,)])
def test_only_one_objective_that_counts_is_allowed(name, weights):
    with pytest.raises(ValueError, match="needs one objective with a weight other than 0"):
        made(name, start=Population.random(4, 20, np.random.default_rng(1), weights))


@each
def test_genotypes_of_one_bit_are_searched(name):
    search = made(name, Vectorised(ones), start=Population.from_bits([[0], [0]]))
    assert search.run(stop=Stop(target=1, evaluations=200)) == "target"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda start: P3(None, start, seed=1, at_once=0), "at_once must be a whole number from 1 to 10000, got 0"),
        (
            lambda start: LTGA(None, start[:1], seed=1),
            "the size of LTGA's population must be a whole number",
        ),
        (lambda start: LTGA(None, start, seed=1, interleaved=1), "interleaved must be True or False, got 1"),
        (lambda start: FastGA(None, start, seed=1, beta=1), "beta must be above 1 and finite, got 1"),
        (lambda start: FastGA(None, start, seed=1, offspring=0.5), "offspring must be a whole number"),
        (lambda start: FastGA(None, start, seed=1, reevaluate=1), "reevaluate must be True or False, got 1"),
        (lambda start: FastGA(None, [], seed=1), "a population has at least 1 genotype"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(make, message, start):
    with pytest.raises(ValueError, match=message):
        make(start)


def test_there_is_nothing_to_tell_before_asking(start):
    search = P3(None, start, seed=1)
    with pytest.raises(RuntimeError, match="before ask"):
        search.tell([1.0])
    with pytest.raises(RuntimeError, match="P3 has no evaluate function"):
        search.step()


def test_algorithms_are_found_by_name():
    assert set(ALGORITHMS) == {"fast-ga", "lambda-lambda-ga", "ltga", "p3"}


def test_a_function_of_one_genotype_is_enough():
    problem = HIFF(16)

    def evaluate(genotype: Genotype) -> float:
        return float(problem(Population.from_genotypes([genotype]))[0])

    search = P3(evaluate, ["0110" * 4], seed=1)
    assert search.run(stop=Stop(target=problem.optimum, evaluations=5000)) == "target"
