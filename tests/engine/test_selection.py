"""Selection but for tournaments: shares, cases and fronts."""

from functools import partial
from itertools import permutations

import numpy as np
import pytest
from deap import tools
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Population
from genoevo.operators.selection import (
    crowded_tournament,
    lexicase,
    linear_ranking,
    nsga2,
    roulette,
    stochastic_universal,
    tournament,
    truncation,
)
from tests.engine.populations import with_fitness

random_selections = pytest.mark.parametrize(
    "select",
    [
        tournament,
        crowded_tournament,
        roulette,
        stochastic_universal,
        linear_ranking,
        lexicase,
        partial(lexicase, cases=np.eye(6)),
    ],
    ids=["tournament", "crowded", "roulette", "universal", "ranking", "lexicase", "lexicase with cases"],
)
survivals = pytest.mark.parametrize("select", [truncation, nsga2])
fitnesses = st.lists(st.integers(0, 5), min_size=1, max_size=30)


@random_selections
@pytest.mark.parametrize("n", [0, 1, 4, 50])
def test_random_selections_give_n_rows(rng, select, n):
    population = with_fitness([3, 1, 4, 1, 5, 9])
    before = population.copy()
    rows = select(population, n, rng)
    assert rows.shape == (n,)
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < 6)).all()
    np.testing.assert_array_equal(population.words, before.words)
    np.testing.assert_array_equal(population.fitness, before.fitness)


@random_selections
def test_random_selections_are_decided_by_the_generator(select):
    population = with_fitness([3, 9, 4, 1, 5, 9])
    runs = [select(population, 60, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("select", [roulette, stochastic_universal, linear_ranking, lexicase, crowded_tournament])
def test_random_selections_refuse_the_unevaluated(rng, select):
    with pytest.raises(ValueError, match="3 of 3 genotypes have no fitness yet"):
        select(Population.random(3, 8, rng), 2, rng)


@survivals
def test_survivals_refuse_the_unevaluated(rng, select):
    with pytest.raises(ValueError, match="3 of 3 genotypes have no fitness yet"):
        select(Population.random(3, 8, rng), 2)


@survivals
@pytest.mark.parametrize("n", [-1, 4])
def test_no_more_survive_than_there_are(select, n):
    with pytest.raises(ValueError, match=f"n must be between 0 and 3, got {n}"):
        select(with_fitness([1, 2, 3]), n)


@given(values=fitnesses, data=st.data())
def test_truncation_keeps_the_best_in_order_and_of_equals_the_first(values, data):
    n = data.draw(st.integers(0, len(values)))
    expected = sorted(range(len(values)), key=lambda row: -values[row])[:n]
    rows = truncation(with_fitness(values), n)
    assert rows.tolist() == expected
    assert rows.dtype == np.int64


def test_truncation_keeps_the_lowest_under_a_negative_weight():
    assert truncation(with_fitness([5, 1, 9, 3], weights=(-1,)), 2).tolist() == [1, 3]


@pytest.mark.parametrize("select", [roulette, stochastic_universal])
def test_shares_are_proportional_to_the_fitness(rng, check_frequencies, select):
    # One draw at a time: several of stochastic universal sampling depend on each other.
    population = with_fitness([3, 0, 1, 4])
    rows = np.concatenate([select(population, 1, rng) for _ in range(6000)])
    counts = np.bincount(rows, minlength=4)
    assert counts[1] == 0
    check_frequencies(counts[[0, 2, 3]], [3 / 8, 1 / 8, 4 / 8])


def test_roulettes_draws_are_independent(rng, check_frequencies):
    rows = roulette(with_fitness([1, 3]), 20000, rng).reshape(-1, 2)
    check_frequencies(np.bincount(rows @ [2, 1], minlength=4), [1 / 16, 3 / 16, 3 / 16, 9 / 16])


@given(values=fitnesses.filter(any), n=st.integers(1, 40), seed=st.integers(0, 999))
def test_stochastic_universal_rounds_the_expected_number_up_or_down(values, n, seed):
    rows = stochastic_universal(with_fitness(values), n, np.random.default_rng(seed))
    counts = np.bincount(rows, minlength=len(values))
    expected = n * np.array(values) / sum(values)
    assert (np.abs(counts - expected) < 1 + 1e-9).all()


def test_stochastic_universal_gives_its_rows_in_random_order(rng, check_frequencies):
    firsts = [stochastic_universal(with_fitness([1, 1, 1]), 3, rng)[0] for _ in range(3000)]
    check_frequencies(np.bincount(firsts), [1 / 3] * 3)


@pytest.mark.parametrize("select", [roulette, stochastic_universal])
def test_where_all_fitness_is_zero_all_are_equally_likely(rng, check_frequencies, select):
    rows = np.concatenate([select(with_fitness([0, 0, 0]), 2, rng) for _ in range(2000)])
    check_frequencies(np.bincount(rows, minlength=3), [1 / 3] * 3)


@pytest.mark.parametrize("select", [roulette, stochastic_universal])
@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        ([1, -2, 3], (1,), r"finite fitness of at least 0, got -2.0 for genotype 1; linear_ranking"),
        ([1, 2, np.inf], (1,), r"finite fitness of at least 0, got inf for genotype 2; linear_ranking"),
        ([1, 2, 3], (-1,), r"one maximised objective, got weights \(-1.0,\); linear_ranking"),
        ([[1, 2], [3, 4]], (1, 1), r"one maximised objective, got weights \(1.0, 1.0\); linear_ranking"),
    ],
)
def test_what_has_no_proportional_share_is_refused(rng, select, values, weights, message):
    with pytest.raises(ValueError, match=message):
        select(with_fitness(values, weights), 2, rng)


