"""Constraint domination: in tournaments, survival, NSGA-II, migration, and in what is called the best."""

import numpy as np
import pytest

from genoevo import Evolution, Islands, Population, Record, Selection, Stop, Survival
from genoevo.evaluation import Failure, Vectorised
from genoevo.evolution import Constraints
from genoevo.problems import Knapsack
from genoevo.state import load, save

ONE = Constraints(count=1)
WEIGHTS = (1.0, -1.0)


def few_ones(population):
    """Ones, of which there may be 5 at most."""
    found = population.bits().sum(axis=1, dtype=float)
    return np.stack([found, found - 5], axis=1)


def evaluated(fitness, weights=WEIGHTS):
    population = Population.from_bits(np.eye(len(fitness), 64), weights=weights)
    population.fitness = fitness
    return population


def order(fitness, weights=WEIGHTS):
    """The rows from the best to the worst."""
    return np.argsort(-ONE.ranked(evaluated(fitness, weights)).merit(), kind="stable").tolist()


def test_feasible_goes_before_infeasible_and_then_the_lesser_violation():
    assert order([[9, 3], [1, 0], [100, 1], [2, -7], [-50, 2]]) == [3, 1, 2, 4, 0]


def test_under_a_negative_weight_the_lowest_feasible_is_the_best():
    assert order([[9, 0], [1, 0], [-100, 1]], (-1.0, -1.0)) == [1, 0, 2]


@pytest.mark.parametrize("size", [1e-300, 1e-9, 1, 1e12])
@pytest.mark.parametrize("objective", [0.0, 1e12, -1e12])
def test_violations_of_any_size_count_beside_any_fitness(objective, size):
    assert order([[objective, 2 * size], [objective, 0], [objective, 3 * size], [objective, size]]) == [1, 3, 0, 2]


def test_a_failed_evaluation_is_the_worst():
    fitness = [[-np.inf, np.inf], [1, 5], [1, 0]]
    assert order(fitness) == [2, 1, 0]


def test_if_nobody_is_feasible_the_least_violation_wins():
    assert order([[5, 3], [1, 2], [9, 4]]) == [1, 0, 2]


def test_violations_of_several_constraints_add_up():
    two = Constraints(count=2)
    population = Population.from_bits(np.eye(3, 8), weights=(1.0, -1.0, -1.0))
    population.fitness = [[1, 2, 2], [1, 3, 0], [1, -9, 0]]
    assert two.feasible(population).tolist() == [False, False, True]
    assert two.ranked(population).merit().argsort().tolist() == [0, 1, 2]


def dominates(a, b):
    """Deb's definition, with two objectives to maximise."""
    if a[2] > 0 or b[2] > 0:
        return a[2] < b[2]
    return a[0] >= b[0] and a[1] >= b[1] and (a[0] > b[0] or a[1] > b[1])


def test_the_ranked_fitness_is_dominated_just_where_debs_definition_says(rng):
    fitness = np.column_stack([rng.integers(-3, 4, (60, 2)), rng.integers(-2, 3, 60)]).astype(float)
    population = evaluated(fitness, (1.0, 1.0, -1.0))
    ranked = ONE.ranked(population).fitness
    for i, a in enumerate(population.fitness):
        for j, b in enumerate(population.fitness):
            plain = bool((ranked[i] >= ranked[j]).all() and (ranked[i] > ranked[j]).any())
            assert plain == dominates(a, b), (a, b)


@pytest.mark.parametrize("method", ["tournament", "truncation", "ranking", "crowded", "lexicase"])
def test_every_selection_that_compares_prefers_the_feasible(rng, method):
    bits = np.zeros((20, 12), dtype=int)
    for row in range(20):
        bits[row, : 3 + row % 2 * 5] = 1  # 3 ones are feasible, 8 are better and infeasible
    start = Population.from_bits(bits, weights=WEIGHTS)
    evolution = Evolution(
        Vectorised(few_ones), start, seed=1, constraints=ONE, selection=Selection(method=method, share=0.4)
    )
    evolution.run(1)
    evolution.ask()
    chosen = evolution._pending.parents[:, 0] % 2
    assert chosen.mean() < 0.45


@pytest.mark.parametrize(
    "survival",
    [
        Survival(strategy="plus"),
        Survival(elites=3),
        Survival(strategy="steady", offspring=4),
        Survival(strategy="plus", method="nsga2"),
    ],
)
def test_a_search_stays_feasible_and_reaches_the_bound(rng, survival):
    start = Population.random(20, 24, rng, WEIGHTS)
    evolution = Evolution(Vectorised(few_ones), start, seed=1, constraints=ONE, survival=survival)
    evolution.run(60)
    assert evolution.feasible
    assert evolution.best.fitness.values == (5.0, 0.0)
    assert evolution.logbook[-1]["feasible"] >= 1


def test_migrants_are_the_best_feasible(rng):
    start = Population.random(12, 24, rng, WEIGHTS)
    islands = Islands(count=2, interval=1)
    evolution = Evolution(Vectorised(few_ones), start, seed=1, constraints=ONE, islands=islands)
    evolution.run(40)
    assert sorted(evolution.population.fitness[:, 0])[-1] <= 8
    assert (ONE.feasible(evolution.population).reshape(2, -1).any(axis=1)).all()


