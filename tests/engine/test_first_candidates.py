"""The search for candidates before the first round, and genotypes that must differ."""

import numpy as np
import pytest

from genoevo.community import Decoding
from genoevo.community.overlap import mean_overlap
from tests.engine.candidates import community
from tests.engine.records import add
from tests.engine.texts import strings

# --- the search before the first round


def overlaps(tasks, stage, seed, **rules):
    one = community(tasks, {"children": 24, "first_generations": 25, **rules}, stage=stage, seed=seed)
    return mean_overlap(one.usage()[:, 0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_as_many_modules_as_tasks_the_first_search_finds_disjoint_routes(seed):
    assert overlaps(6, 6, seed) < 0.01
    assert overlaps(6, 6, seed, first_generations=0) > 0.1


def test_with_fewer_modules_than_tasks_routes_are_spread_evenly():
    one = community(6, {"children": 24, "first_generations": 25}, stage=3)
    used = one.usage()[:, 0].sum(axis=0)
    np.testing.assert_allclose(used[1:4], 2, atol=0.1)


def test_without_crowding_the_first_search_moves_nobody_apart():
    assert overlaps(6, 6, 1, crowding=0.0) > 0.1


def test_shuffled_scores_move_nobody_apart():
    assert overlaps(6, 6, 1, shuffle="all") > 0.1


def test_the_first_generation_has_genotypes_of_different_routes_while_there_are_any():
    one = community(3, {"children": 24, "first_generations": 10}, size=4, stage=4)
    for usages in one.usage():
        assert len(np.unique(usages.round(6), axis=0)) == 4


def test_the_first_generation_is_of_the_start_stage_and_unevaluated(check_well_formed):
    one = community(3, {"first_generations": 5}, stage=4)
    check_well_formed(one.population)
    assert one.stages.tolist() == [4] * 3
    assert not one.population.evaluated.any()
    assert one.rounds == 0


def test_without_children_there_is_no_first_search():
    one = community(2, {"children": 0, "first_generations": 25})
    assert strings(one.population) == strings(community(2, {"children": 6, "first_generations": 0}).population)


def test_a_small_pool_still_leaves_a_genotype_for_every_place():
    one = community(2, {"children": 1, "first_generations": 1, "pool": 2}, size=5)
    assert len(one.population) == 10


# --- distinct genotypes

SPARSE = {"decoding": Decoding(kind="sparse"), "start": "sparse"}


def different(one):
    """How many different usages the genotypes of each task have."""
    return [len(np.unique(usages.round(6), axis=0)) for usages in one.usage()]


@pytest.mark.parametrize("distinct", [False, True])
def test_only_if_they_must_differ_the_genotypes_of_a_task_keep_routes_of_their_own(distinct):
    one = community(5, {"children": 20, "first_generations": 25, "distinct": distinct}, stage=4, **SPARSE)
    assert (different(one) == [3] * 5) == distinct
    rng = np.random.default_rng(1)
    came = 0
    for _ in range(10):
        add(one, rng.random((5, 3)) < 0.5, rng.normal(size=(5, 3)))
        came += (one.step().origins != -1).sum()
        assert (different(one) == [3] * 5) == distinct
    assert came > 20


def test_if_no_candidate_differs_a_rejected_genotype_stays():
    rules = {"children": 20, "crowding": 0.0, "distinct": True}
    one = community(1, rules, size=4, stage=1, decoding=Decoding(kind="gates"))
    one.rewrite(np.array([[0, 3], [3, 0], [3, 3], [0, 3]]))  # every route that there is at stage 1, and one again
    before = strings(one.population)
    add(one, [[1, 0, 0, 1]], times=8)
    done = one.step()
    assert done.rejected.tolist() == [[False, True, True, False]]
    assert done.kept.tolist() == [4]
    assert strings(one.population) == before


def test_of_two_genotypes_of_one_route_only_the_elite_stays():
    rules = {"children": 20, "crowding": 0.0, "inertia": 1e9, "distinct": True}
    one = community(1, rules, size=3, stage=1, decoding=Decoding(kind="gates"))
    one.rewrite(np.array([[0, 3], [3, 3], [0, 2]]))
    add(one, 1.0)
    assert one.step().kept.tolist() == [2]
    assert different(one) == [3]


def test_a_small_pool_still_leaves_a_candidate_for_every_rejected_genotype():
    one = community(1, {"children": 20, "pool": 2}, size=5)
    add(one, [[1, 0, 0, 0, 0]], times=8)
    done = one.step()
    assert done.rejected.sum() == 4
    assert done.kept.tolist() == [1]
