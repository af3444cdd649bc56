import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, Islands, Population, Selection, Survival
from genoevo.evaluation import Vectorised
from genoevo.operators import Reproduction

STRATEGIES = [
    Survival(),
    Survival(elites=3),
    Survival(elites=0),
    Survival(strategy="steady"),
    Survival(strategy="steady", offspring=4),
    Survival(strategy="plus"),
    Survival(strategy="plus", offspring=1),
    Survival(strategy="comma"),
    Survival(strategy="comma", offspring=6),
]
ELITIST = [rule for rule in STRATEGIES if rule.elites != 0 and rule.strategy != "comma"]
SIZE = 6


def evaluated(fitness, weights=(1.0,)):
    """A population of so many genotypes, each bits of its own, with that fitness."""
    population = Population.from_bits(np.eye(len(fitness), 64), weights=weights)
    population.fitness = fitness
    return population


def values(n):
    return st.lists(st.integers(0, 4), min_size=n, max_size=n).map(lambda v: np.array(v, dtype=float))


def succession(rule, data, islands=1):
    """Children and parents with drawn fitness, and the fitness of the survivors, island by island."""
    children = evaluated(data.draw(values(islands * rule.children(SIZE))))
    parents = evaluated(data.draw(values(islands * SIZE)))
    pool = np.concatenate([children.fitness, parents.fitness])
    rows = rule.survivors(children, parents, islands).reshape(islands, SIZE)
    return children.fitness.reshape(islands, -1), parents.fitness.reshape(islands, -1), pool[rows], rows


