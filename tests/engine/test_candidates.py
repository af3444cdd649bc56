"""The search for candidates: what judges them, whom it keeps, and what its controls do."""

import numpy as np
import pytest

from genoevo import StagedLayout
from genoevo.community import Candidates, Growth, Mating, RecordCommunity, Selection
from genoevo.community.overlap import crowding, load
from genoevo.decode import decode_population
from genoevo.operators import Reproduction
from genoevo.operators.reproduction import Origin
from tests.engine.candidates import by_number, community, searched
from tests.engine.communities import CLONING, LAYOUT
from tests.engine.texts import strings

# --- scores


def test_a_score_is_what_a_route_costs_in_crowding_and_modules():
    one = community(rules={"crowding": 3.0, "usage_cost": 0.5, "generations": 2})
    _, _, candidates, scores = searched(one)
    elites = one.usage()[:, 0]
    for task in range(2):
        of_load = load(elites, task, 3)
        for usages, score in zip(candidates.usage[task], scores[task], strict=True):
            used = sum(share > 0.05 for share in usages[1:])
            assert score == pytest.approx(-3 * crowding(usages, of_load) - 0.5 * used)


def test_a_used_module_is_one_above_the_threshold_of_usage():
    one = community(rules={"crowding": 0, "usage_cost": 1.0}, mating=Mating(usage_threshold=0.4))
    _, _, candidates, scores = searched(one)
    used = (candidates.usage[:, :, 1:] > 0.4).sum(axis=2)
    assert scores.tolist() == (-1.0 * used).tolist()
    assert (used < (candidates.usage[:, :, 1:] > 0.05).sum(axis=2)).any()


def test_the_judges_scores_count_in_units_of_their_median_deviation_within_the_task():
    one = community(rules={"crowding": 0, "surrogate": 2.0})
    _, _, candidates, scores = searched(one, lambda p, tasks: 1e6 * tasks + p.words[:, 0] % 9973)
    assert candidates.surrogate[1].min() >= 1e6
    for judged, score in zip(candidates.surrogate, scores, strict=True):
        centred = judged - np.median(judged)
        np.testing.assert_allclose(score, 2 * centred / np.median(np.abs(centred)))


def test_scores_that_are_mostly_equal_are_measured_by_their_mean_deviation():
    one = community(tasks=1, rules={"crowding": 0, "surrogate": 1.0})
    search = one._search()
    members = search.members(one.population, 1)._replace(surrogate=np.array([[5.0, 5.0, 5.0 + 1e-6]]))
    np.testing.assert_allclose(search.scores(members, one.usage()[:, 0]), [[0, 0, 3]], rtol=1e-6)


def test_equal_scores_of_a_judge_say_nothing():
    one = community(rules={"crowding": 0, "surrogate": 1.0})
    _, _, _, scores = searched(one, lambda population, tasks: np.full(len(population), 7.0))
    assert not scores.any()


def test_the_judge_is_asked_for_candidates_task_after_task():
    seen = []

    def judge(population, tasks):
        seen.append((len(population), tasks.tolist()))
        return by_number(population, tasks)

    searched(community(rules={"surrogate": 1.0, "generations": 2}), judge)
    assert seen == [(6, [0] * 3 + [1] * 3), (12, [0] * 6 + [1] * 6), (12, [0] * 6 + [1] * 6)]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_judge_without_a_weight_is_not_asked(weight):
    asked = []
    searched(community(rules={"surrogate": weight}), lambda p, t: asked.append(1) or by_number(p, t))
    assert bool(asked) == bool(weight)


@pytest.mark.parametrize(
    "scores",
    [np.zeros(5), np.zeros((6, 1)), np.full(6, np.nan), np.full(6, np.inf)],
    ids=["few", "shape", "nan", "inf"],
)
def test_a_judge_must_give_a_finite_score_for_each_candidate(scores):
    with pytest.raises(ValueError, match="a judge must give 6 finite scores, got"):
        searched(community(rules={"surrogate": 1.0}), lambda population, tasks: scores)


# --- the search of a round


@pytest.mark.parametrize("generations", [1, 4])
def test_members_are_never_dropped_and_come_first(generations):
    one = community(rules={"generations": generations, "pool": 2, "surrogate": 1.0})
    _, members, candidates, scores = searched(one, lambda p, t: -by_number(p, t))
    assert candidates.member[:, :3].tolist() == [[0, 1, 2]] * 2
    assert candidates.member[:, 3:].tolist() == [[-1, -1]] * 2
    for task in range(2):
        own = strings(candidates.population)[5 * task : 5 * task + 3]
        assert own == strings(members.population)[3 * task : 3 * task + 3]
    assert scores.shape == (2, 5)


