"""Running means of fitness that is evaluated again, their intervals, and the best by its mean."""

import numpy as np
import pytest

from genoevo import Evolution, Population, Survival
from genoevo.evaluation import Vectorised
from genoevo.evolution import Constraints, Estimates, Resampling
from genoevo.evolution.resampling import _student
from tests.engine.evolutions import ones

PLUS = Survival(strategy="plus", offspring=4)


class Noisy:
    """Ones, with noise of a generator of its own."""

    def __init__(self, noise, seed=1):
        self.noise, self.rng = noise, np.random.default_rng(seed)

    def __call__(self, population):
        return ones(population) + self.rng.normal(0, self.noise, len(population))


def test_a_mean_and_its_variance_are_those_of_all_evaluations(rng):
    values = rng.normal(3, 2, (7, 5, 2))
    population = Population.random(5, 8, rng, (1.0, 1.0))
    population.fitness = values[0]
    estimates = Estimates.first(population)
    for row in values[1:]:
        estimates.add(population, np.arange(5), row, None)
    np.testing.assert_allclose(population.fitness, values.mean(axis=0))
    np.testing.assert_allclose(estimates.variances, values.var(axis=0))
    lower, upper = estimates.interval(population, 0.95, None)
    half = 2.446912 * values.std(axis=0, ddof=1) / np.sqrt(7)
    np.testing.assert_allclose(upper - lower, 2 * half, rtol=1e-3)


def test_some_rows_alone_are_evaluated_again(rng):
    population = Population.random(3, 8, rng)
    population.fitness = [1, 2, 3]
    estimates = Estimates.first(population)
    estimates.add(population, np.array([2, 0]), np.array([[5.0], [2.0]]), None)
    assert population.fitness.tolist() == [1.5, 2, 4]
    assert estimates.counts.tolist() == [2, 1, 2]
    assert estimates.repeats == 2


def test_with_a_memory_the_mean_follows_a_fitness_that_changes(rng):
    for memory, expected in ((None, 60 / 101), (5, 1.0)):
        population = Population.random(1, 8, rng)
        population.fitness = [0.0]
        estimates = Estimates.first(population)
        for time in range(100):
            estimates.add(population, np.array([0]), np.array([[float(time >= 40)]]), memory)
        assert population.fitness[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("memory", [None, 6])
def test_the_interval_has_the_expected_fitness_as_often_as_it_says(rng, memory):
    population = Population.random(4000, 8, rng)
    population.fitness = rng.normal(0, 1, 4000)
    estimates = Estimates.first(population)
    for _ in range(29):
        estimates.add(population, np.arange(4000), rng.normal(0, 1, (4000, 1)), memory)
    lower, upper = estimates.interval(population, 0.9, memory)
    assert abs(((lower < 0) & (upper > 0)).mean() - 0.9) < 0.03


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (60, 2.0003)]
)
def test_the_quantiles_are_students(freedom, quantile):
    assert _student(0.975, freedom) == pytest.approx(quantile, rel=2e-3)


def test_after_one_evaluation_an_interval_is_infinite(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, resampling=Resampling(evaluations=2))
    evolution.run(1)
    lower, upper = evolution.interval()
    assert np.isneginf(lower).all()
    assert np.isposinf(upper).all()


def test_without_resampling_there_is_no_interval(onemax):
    evolution = onemax()
    evolution.run(1)
    with pytest.raises(RuntimeError, match="needs resampling=Resampling"):
        evolution.interval()


def test_a_failed_evaluation_does_not_count(rng):
    population = Population.random(3, 8, rng)
    population.fitness = [1, 2, -np.inf]
    estimates = Estimates.first(population)
    estimates.add(population, np.arange(3), np.array([[-np.inf], [4.0], [5.0]]), None)
    assert population.fitness.tolist() == [1, 3, 5]
    assert estimates.counts.tolist() == [1, 2, 1]


def test_the_best_is_the_best_mean_and_not_the_luckiest(rng):
    start = Population.random(10, 40, rng)
    lucky, fair = [
        Evolution(Vectorised(Noisy(6)), start, seed=2, survival=PLUS, resampling=resampling)
        for resampling in (None, Resampling(evaluations=50))
    ]
    lucky.run(150)
    fair.run(150)
    true = {run: ones(Population.from_genotypes([run.best]))[0] for run in (lucky, fair)}
    luck = {run: run.best.fitness.values[0] - true[run] for run in (lucky, fair)}
    assert fair.best in list(fair.population)
    assert luck[lucky] > 2 * luck[fair]
    assert true[fair] > true[lucky]


def test_one_lucky_evaluation_is_not_yet_the_best(start):
    evolution = Evolution(None, start[:3], seed=1, survival=PLUS, resampling=Resampling(evaluations=9))
    evolution.ask()
    evolution.tell([1, 2, 3])
    for _ in range(4):
        asked = evolution.ask()
        evolution.tell([0, 0, 0, 0, *[3] * (len(asked) - 4)])
    known = evolution.best
    asked = evolution.ask()
    evolution.tell([99, 0, 0, 0, *[3] * (len(asked) - 4)])
    assert evolution.population.fitness.max() == 99
    assert evolution.best == known
    assert evolution.stagnant > 0


def test_a_constraint_that_is_kept_on_average_is_kept_after_many_evaluations(rng):
    def noisy(population):
        return np.stack([ones(population), noise.normal(-1, 1, len(population))], axis=1)

    noise = np.random.default_rng(1)
    evolution = Evolution(
        Vectorised(noisy),
        Population.random(400, 24, rng, (1.0, -1.0)),
        seed=1,
        survival=Survival(strategy="plus", offspring=1),
        constraints=Constraints(count=1),
        resampling=Resampling(evaluations=20),
    )
    evolution.run(21)
    assert evolution.constraints.feasible(evolution.population).mean() > 0.99
    assert abs(evolution.population.fitness[:, 1].mean() + 1) < 0.1
