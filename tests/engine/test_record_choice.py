"""Which of two genotypes is better by record, and who becomes the elite, is rejected or replaced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo.community import FitnessRecord, Selection
from genoevo.community.by_record import choose_elites, rejections, replacements
from tests.engine.fitness_records import add, known

RULE = Selection(rule="record")


def better(record, challenger=1, incumbent=0, used=(0, 0), **rule):
    rule = Selection(rule="record", **rule)
    places = np.array([challenger]), np.array([incumbent])
    return record.better(*places, np.array([used]), rule).item()


# --- which of two genotypes is better


def test_a_challenger_whose_lower_bound_passes_the_elites_success_is_better():
    record = known([5, 9], [10, 10])  # rates 1/2 and 5/6, error of the latter 0.103
    assert better(record, confidence=3.2)
    assert not better(record, confidence=3.3)


def test_success_goes_before_return():
    clearly = known([0, 10], [10, 10], [30, -30])
    assert better(clearly)
    assert not better(clearly, 0, 1)


def test_between_equal_success_the_return_decides():
    record = known([5, 5], [10, 10], [0, 8])  # mean relative returns 0 and 8 / 11, error of each 0.30
    assert better(record, confidence=2)
    assert not better(record, confidence=3)
    assert not better(record, 0, 1, confidence=2)


@pytest.mark.parametrize(("used", "expected"), [((3, 2), True), ((2, 2), False), ((2, 3), False)])
def test_between_two_that_cannot_be_told_apart_the_one_with_fewer_modules_is_better(used, expected):
    assert better(known([400, 400], [400, 400]), used=used) == expected


def test_modules_do_not_count_before_both_are_known_well_enough():
    # Errors of 20 and of 400 successes in a row: 0.043 and 0.002. Only a wide interval does not tell them apart.
    for episodes_of in ([20, 400], [400, 20]):
        record = known(episodes_of, episodes_of)
        assert better(record, used=(3, 2), resolution=0.05, confidence=30)
        assert not better(record, used=(3, 2), resolution=0.04, confidence=30)


def test_modules_do_not_count_between_two_that_differ():
    assert not better(known([390, 400], [400, 400]), 0, 1, used=(1, 3))
    assert not better(known([400, 400], [400, 400], [200, 0]), used=(3, 1))


def test_a_genotype_without_an_episode_is_not_better_than_the_worst():
    record = known([0, 0], [10, 0], [-30, 0])
    assert not better(record, confidence=0)
    add(record, 0, 1, True, 0)
    record.count_round()
    assert better(record, confidence=0)


@given(seed=st.integers(0, 999), confidence=st.floats(0, 3))
def test_of_two_genotypes_at_most_one_is_better(seed, confidence):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 60, 2)
    record = known(rng.integers(0, counts + 1), counts, rng.normal(size=2) * counts)
    used = rng.integers(0, 3, 2).tolist()
    assert not all(better(record, *places, used, confidence=confidence) for places in [(0, 1), (1, 0)])


# --- elites, rejections, replacements


def test_the_elite_stays_until_another_is_better_by_more_than_its_noise():
    # Of 10 episodes an error is 0.13, and a success more is 1/12.
    for successes, elite in {(5, 6, 6): 0, (5, 6, 7): 2, (2, 7, 8): 1, (2, 7, 10): 2}.items():
        assert choose_elites(known(successes, [10] * 3), np.zeros((1, 3), int), RULE).tolist() == [elite]


def test_every_task_has_its_own_elite():
    record = FitnessRecord.fresh(3, 2)
    record.episodes[:] = 20
    record.successes[:] = [[20, 0], [0, 20], [10, 10]]
    record.age[:] = 5
    assert choose_elites(record, np.zeros((3, 2), int), RULE).tolist() == [0, 1, 0]


def test_genotypes_that_are_clearly_worse_than_the_elite_are_rejected():
    record = known([18, 17, 5, 0], [20, 20, 20, 0])
    assert rejections(record, 4, RULE).tolist() == [[False, False, True, False]]


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0])
def test_one_success_or_one_failure_of_a_newborn_decides_nothing(rate):
    record = known([20 * rate, 1, 0], [20, 1, 1])
    record.task_episodes[0], record.task_successes[0] = 60, 60 * rate
    assert not rejections(record, 3, RULE)[0, :2].any()
    assert choose_elites(record, np.array([[2, 1, 1]]), RULE).tolist() == [0]


def test_a_genotype_of_too_few_rounds_neither_becomes_the_elite_nor_is_rejected():
    record = known([10, 20, 0], [20, 20, 20])
    record.age[0] = 1
    for rounds, elite, rejected in ((1, 1, True), (2, 0, False)):
        rule = Selection(rule="record", min_rounds=rounds)
        assert choose_elites(record, np.zeros((1, 3), int), rule).tolist() == [elite]
        assert rejections(record, 3, rule)[0, 2] == rejected


def test_a_genotype_of_enough_rounds_may_replace_an_elite_of_fewer():
    record = known([10, 20], [20, 20])
    record.age[0] = [1, 2]
    assert better(record, min_rounds=2)


def test_a_difference_must_exceed_its_own_error():
    rules = [Selection(rule="record", confidence=c) for c in (2.2, 2.4)]
    record = known([15, 8], [20, 20])  # 16/22 and 9/22, errors 0.093 and 0.103: 2.3 errors of the difference apart
    assert [rejections(record, 2, rule)[0, 1] for rule in rules] == [True, False]


def test_fewer_modules_of_the_elite_reject_nobody():
    record = known([400, 400], [400, 400])
    assert better(record, used=(2, 1))
    assert not rejections(record, 2, RULE).any()


def test_with_a_memory_of_0_the_mean_return_still_follows_all_episodes():
    record = FitnessRecord.fresh(1, 1)
    for value in (0, 10, 20):
        add(record, 0, 0, False, value)
        record.count_round()
        record.fade(0.0)
    assert record.mean_return[0] == pytest.approx(10)


def test_without_an_episode_of_the_elite_nobody_is_rejected():
    assert not rejections(known([0, 0, 0], [0, 9, 9]), 3, RULE).any()


def chosen(scores, rejected, inertia):
    return replacements(np.array([scores], float), np.array([rejected]), inertia).tolist()[0]


@pytest.mark.parametrize(
    ("children", "expected"),
    [([5, 5], [0, 1, 2]), ([5.1, 5], [0, 1, 3]), ([5.1, 6.5], [0, 1, 4]), ([7, 8], [0, 3, 4])],
)
def test_a_child_must_be_better_by_the_inertia_and_the_worst_genotype_goes_first(children, expected):
    # Genotypes of scores 9 (the elite), 2 and 1; children are at places 3 and 4.
    assert chosen([9, 2, 1, *children], [False] * 3, 4.0) == expected


def test_a_rejected_genotype_goes_whatever_its_score_and_gets_the_best_child():
    assert chosen([9, 20, 1, 3, 6], [False, True, False], 4.0) == [0, 4, 2]


def test_the_elite_stays_whatever_its_score():
    assert chosen([-100, 0, 9], [True, False], 0.0) == [0, 2]


def test_without_children_all_genotypes_stay():
    assert chosen([1, 2, 3], [False, True, True], 0.0) == [0, 1, 2]


def test_with_fewer_children_than_rejected_genotypes_the_worst_goes():
    assert chosen([9, 2, 1, 0], [False, True, True], 4.0) == [0, 1, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "best"}, "rule must be one of record, round, got 'best'"),
        ({"memory": 1.1}, "memory must be between 0 and 1, got 1.1"),
        ({"confidence": -1}, "confidence must be at least 0, got -1"),
        ({"resolution": -0.1}, "resolution must be between 0 and 1, got -0.1"),
    ],
)
def test_invalid_settings_of_selection_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Selection(**settings)
