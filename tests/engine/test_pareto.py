"""The front of a population and its hypervolume."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genoevo import Evolution, Population, Selection, Stop, Survival
from genoevo.evaluation import Vectorised
from genoevo.evolution import Constraints
from genoevo.history import PopulationStatistics
from genoevo.pareto import front, hypervolume


def population(values, weights):
    made = Population.random(len(values), 8, np.random.default_rng(1), weights)
    made.fitness = values
    return made


def by_inclusion_and_exclusion(values, reference):
    """The volume of a union of boxes from the reference to each of few points, all maximised."""
    sides = np.maximum(np.asarray(values) - reference, 0)
    total = 0.0
    for count in range(1, len(sides) + 1):
        for chosen in combinations(sides, count):
            total -= (-1) ** count * np.prod(np.min(chosen, axis=0))
    return total


VALUES = st.integers(2, 4).flatmap(
    lambda k: arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(k)), elements=st.integers(-3, 5))
)


@given(VALUES, st.data())
def test_it_is_the_volume_of_the_union_of_the_boxes_that_genotypes_dominate(values, data):
    weights = data.draw(st.tuples(*[st.sampled_from([1.0, -1.0, 2.5])] * values.shape[1]))
    sign = np.sign(weights)
    found = hypervolume(population(values * sign, weights), (0.0,) * len(weights))
    assert found == pytest.approx(by_inclusion_and_exclusion(values, 0))


@given(VALUES)
def test_the_front_is_what_no_other_genotype_dominates(values):
    weights = (1.0, -1.0, 1.0, -1.0)[: values.shape[1]]
    better = values * weights
    dominated = [any((o >= v).all() and (o > v).any() for o in better) for v in better]
    assert front(population(values, weights)).tolist() == np.flatnonzero(~np.array(dominated)).tolist()


def test_an_objective_of_weight_0_does_not_count():
    values = np.array([[3.0, 9.0, 1.0], [1.0, 0.0, 2.0]])
    assert hypervolume(population(values, (1.0, 0.0, 1.0)), (0, 0, 0)) == 4
    assert front(population(np.array([[1.0, 5.0], [2.0, 1.0]]), (1.0, 0.0))).tolist() == [1]


def test_genotypes_that_miss_a_constraint_or_failed_take_no_part():
    values = np.array([[3.0, 3.0, 1.0], [1.0, 2.0, 0.0], [-np.inf, -np.inf, 0.0]])
    found, rule = population(values, (1.0, 1.0, -1.0)), Constraints(count=1)
    assert hypervolume(found, (0, 0), constraints=rule) == 2
    assert front(found, constraints=rule).tolist() == [1]
    assert front(found[:1], constraints=rule).tolist() == []
    assert hypervolume(found[:1], (0, 0), constraints=rule) == 0


@pytest.mark.parametrize("reference", [(1.0,), (0.0, np.nan), "ab", None])
def test_a_reference_is_one_finite_number_for_each_objective(reference):
    with pytest.raises(ValueError, match="reference must be"):
        hypervolume(population(np.ones((2, 2)), (1.0, 1.0)), reference)


def test_a_population_without_fitness_is_refused(rng):
    start = Population.random(3, 8, rng, (1.0, 1.0))
    for ask in (front, lambda it: hypervolume(it, (0, 0))):
        with pytest.raises(ValueError, match="no fitness yet"):
            ask(start)


def ends(population):
    bits = population.bits()
    zeros = np.cumprod(1 - bits, axis=1).sum(axis=1)
    return np.stack([zeros, np.cumprod(bits[:, ::-1], axis=1).sum(axis=1)], axis=1)


def nsga2(**more):
    return Evolution(
        Vectorised(ends),
        Population.random(20, 8, np.random.default_rng(1), weights=(1.0, 1.0)),
        seed=1,
        selection=Selection(method="crowded", tournament_size=2),
        survival=Survival(strategy="plus", method="nsga2"),
        **more,
    )


def test_a_statistic_of_it_is_a_column_of_the_log():
    statistics = PopulationStatistics(lambda population: population)
    statistics.register("hypervolume", hypervolume, reference=(0, 0))
    evolution = nsga2(statistics=statistics)
    evolution.run(10)
    column = evolution.logbook.select("hypervolume")
    assert column == sorted(column)
    assert column[-1] == hypervolume(evolution.population, (0, 0)) > column[0]


def test_a_stop_ends_the_run_in_the_generation_that_reaches_a_hypervolume():
    volumes = []
    evolution = nsga2(callbacks=[lambda it: volumes.append(hypervolume(it.population, (-1, -1)))])
    whole = 9 + 8 + 7 + 6 + 5 + 4 + 3 + 2 + 1  # of (8, 0), (7, 1), ...
    assert evolution.run(stop=Stop(hypervolume=whole - 2, reference=(-1, -1), generations=500)) == "hypervolume"
    assert volumes[-1] >= whole - 2 > volumes[-2]


def test_a_stop_by_hypervolume_is_checked_before_anything_runs():
    for given_alone in ({"hypervolume": 1.0}, {"reference": (0, 0), "generations": 3}):
        with pytest.raises(ValueError, match="both hypervolume and reference"):
            Stop(**given_alone)
    with pytest.raises(ValueError, match="hypervolume must be"):
        Stop(hypervolume=-1.0, reference=(0, 0))
    evolution = nsga2()
    with pytest.raises(ValueError, match="reference must be 2 finite numbers"):
        evolution.run(stop=Stop(hypervolume=1.0, reference=(0, 0, 0)))
    assert evolution.evaluations == 0


def test_a_stop_counts_feasible_genotypes_alone():
    evolution = Evolution(
        Vectorised(lambda it: np.column_stack([ends(it), it.bits()[:, 3]])),
        Population.random(20, 8, np.random.default_rng(1), weights=(1.0, 1.0, -1.0)),
        seed=1,
        selection=Selection(method="crowded", tournament_size=2),
        survival=Survival(strategy="plus", method="nsga2"),
        constraints=Constraints(count=1),
    )
    assert evolution.run(stop=Stop(hypervolume=20.0, reference=(-1, -1), generations=500)) == "hypervolume"
    assert hypervolume(evolution.population, (-1, -1), constraints=evolution.constraints) >= 20