def test_the_best_children_are_kept_best_first():
    one = community(rules={"children": 40, "pool": 5, "crowding": 0, "surrogate": 1.0})
    every = []
    _, _, candidates, scores = searched(one, lambda p, t: every.append(by_number(p, t)) or every[-1])
    assert candidates.surrogate[:, 3:].tolist() == (-np.sort(-every[1].reshape(2, 40)))[:, :5].tolist()
    assert (np.diff(scores[:, 3:]) <= 0).all()


def test_more_generations_find_better_candidates():
    best = []
    for generations in (1, 12):
        one = community(rules={"generations": generations, "crowding": 0, "surrogate": 1.0, "fresh": 0}, seed=2)
        best.append(searched(one, by_number)[2].surrogate.max(axis=1))
    assert (best[1] > best[0]).all()


def test_children_have_their_tasks_stage_and_their_usage_is_their_own(check_well_formed):
    rules = {"children": 20, "generations": 3}
    impatient = Growth(patience=1, warmup_rounds=0)
    one = community(tasks=3, rules=rules, mating=Mating(community_rate=1), growth=impatient)
    for budget in (9, 10, 11):
        one.record.add(np.arange(3), np.zeros(3, int), np.zeros(3), np.zeros(3))
        one.step(breed=False, module_budget=budget)
    assert one.stages.tolist() == [4, 4, 3]
    search, _, candidates, _ = searched(one)
    check_well_formed(candidates.population)
    n = candidates.member.shape[1]
    lengths = [LAYOUT.length(int(stage)) for stage in one.stages for _ in range(n)]
    assert candidates.population.lengths.tolist() == lengths
    np.testing.assert_array_equal(candidates.usage, search.usage(candidates.population, 3))


def test_with_nothing_but_fresh_children_the_search_is_a_random_one():
    one = community(rules={"fresh": 1.0, "children": 200, "generations": 3, "pool": 500, "crowding": 0})
    _, _, candidates, _ = searched(one)
    assert set(candidates.origins[:, 3:].ravel()) == {Origin.FRESH}
    assert (candidates.parents[:, 3:] == -1).all()
    weights = decode_population(candidates.population, LAYOUT, kind="sparse").reshape(2, -1, 9)[:, 3:]
    assert ((weights > 0).sum(axis=2) == 3).all()  # one connection in each segment


@pytest.mark.parametrize("fresh", [0.0, 0.4])
def test_the_share_of_fresh_children_is_that_of_the_setting(fresh, check_frequencies):
    one = community(rules={"fresh": fresh, "children": 2000, "pool": 4000}, reproduction=CLONING)
    _, _, candidates, _ = searched(one)
    found = (candidates.origins[:, 3:] == Origin.FRESH).sum()
    if not fresh:
        assert found == 0
    else:
        check_frequencies([found, 4000 - found], [fresh, 1 - fresh])


def test_a_second_parent_may_come_from_another_task(check_frequencies):
    crossing = Reproduction(crossover_threshold=1)
    one = community(
        tasks=3,
        rules={"children": 1000, "pool": 1000, "fresh": 0},
        reproduction=crossing,
        mating=Mating(community_rate=0.3),
    )
    _, _, candidates, _ = searched(one)
    abroad = candidates.parents[:, 3:, 1] // 3 != np.arange(3)[:, None]
    check_frequencies([abroad.sum(), (~abroad).sum()], [0.3, 0.7])


# --- where candidates come from

COPYING = Reproduction(crossover_threshold=0.5, mutation_threshold=0.8, crossover="uniform", mutation_rate=0.0)


def test_a_child_is_made_from_the_members_that_it_names():
    one = community(tasks=3, rules={"children": 60, "pool": 60, "fresh": 0.2}, reproduction=COPYING)
    before = strings(one.population)
    _, _, candidates, _ = searched(one)
    texts = np.array(strings(candidates.population)).reshape(3, -1)
    for task in range(3):
        for text, (first, second), origin in zip(
            texts[task], candidates.parents[task], candidates.origins[task], strict=True
        ):
            if origin == Origin.FRESH:
                assert (first, second) == (-1, -1)
            elif origin == Origin.CROSSOVER:
                assert first // 3 == task
                assert all(bit in (a, b) for bit, a, b in zip(text, before[first], before[second], strict=True))
            else:
                assert origin in (Origin.MUTATION, -1)
                assert second == -1
                assert text == before[first]
    assert set(candidates.origins.ravel()) == {-1, 0, 1, 2}


def test_a_member_is_its_own_parent():
    _, members, _, _ = searched(community())
    assert members.parents.tolist() == [[[0, -1], [1, -1], [2, -1]], [[3, -1], [4, -1], [5, -1]]]
    assert (members.origins == -1).all()