@given(rule=st.sampled_from(STRATEGIES), islands=st.integers(1, 3), data=st.data())
def test_each_survivor_is_another_genotype_of_its_own_island(rule, islands, data):
    children, _, _, rows = succession(rule, data, islands)
    assert len(set(rows.ravel().tolist())) == rows.size
    own = np.where(rows < children.size, rows // children.shape[1], (rows - children.size) // SIZE)
    assert (own == np.arange(islands)[:, None]).all()


@given(rule=st.sampled_from(ELITIST), islands=st.integers(1, 3), data=st.data())
def test_elitism_never_loses_an_islands_best(rule, islands, data):
    _, parents, survivors, _ = succession(rule, data, islands)
    assert (survivors.max(axis=1) >= parents.max(axis=1)).all()


@given(islands=st.integers(1, 3), data=st.data(), offspring=st.sampled_from([None, 1, 9]))
def test_plus_keeps_the_best_of_parents_and_children(islands, data, offspring):
    children, parents, survivors, _ = succession(Survival(strategy="plus", offspring=offspring), data, islands)
    expected = np.sort(np.concatenate([children, parents], axis=1))[:, : -SIZE - 1 : -1]
    np.testing.assert_array_equal(survivors, expected)


@given(islands=st.integers(1, 3), data=st.data(), offspring=st.sampled_from([None, 6, 9]))
def test_comma_keeps_the_best_of_the_children_alone(islands, data, offspring):
    children, _, survivors, rows = succession(Survival(strategy="comma", offspring=offspring), data, islands)
    np.testing.assert_array_equal(survivors, np.sort(children)[:, : -SIZE - 1 : -1])
    assert rows.max() < children.size


@given(islands=st.integers(1, 3), data=st.data(), offspring=st.sampled_from([None, 1, 5]))
def test_steady_children_take_the_places_of_the_worst(islands, data, offspring):
    children, parents, survivors, _ = succession(Survival(strategy="steady", offspring=offspring), data, islands)
    kept = np.sort(parents)[:, : children.shape[1] - 1 : -1]
    np.testing.assert_array_equal(survivors, np.concatenate([kept, children], axis=1))


@given(islands=st.integers(1, 3), data=st.data(), elites=st.sampled_from([None, 0, 1, 5]))
def test_a_generation_is_elites_and_children(islands, data, elites):
    children, parents, survivors, _ = succession(Survival(elites=elites), data, islands)
    elites = 1 if elites is None else elites
    assert children.shape[1] == SIZE - elites
    kept = np.sort(parents)[:, ::-1][:, :elites]
    np.testing.assert_array_equal(survivors, np.concatenate([kept, children], axis=1))


@pytest.mark.parametrize("strategy", ["plus", "comma"])
def test_among_equals_children_go_first_in_their_order(strategy):
    rule = Survival(strategy=strategy, offspring=3)
    assert rule.survivors(evaluated([1, 1, 1]), evaluated([1, 1])).tolist() == [0, 1]


def test_the_one_plus_one_ea_accepts_what_is_equal_and_refuses_what_is_worse():
    rule = Survival(strategy="plus", offspring=1)
    kept = [rule.survivors(evaluated([child]), evaluated([3])).tolist() for child in (2, 3, 4)]
    assert kept == [[1], [0], [0]]


def test_under_a_negative_weight_the_lowest_survive():
    rule = Survival(strategy="plus", offspring=2)
    assert rule.survivors(evaluated([5, 1], (-1,)), evaluated([4, 2], (-1,))).tolist() == [1, 3]


def test_several_objectives_are_compared_lexicographically_across_parents_and_children():
    rule = Survival(strategy="plus", offspring=2)
    children, parents = evaluated([[1, 9], [2, 0]], (1, -1)), evaluated([[1, 8], [2, 5]], (1, -1))
    assert rule.survivors(children, parents).tolist() == [1, 3]


def test_nsga2_keeps_the_first_front_and_its_most_distant():
    front = [[0, 4], [1, 3], [1.1, 2.9], [4, 0]]
    rule = Survival(strategy="plus", method="nsga2")
    rows = rule.survivors(evaluated(front, (1, 1)), evaluated([[0, 0], [0, 1], [1, 0]], (1, 1)))
    assert set(rows.tolist()) == {0, 3, 2}


def test_nsga2_chooses_island_by_island():
    rule = Survival(strategy="plus", method="nsga2")
    good, poor = [[5, 5], [6, 4]], [[1, 1], [0, 2]]
    rows = rule.survivors(evaluated([*good, *poor], (1, 1)), evaluated([*poor, *poor], (1, 1)), islands=2)
    assert set(rows[:2].tolist()) == {0, 1}
    assert set(rows[2:].tolist()) <= {2, 3, 6, 7}


def test_nsga2_finds_the_whole_front_where_the_best_alone_find_one_end(rng):
    def ones_left_and_right(population):
        bits = population.bits()
        return np.stack([bits.sum(axis=1), (1 - bits).sum(axis=1)], axis=1, dtype=float)

    start = Population.random(12, 10, rng, weights=(1, 1))
    fronts = {}
    for method in ("best", "nsga2"):
        rule = Survival(strategy="plus", method=method)
        evolution = Evolution(
            Vectorised(ones_left_and_right), start, seed=1, selection=Selection(method="uniform"), survival=rule
        )
        evolution.run(60)
        fronts[method] = set(evolution.population.fitness[:, 0].tolist())
    assert fronts["best"] == {10.0}
    assert {0.0, 10.0} < fronts["nsga2"]
    assert len(fronts["nsga2"]) > 5


@pytest.mark.parametrize("rule", STRATEGIES)
def test_every_strategy_keeps_the_size_and_finds_the_optimum(rng, rule):
    reproduction = Reproduction(crossover="uniform")
    start = Population.random(SIZE, 20, rng)
    evolution = Evolution(
        Vectorised(lambda population: population.bits().sum(axis=1)),
        start,
        seed=1,
        survival=rule,
        reproduction=reproduction,
    )
    evolution.run(400 if rule.children(SIZE) > 1 else 2000)
    assert len(evolution.population) == SIZE
    assert str(evolution.best) == "1" * 20


@pytest.mark.parametrize("rule", STRATEGIES)
def test_so_many_children_are_asked_for_as_the_strategy_says(rng, rule):
    evolution = Evolution(None, Population.random(3 * SIZE, 20, rng), seed=1, survival=rule, islands=Islands(count=3))
    evolution.tell(np.zeros(len(evolution.ask())))
    assert len(evolution.ask()) == 3 * rule.children(SIZE)


@pytest.mark.parametrize("method", ["tournament", "crowded", "truncation", "uniform", "ranking"])
def test_parents_come_from_their_own_island(rng, method):
    population = evaluated(rng.random(30))
    rows = Selection(method=method).parents(population, 200, rng, islands=3)
    assert rows.shape == (3, 200)
    for island, chosen in enumerate(rows):
        assert set((chosen // 10).tolist()) == {island}


def test_a_tournament_prefers_the_better_and_uniform_choice_nobody(rng, check_mean):
    population = evaluated(np.arange(10.0))
    check_mean(population.fitness[Selection(method="uniform").parents(population, 20_000, rng)[0]], 4.5)
    expected = (np.arange(10) * np.diff((np.arange(11) / 10) ** 3)).sum()  # the best of three
    check_mean(population.fitness[Selection().parents(population, 20_000, rng)[0]], expected)


@pytest.mark.parametrize(("share", "best"), [(0, {9}), (0.3, {7, 8, 9}), (1, set(range(10)))])
def test_truncation_takes_parents_from_the_best_share_alone(rng, share, best):
    population = evaluated(rng.permutation(10).astype(float))
    rows = Selection(method="truncation", share=share).parents(population, 500, rng)
    assert set(population.fitness[rows[0]].tolist()) == best


def test_parents_of_a_truncated_island_are_equally_likely(rng, check_frequencies):
    rows = Selection(method="truncation", share=0.5).parents(evaluated(np.arange(8.0)), 20_000, rng)
    check_frequencies(np.bincount(rows[0], minlength=8)[4:], [0.25] * 4)


def test_a_crowded_tournament_has_as_many_contenders_as_asked_for(rng):
    population = evaluated([[0, 0], [1, 1], [2, 2]], weights=(1, 1))
    rows = Selection(method="crowded", tournament_size=60).parents(population, 50, rng)
    assert set(rows[0].tolist()) == {2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Selection(method="lottery"), "method must be one of .*tournament.*, got 'lottery'"),
        (lambda: Selection(tournament_size=0), "tournament_size must be at least 1, got 0"),
        (lambda: Selection(share=1.5), "share must be between 0 and 1, got 1.5"),
        (lambda: Survival(strategy="both"), "strategy must be one of comma, generational, plus, steady, got 'both'"),
        (lambda: Survival(method="worst"), "method must be one of best.*, got 'worst'"),
        (lambda: Survival(elites=-1), "elites must be at least 0, got -1"),
        (lambda: Survival(offspring=0), "offspring must be at least 1, got 0"),
        (lambda: Survival(strategy="plus", elites=1), "elites need the generational strategy, got 1 with 'plus'"),
        (lambda: Survival(offspring=3), "the generational strategy's offspring follow from elites, got 3"),
        (lambda: Survival(elites=6).children(6), "elites must be below the population's 6, got 6"),
        (
            lambda: Survival(strategy="steady", offspring=6).children(6),
            "offspring must be below the population's 6, got 6",
        ),
        (
            lambda: Survival(strategy="comma", offspring=5).children(6),
            "offspring must be at least the population's 6, got 5",
        ),
    ],
)
def test_invalid_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
