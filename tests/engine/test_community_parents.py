"""Whose children a community has: the elite stays, the first parent is of the task, the second of any."""

import numpy as np
import pytest

from genoevo import Community, Population, StagedLayout
from genoevo.community import Growth, Mating
from genoevo.operators import Reproduction
from tests.engine.communities import CLONING, CROSSING, IMPATIENT, community, play
from tests.engine.texts import strings

# --- the elite and the children


def test_the_elite_comes_first_unchanged_and_alone_keeps_its_fitness():
    wild = Reproduction(crossover_threshold=0.4, mutation_threshold=0.8, mutation_rate=0.5)
    one = community(4, size=3, reproduction=wild, mating=Mating(usage_cost=0), growth=Growth(warmup_rounds=999))
    rng = np.random.default_rng(1)
    for _ in range(10):
        before = [one.of(task) for task in range(4)]
        performance, mean_return = rng.random((4, 3)), rng.normal(size=(4, 3))
        done = one.step(performance, mean_return)
        assert done.elites.tolist() == performance.argmax(axis=1).tolist()
        for task, elite in enumerate(done.elites):
            assert one.of(task)[0] == before[task][int(elite)]
            assert one.of(task)[0].fitness.values == (performance[task, elite], mean_return[task, elite])
        assert one.population.evaluated.tolist() == [True, False, False] * 4
    assert one.rounds == 10


def test_the_first_parent_wins_a_tournament_in_its_own_task():
    one = community(3, size=5, reproduction=CLONING, mating=Mating(tournament_size=300, community_rate=1))
    performance = np.eye(3, 5, 1)
    best = [str(one.of(task)[task + 1]) for task in range(3)]
    one.step(performance)
    assert [strings(one.of(task)) for task in range(3)] == [[text] * 5 for text in best]


def test_a_tournament_of_one_picks_first_parents_at_random(check_frequencies):
    size = 1001
    one = community(stage=8, size=size, reproduction=CLONING, mating=Mating(tournament_size=1))
    texts = strings(one.population)
    best = np.zeros(size)
    best[0] = 1
    one.step(best[None])
    first_half = sum(child in set(texts[:500]) for child in strings(one.of(0))[1:])
    check_frequencies([first_half, size - 1 - first_half], [500 / size, 501 / size])


def test_children_have_their_own_tasks_stage_whatever_the_donor():
    one = community(3, reproduction=CROSSING, mating=Mating(community_rate=1), growth=IMPATIENT)
    play(one, [[[0.0], [1.0], [1.0]]] * 4)
    play(one, [[[1.0], [1.0], [1.0]]] * 10)
    assert one.stages.tolist() == [4, 3, 3]
    assert one.population.lengths.tolist() == [28] * 3 + [18] * 6


# --- who the second parent is


def marked(tasks, size, **mating):
    """Task t's genotypes have ones in their t-th stretch alone, so that a child shows who its parents were."""
    layout = StagedLayout(16)
    one = Community(
        layout, [str(i) for i in range(tasks)], seed=1, size=size, reproduction=CROSSING, mating=Mating(**mating)
    )
    stretch = layout.length(3) // tasks
    bits = np.repeat(np.eye(tasks, dtype=np.uint8), stretch, axis=1)
    one.population = Population.from_bits(np.repeat(bits, size, axis=0), weights=(1, 1))
    return one


def donors(one):
    """(tasks, tasks): how many children of each row's task got bits of each column's, itself left out."""
    tasks = len(one.tasks)
    children = one.population.bits().reshape(tasks, one.size, tasks, -1)[:, 1:]
    return children.any(axis=3).sum(axis=1) * (1 - np.eye(tasks, dtype=int))


def test_at_community_rate_0_the_second_parent_is_of_the_own_task():
    one = marked(4, 50, community_rate=0)
    before = strings(one.population)
    one.step(np.zeros((4, 50)))
    assert strings(one.population) == before


def test_at_community_rate_1_the_second_parent_is_of_any_other_task_alike(check_frequencies):
    one = marked(4, 401, community_rate=1)
    one.step(np.zeros((4, 401)))
    found = donors(one)
    assert found.sum(axis=1).tolist() == [400] * 4
    for task in range(4):
        check_frequencies(np.delete(found[task], task), [1 / 3] * 3)


def test_the_community_rate_is_the_share_of_second_parents_from_other_tasks(check_frequencies):
    one = marked(3, 1001, community_rate=0.3)
    one.step(np.zeros((3, 1001)))
    abroad = donors(one).sum()
    check_frequencies([abroad, 3000 - abroad], [0.3, 0.7])


def test_the_second_parent_wins_a_tournament_where_it_comes_from():
    one = marked(2, 30, community_rate=1, tournament_size=400)
    half = np.zeros((60, 144), dtype=np.uint8)
    half[40] = 1  # the best of task 1; all others are zeros
    one.population = Population.from_bits(half, weights=(1, 1))
    performance = np.zeros((2, 30))
    performance[1, 10] = 1
    one.step(performance)
    assert all(0 < child.bits.sum() < 144 for child in list(one.of(0))[1:])


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_single_task_mates_with_itself(rate):
    one = community(size=20, reproduction=CROSSING, mating=Mating(community_rate=rate))
    pool = one.population.bits()
    play(one, [0.5] * 5)
    assert one.rounds == 5
    # Crossover alone makes no bit that no genotype had.
    assert ((one.population.bits() == 1) <= pool.any(axis=0)).all()
    assert ((one.population.bits() == 0) <= (~pool.all(axis=0))).all()