@pytest.mark.parametrize("pressure", [1, 1.5, 2])
@pytest.mark.parametrize("weight", [1, -1])
def test_linear_ranking_has_its_exact_distribution(rng, check_frequencies, pressure, weight):
    population = with_fitness(np.array([10, -7, 0, 1000]) * weight, (weight,))
    counts = np.bincount(linear_ranking(population, 20000, rng, pressure=pressure), minlength=4)
    shares = (2 - pressure + 2 * (pressure - 1) * np.array([2, 0, 1, 3]) / 3) / 4
    assert (counts[shares == 0] == 0).all()
    check_frequencies(counts[shares > 0], shares[shares > 0])


def test_linear_ranking_gives_equals_the_same_share(rng, check_frequencies):
    counts = np.bincount(linear_ranking(with_fitness([1, 5, 5, 0]), 20000, rng, pressure=2), minlength=4)
    check_frequencies(counts[:3], [1 / 6, 2.5 / 6, 2.5 / 6])


def test_linear_ranking_of_one_selects_it(rng):
    assert linear_ranking(with_fitness([3]), 4, rng, pressure=2).tolist() == [0] * 4


@pytest.mark.parametrize("pressure", [0.9, 2.1])
def test_a_pressure_outside_1_to_2_is_refused(rng, pressure):
    with pytest.raises(ValueError, match=f"pressure must be between 1 and 2, got {pressure}"):
        linear_ranking(with_fitness([1, 2]), 2, rng, pressure=pressure)


def lexicase_shares(cases, epsilon=0.0):
    """Probability of each row by going through all orders of the cases."""
    orders = list(permutations(range(cases.shape[1])))
    shares = np.zeros(len(cases))
    for order in orders:
        left = np.arange(len(cases))
        for case in order:
            values = cases[left, case]
            left = left[values >= values.max() - epsilon]
        shares[left] += 1 / len(left) / len(orders)
    return shares


@pytest.mark.parametrize("epsilon", [0, 1])
def test_lexicase_has_its_exact_distribution(rng, check_frequencies, epsilon):
    cases = rng.integers(0, 4, (7, 4)).astype(float)
    shares = lexicase_shares(cases, epsilon)
    counts = np.bincount(lexicase(with_fitness(range(7)), 20000, rng, cases=cases, epsilon=epsilon), minlength=7)
    assert (counts[shares == 0] == 0).all()
    check_frequencies(counts[shares > 0], shares[shares > 0])


def test_lexicase_takes_the_weighted_objectives_for_cases(rng, check_frequencies):
    population = with_fitness([[9, 9], [5, 1], [1, 0]], weights=(1, -1))
    counts = np.bincount(lexicase(population, 4000, rng), minlength=3)
    assert counts[1] == 0
    check_frequencies(counts[[0, 2]], [0.5, 0.5])


def test_lexicase_with_cases_needs_no_fitness(rng):
    assert lexicase(Population.random(3, 8, rng), 5, rng, cases=[[0], [2], [1]]).tolist() == [1] * 5


def test_lexicase_works_in_blocks_by_the_same_law(rng, check_frequencies, monkeypatch):
    monkeypatch.setattr("genoevo.operators.selection._BLOCK", 100)
    cases = np.array([[3.0, 0], [0, 3], [2, 2]])
    check_frequencies(np.bincount(lexicase(with_fitness(range(3)), 999, rng, cases=cases), minlength=2), [0.5, 0.5])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cases": [[1.0], [2.0]]}, r"cases must have shape \(3, m\) with m at least 1, got \(2, 1\)"),
        ({"cases": [1.0, 2.0, 3.0]}, r"got \(3,\)"),
        ({"cases": [[], [], []]}, r"got \(3, 0\)"),
        ({"cases": [[1.0], [np.nan], [2.0]]}, "cases cannot be NaN, got one for genotype 1"),
        ({"epsilon": -1}, "epsilon must be at least 0, got -1"),
    ],
)
def test_wrong_cases_are_refused(rng, settings, message):
    with pytest.raises(ValueError, match=message):
        lexicase(with_fitness([1, 2, 3]), 2, rng, **settings)


@given(rows=st.lists(st.tuples(*[st.integers(0, 5)] * 2), min_size=1, max_size=20), data=st.data())
def test_nsga2_keeps_whole_fronts_first(rows, data):
    n = data.draw(st.integers(0, len(rows)))
    population = with_fitness(np.array(rows, float), weights=(1, -1))
    chosen = nsga2(population, n)
    assert chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == n
    genotypes = list(population)
    row_of = {id(genotype): row for row, genotype in enumerate(genotypes)}
    fronts = tools.sortNondominated(genotypes, len(rows))
    rank = {row_of[id(genotype)]: front for front, members in enumerate(fronts) for genotype in members}
    kept = sorted(rank[row] for row in chosen.tolist())
    assert kept == sorted(rank.values())[:n]


@pytest.mark.parametrize(("n", "expected"), [(3, {0, 3, 4}), (4, {0, 2, 3, 4})])
def test_nsga2_keeps_the_ends_and_the_loneliest_of_the_last_front(n, expected):
    front = np.array([[0.0, 10], [1, 9], [2, 8], [6, 4], [10, 0]])
    assert set(nsga2(with_fitness(front, weights=(1, 1)), n).tolist()) == expected


def test_nsga2_of_one_objective_is_truncation():
    assert nsga2(with_fitness([3, 9, 1, 9], weights=(-1,)), 3).tolist() == [2, 0, 1]
