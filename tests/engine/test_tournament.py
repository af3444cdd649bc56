"""Tournaments: who wins how often, of one objective and of several."""

import numpy as np
import pytest

from genoevo import Population
from genoevo.operators.selection import crowded_tournament, tournament, tournament_within
from tests.engine.populations import with_fitness


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_rank_of_the_winner_has_the_exact_distribution(rng, check_frequencies, size):
    n = 8
    values = rng.permutation(n)
    wins = np.bincount(values[tournament(with_fitness(values), 40000, rng, size=size)], minlength=n)
    # The winner is among the r + 1 worst exactly where all entrants are.
    below = (np.arange(n + 1) / n) ** size
    check_frequencies(wins, np.diff(below))


def test_the_best_wins_with_probability_1_minus_the_chance_that_it_never_enters(rng, check_frequencies):
    wins = (tournament(with_fitness([5, 1, 9, 2, 3]), 40000, rng, size=3) == 2).sum()
    best = 1 - (4 / 5) ** 3
    check_frequencies([wins, 40000 - wins], [best, 1 - best])


def test_a_tournament_has_3_contenders_by_default():
    population = with_fitness(range(20))
    winners = [tournament(population, 200, np.random.default_rng(1), **size).tolist() for size in ({}, {"size": 3})]
    assert winners[0] == winners[1]


def test_equals_win_equally_often(rng, check_frequencies):
    winners = tournament(with_fitness([1, 2, 2, 0, 2]), 30000, rng, size=4)
    wins = np.bincount(winners, minlength=5)
    check_frequencies(wins[[1, 2, 4]], [1 / 3] * 3)


def test_a_tie_goes_to_the_first_drawn():
    # With one entrant and with more, the first entrants of a generator's draw are the same.
    alone, many = [
        tournament(with_fitness([1] * 6), 48, np.random.default_rng(3), size=size).tolist() for size in (1, 4)
    ]
    assert alone == many


def test_the_lowest_wins_under_a_negative_weight(rng):
    assert set(tournament(with_fitness([5, 1, 9], weights=(-1,)), 50, rng, size=60).tolist()) == {1}


def test_several_objectives_are_compared_lexicographically(rng):
    population = with_fitness([[1, 0], [2, 5], [2, 3]], weights=(1, -1))
    assert set(tournament(population, 50, rng, size=60).tolist()) == {2}


def test_tournaments_stay_within_their_own_rows(rng, check_frequencies):
    merit = np.array([9.0, 9, 9, 1, 2, 3, 8, 8, 8])
    first = np.tile([3, 0], 5000)
    winners = tournament_within(merit, first, 3, rng, size=2)
    assert ((first <= winners) & (winners < first + 3)).all()
    check_frequencies(np.bincount(winners[::2] - 3), [1 / 9, 3 / 9, 5 / 9])
    check_frequencies(np.bincount(winners[1::2]), [1 / 3] * 3)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_the_number_of_winners_is_the_number_asked_for(rng, n):
    winners = tournament(with_fitness([1, 2, 3]), n, rng)
    assert winners.shape == (n,)
    assert winners.dtype == np.int64


def test_the_same_seed_gives_the_same_winners():
    runs = [tournament(with_fitness([1, 2, 3]), 50, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_unevaluated_genotypes_are_refused(rng):
    with pytest.raises(ValueError, match="3 of 3 genotypes have no fitness yet"):
        tournament(Population.random(3, 8, rng), 2, rng)


def test_a_tournament_of_nobody_is_refused(rng):
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        tournament(with_fitness([1, 2]), 2, rng, size=0)


def test_crowded_tournaments_are_won_by_front_then_by_distance(rng, check_frequencies):
    # Two fronts of three, of each the ends are infinitely far from others: equal, so they share their wins.
    population = with_fitness([[4, 0], [2, 2], [0, 4], [3, 0], [1, 1], [0, 3]], weights=(1, 1))
    wins = np.bincount(crowded_tournament(population, 40000, rng), minlength=6)
    merit = [4, 3, 4, 2, 1, 2]
    shares = np.zeros(6)
    for one in range(6):
        for other in range(6):
            shares[other if merit[other] > merit[one] else one] += 1 / 36
    check_frequencies(wins, shares)


def test_a_crowded_tournament_of_one_objective_is_a_tournament():
    population = with_fitness([3, 9, 1, 9], weights=(-1,))
    runs = [select(population, 50, np.random.default_rng(1), size=2) for select in (crowded_tournament, tournament)]
    assert (runs[0] == runs[1]).all()


def test_infinite_fitness_beside_a_genotype_does_not_make_it_win(rng):
    front = [[-np.inf, 9], [1, 8], [2, 7], [np.inf, 0]]
    winners = crowded_tournament(with_fitness(front, weights=(1, 1)), 200, rng, size=50)
    assert set(winners.tolist()) == {0, 3}