def test_a_child_of_a_later_generation_names_the_member_that_it_descends_from():
    copying = Reproduction(crossover_threshold=0.0, mutation_rate=0.0)
    one = community(rules={"generations": 5, "fresh": 0, "pool": 6}, reproduction=copying)
    before = strings(one.population)
    _, _, candidates, _ = searched(one)
    texts = strings(candidates.population)
    assert texts == [before[first] for first in candidates.parents[:, :, 0].ravel()]


def test_a_child_of_a_fresh_candidate_is_fresh_too():
    one = community(rules={"generations": 6, "fresh": 0.5, "pool": 30, "children": 30})
    _, _, candidates, _ = searched(one)
    rootless = candidates.parents[:, :, 0] < 0
    assert (candidates.origins[rootless] == Origin.FRESH).all()
    assert (candidates.parents[rootless] == -1).all()
    assert (candidates.origins[~rootless] != Origin.FRESH).all()


# --- control runs


@pytest.mark.parametrize("shuffle", ["none", "surrogate"])
def test_shuffled_surrogate_scores_are_the_same_scores_at_other_candidates(shuffle):
    one = community(tasks=1, rules={"shuffle": shuffle, "surrogate": 1.0, "children": 500, "pool": 500})
    # Members are bad and children good: of a permutation of all, neither can know.
    true = {text: number for number, text in enumerate(strings(one.population))}
    _, _, candidates, _ = searched(one, lambda p, t: np.array([true.get(text, 99) for text in strings(p)], float))
    should = np.array([true.get(text, 99) for text in strings(candidates.population)], float)[None]
    assert sorted(candidates.surrogate.ravel()) == sorted(should.ravel())
    assert (candidates.surrogate == should).all() == (shuffle == "none")


def test_shuffled_surrogate_scores_cannot_tell_members_from_children():
    moved = 0
    for seed in range(20):
        one = community(tasks=1, rules={"shuffle": "surrogate", "surrogate": 1.0, "crowding": 0}, seed=seed)
        members = set(strings(one.population))
        _, _, candidates, _ = searched(one, lambda p, t, m=members: np.array([x in m for x in strings(p)], float))
        moved += 3 - candidates.surrogate[0, :3].sum()
    assert moved > 20


def test_shuffled_surrogate_scores_leave_crowding_to_the_candidate_that_has_it():
    one = community(rules={"shuffle": "surrogate", "surrogate": 1e-9, "children": 300, "pool": 300})
    _, _, candidates, scores = searched(one, by_number)
    elites = one.usage()[:, 0]
    true = np.stack([-4 * crowding(candidates.usage[t], load(elites, t, 3)) for t in range(2)])
    np.testing.assert_allclose(scores, true, atol=1e-6)


@pytest.mark.parametrize("shuffle", ["none", "all"])
def test_shuffling_all_permutes_whole_scores_within_each_task(shuffle):
    one = community(rules={"shuffle": shuffle, "children": 300, "pool": 400})
    _, _, candidates, scores = searched(one)
    elites = one.usage()[:, 0]
    for task in range(2):
        true = -4 * crowding(candidates.usage[task], load(elites, task, 3))
        np.testing.assert_allclose(np.sort(scores[task]), np.sort(true))
        assert (abs(np.corrcoef(scores[task], true)[0, 1]) < 0.2) == (shuffle == "all")


# --- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"children": -1}, "children must be at least 0, got -1"),
        ({"generations": 0}, "generations must be at least 1, got 0"),
        ({"first_generations": -1}, "first_generations must be at least 0, got -1"),
        ({"pool": 1}, "pool must be at least 2, got 1"),
        ({"fresh": 1.5}, "fresh must be between 0 and 1, got 1.5"),
        ({"crowding": -1}, "crowding must be at least 0, got -1"),
        ({"usage_cost": -1}, "usage_cost must be at least 0, got -1"),
        ({"surrogate": -1}, "surrogate must be at least 0, got -1"),
        ({"inertia": -1}, "inertia must be at least 0, got -1"),
        ({"shuffle": "some"}, "shuffle must be one of all, none, surrogate, got 'some'"),
        ({"distinct": 1}, "distinct must be True or False, got 1"),
    ],
)
def test_invalid_settings_of_candidates_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Candidates(**settings)


def test_precision_and_decoding_reach_the_search():
    one = RecordCommunity(
        StagedLayout(4), ["a", "b"], seed=1, candidates=Candidates(children=4), selection=Selection(rule="record")
    )
    assert one.population.lengths.tolist() == [36] * 6
