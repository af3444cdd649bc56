import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, Islands, Population, Record, Survival
from genoevo.evaluation import Vectorised
from genoevo.operators import Reproduction
from genoevo.problems import OneMax

EITHER = st.sampled_from(["worst", "random"])


@st.composite
def migrations(draw, replace=EITHER):
    """Settings, size of an island that they fit, and a merit for each genotype."""
    count = draw(st.integers(2, 5))
    rule = Islands(
        count=count,
        migrants=draw(st.integers(1, 3)),
        topology=draw(st.sampled_from(["ring", "complete", "random"])),
        replace=draw(replace),
    )
    size = rule.arrivals + draw(st.integers(1, 4))
    merit = draw(st.lists(st.integers(0, 9), min_size=count * size, max_size=count * size))
    return rule, size, np.array(merit, dtype=float), np.random.default_rng(draw(st.integers(0, 99)))


def arrived(rule, size, after):
    """For each island the rows that came from elsewhere."""
    rows = np.arange(rule.count * size)
    return [[int(r) for r in after[rows // size == island] if r // size != island] for island in range(rule.count)]


@given(case=migrations())
def test_each_island_gets_so_many_and_everybody_else_stays(case):
    rule, size, merit, rng = case
    after = rule.migrated(merit, rng)
    assert [len(found) for found in arrived(rule, size, after)] == [rule.arrivals] * rule.count
    stays = after // size == np.arange(len(after)) // size
    np.testing.assert_array_equal(after[stays], np.flatnonzero(stays))


@given(case=migrations())
def test_those_who_travel_are_the_best_of_their_island(case):
    rule, size, merit, rng = case
    for rows in arrived(rule, size, rule.migrated(merit, rng)):
        for source in {row // size for row in rows}:
            left = np.sort(merit[[row for row in rows if row // size == source]])
            np.testing.assert_array_equal(left, np.sort(merit[source * size : (source + 1) * size])[-len(left) :])


@given(case=migrations())
def test_no_island_loses_its_best(case):
    rule, _, merit, rng = case
    before, after = [m.reshape(rule.count, -1).max(axis=1) for m in (merit, merit[rule.migrated(merit, rng)])]
    assert (after >= before).all()


@given(case=migrations(st.just("worst")))
def test_under_worst_the_worst_give_way(case):
    rule, size, merit, rng = case
    after = rule.migrated(merit, rng)
    for island in range(rule.count):
        rows = np.arange(island * size, (island + 1) * size)
        gone = ~np.isin(rows, after[rows])
        assert merit[rows[gone]].max() <= merit[rows[~gone]].min()


def sources(rule, size, rng):
    after = rule.migrated(np.arange(rule.count * size, dtype=float), rng)
    return [{row // size for row in rows} for rows in arrived(rule, size, after)]


def test_on_a_ring_migrants_come_from_the_island_before(rng):
    assert sources(Islands(count=4, topology="ring"), 3, rng) == [{3}, {0}, {1}, {2}]


def test_completely_connected_islands_get_migrants_from_every_other(rng):
    assert sources(Islands(count=4, topology="complete"), 5, rng) == [{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}]


def test_at_random_every_other_island_is_as_likely(rng, check_frequencies):
    rule = Islands(count=4, topology="random")
    found = [sources(rule, 2, rng)[1].pop() for _ in range(3000)]
    check_frequencies(np.bincount(found, minlength=4)[[0, 2, 3]], [1 / 3] * 3)


def test_random_replacement_spares_only_the_best(rng, check_frequencies):
    rule = Islands(count=2, replace="random")
    after = np.array([rule.migrated(np.arange(8.0), rng) for _ in range(3000)])
    check_frequencies((after[:, :3] >= 4).sum(axis=0), [1 / 3] * 3)
    assert (after[:, 3] == 3).all()


@pytest.mark.parametrize("migrants", [0, 1])
def test_only_migrants_carry_anything_from_one_island_to_another(rng, migrants):
    start = Population.random(8, 40, rng)
    islands = Islands(count=2, interval=2, migrants=migrants)
    first = []
    for sign in (1, -1):  # the second island strives for ones or for zeros
        evolution = Evolution(None, start, seed=1, islands=islands)
        for _ in range(6):
            fitness = evolution.ask().bits().sum(axis=1, dtype=float)
            fitness[len(fitness) // 2 :] *= sign
            evolution.tell(fitness)
        first.append([str(genotype) for genotype in evolution.population[:4]])
    assert (first[0] == first[1]) == (migrants == 0)


def test_migration_happens_every_interval_generations(rng):
    start = Population.random(12, 40, rng)
    rule = Reproduction(crossover_threshold=0, mutation_rate=0)
    evolution = Evolution(
        None, start, seed=1, reproduction=rule, islands=Islands(count=3, interval=4), record=Record(lineage=True)
    )
    home = np.arange(12) // 4
    abroad = []
    for _ in range(9):
        pending = evolution.ask()
        evolution.tell(pending.bits().sum(axis=1, dtype=float))
        roots = np.array([evolution.lineage.ancestors(int(n))[0] for n in evolution.numbers])
        abroad.append(bool((home[roots] != home).any()))
    assert abroad == [False] * 3 + [True] * 6


def test_migrants_keep_their_fitness_and_are_not_evaluated_again(rng):
    start = Population.random(6, 40, rng)
    evolution = Evolution(Vectorised(OneMax(40)), start, seed=1, islands=Islands(count=2, interval=1))
    evolution.run(3)
    np.testing.assert_array_equal(evolution.population.fitness, OneMax(40)(evolution.population))
    assert evolution.evaluations == 6 + 2 * 4


def test_the_seed_decides_where_migrants_go(rng, frozen):
    start = Population.random(20, 40, rng)
    runs = []
    for seed in (1, 1, 2):
        evolution = Evolution(
            Vectorised(OneMax(40)), start, seed=seed, islands=Islands(count=5, interval=2, topology="random")
        )
        evolution.run(6)
        runs.append(frozen(evolution.state_dict()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_many_independent_runs_of_the_one_plus_one_ea_take_as_long_as_theory_says(rng, check_mean):
    n, size = 400, 50
    evolution = Evolution(
        Vectorised(OneMax(size)),
        Population.random(n, size, rng),
        seed=1,
        reproduction=Reproduction(crossover_threshold=0),
        survival=Survival(strategy="plus", offspring=1),
        islands=Islands(count=n, migrants=0),
    )
    found = np.zeros(n)
    while not found.all():
        evolution.step()
        found[(found == 0) & (evolution.population.fitness == size)] = evolution.generation
    check_mean(found - 1, 443.19)  # the exact mean of the Markov chain, after the first evaluation


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Islands(count=0), "count must be at least 1, got 0"),
        (lambda: Islands(interval=0), "interval must be at least 1, got 0"),
        (lambda: Islands(migrants=-1), "migrants must be at least 0, got -1"),
        (lambda: Islands(topology="star"), "topology must be one of complete, random, ring, got 'star'"),
        (lambda: Islands(replace="best"), "replace must be one of random, worst, got 'best'"),
        (lambda: Islands(count=3).size(10), "10 genotypes cannot be divided equally among 3 islands"),
        (lambda: Islands(count=3).size(3), "1 migrants reach an island of 1; there must be fewer"),
        (
            lambda: Islands(count=4, topology="complete", migrants=2).size(24),
            "6 migrants reach an island of 6; there must be fewer",
        ),
    ],
)
def test_invalid_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