def test_the_best_is_feasible_once_one_was_found_and_the_target_waits_for_it():
    start = Population.from_genotypes(["1" * 12, "0" * 7 + "1" * 5, "1" * 6 + "0" * 6], weights=WEIGHTS)
    evolution = Evolution(None, start, seed=1, constraints=ONE)
    evolution.tell(few_ones(evolution.ask()))
    assert evolution.best.fitness.values == (5.0, 0.0)
    evolution = Evolution(
        Vectorised(few_ones), start[[0]], seed=1, constraints=ONE, survival=Survival(strategy="plus")
    )
    assert evolution.run(1, stop=Stop(target=5)) == "generations"
    assert not evolution.feasible
    assert evolution.run(200, stop=Stop(target=5)) == "target"
    assert evolution.best.fitness.values == (5.0, 0.0)


def test_a_genotype_that_violates_less_is_progress():
    start = Population.from_genotypes(["1" * 12, "1" * 12], weights=WEIGHTS)
    evolution = Evolution(None, start, seed=1, constraints=ONE)
    evolution.ask()
    evolution.tell([[12, 7], [12, 7]])
    evolution.ask()
    evolution.tell([[3, 6]])
    assert evolution.stagnant == 0
    assert evolution.best.fitness.values == (3, 6)
    evolution.ask()
    evolution.tell([[99, 6.5]])
    assert evolution.stagnant == 1


def test_hall_of_fame_and_front_hold_feasible_genotypes_alone(rng):
    def two(population):
        bits = population.bits()
        ones = bits.sum(axis=1, dtype=float)
        return np.stack([ones, bits[:, :10].sum(axis=1), ones - 5], axis=1)

    start = Population.random(20, 20, rng, (1.0, -1.0, -1.0))
    evolution = Evolution(
        Vectorised(two),
        start,
        seed=1,
        constraints=ONE,
        survival=Survival(strategy="plus", method="nsga2"),
        selection=Selection(method="crowded"),
        record=Record(hall_of_fame=5, pareto_front=True),
    )
    evolution.run(30)
    assert [g.fitness.values[2] for g in evolution.hall_of_fame] == [0] * 5
    assert {g.fitness.values for g in evolution.pareto_front} == {(5.0, 0.0, 0.0)}
    assert evolution.front_stagnant is not None


def test_the_knapsack_is_solved_by_its_violation(rng):
    problem = Knapsack(30)

    def value_and_excess(population):
        chosen = population.bits()
        return np.stack([chosen @ problem.values, chosen @ problem.weights - problem.capacity], axis=1).astype(float)

    evolution = Evolution(
        Vectorised(value_and_excess), Population.random(100, 30, rng, WEIGHTS), seed=1, constraints=ONE
    )
    assert evolution.run(300, stop=Stop(target=problem.optimum)) == "target"


@pytest.mark.parametrize("waiting", [False, True])
def test_a_run_with_constraints_resumes_bit_for_bit(rng, frozen, tmp_path, waiting):
    start = Population.random(12, 24, rng, WEIGHTS)
    settings = {"constraints": ONE, "record": Record(hall_of_fame=3), "islands": Islands(count=2, interval=2)}
    evolution, straight = [Evolution(Vectorised(few_ones), start, seed=1, **settings) for _ in range(2)]
    straight.run(9)
    evolution.run(4)
    if waiting:
        evolution.ask()
    save(tmp_path / "state", evolution.state_dict())
    resumed = Evolution.from_state(load(tmp_path / "state"), Vectorised(few_ones))
    assert resumed.constraints == ONE
    resumed.run(5)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())


def test_without_constraints_there_is_no_column_and_every_best_is_feasible(onemax):
    evolution = onemax()
    assert not evolution.feasible
    evolution.run(2)
    assert evolution.feasible
    assert "feasible" not in evolution.logbook[-1]


def test_evaluations_may_fail(rng):
    def failing(population):
        values = few_ones(population)
        values[population.bits()[:, 0] == 1] = np.nan
        return values

    evolution = Evolution(
        Vectorised(failing, failure=Failure(action="worst")),
        Population.random(20, 24, rng, WEIGHTS),
        seed=1,
        constraints=ONE,
    )
    evolution.run(30)
    assert evolution.best.fitness.values == (5.0, 0.0)
    assert not evolution.best[0]


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ((1.0,), {}, "1 constraints need weights of at least 1 objective and then negative ones, got .1.0,."),
        ((1.0, 1.0), {}, "negative ones, got .1.0, 1.0."),
        (WEIGHTS, {"selection": Selection(method="sus")}, "selection by 'sus' cannot rank genotypes that miss"),
    ],
)
def test_constraints_that_do_not_fit_are_refused(rng, weights, settings, message):
    with pytest.raises(ValueError, match=message):
        Evolution(None, Population.random(9, 9, rng, weights), seed=1, constraints=ONE, **settings)


def test_a_count_below_0_is_refused():
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        Constraints(count=-1)
