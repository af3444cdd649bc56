"""The record of genotypes: what episodes add up to, and its state."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo.community import FitnessRecord
from tests.engine.fitness_records import add, known

# --- what episodes add up to


def test_at_a_task_of_one_half_a_success_rate_is_the_mean_of_a_beta_posterior_with_its_deviation():
    rates = known(successes=[0, 3, 7], episodes=[0, 4, 7]).success
    for rate, error, (a, b) in zip(rates.mean[0], rates.error[0], [(1, 1), (4, 2), (8, 1)], strict=True):
        assert rate == pytest.approx(a / (a + b))
        assert error == pytest.approx(np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1))))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_few_episodes_make_a_genotype_neither_better_nor_worse_than_its_task(share):
    record = FitnessRecord.fresh(1, 2)
    for episode in range(200):
        add(record, 0, 0, episode % 10 < 10 * share, 0)
    rates = record.success.mean[0]
    assert rates == pytest.approx(share, abs=0.01)


def test_an_estimate_leans_on_the_task_as_by_two_episodes():
    record = known([5, 10], [10, 10])
    record.task_episodes[0], record.task_successes[0] = 20, 15
    prior = 16 / 22
    assert record.success.mean[0].tolist() == pytest.approx([(5 + 2 * prior) / 12, (10 + 2 * prior) / 12])


def test_a_relative_return_is_the_deviation_from_the_tasks_mean_so_far_in_units_of_its_spread():
    record = FitnessRecord.fresh(1, 3)
    add(record, 0, 0, False, 10)
    add(record, 0, 1, False, 14)  # mean 12, squared spread 4**2 / 2 = 8
    add(record, 0, 2, False, 16)  # 4 above the mean
    assert record.relative_returns[0].tolist() == pytest.approx([0, 0, 4 / np.sqrt(8)])
    assert record.mean_return[0] == pytest.approx(40 / 3)
    assert record.squared_spread[0] == pytest.approx(8 + (16 - 8) / 3)


def test_the_mean_relative_return_is_shrunk_by_one_episode_at_the_tasks_mean():
    estimate = known([0, 0], [0, 3], [0, 1.5]).relative_return
    assert estimate.mean[0].tolist() == [0, 1.5 / 4]
    assert estimate.error[0].tolist() == [1, 1 / 2]


@pytest.mark.parametrize(("value", "relative_return"), [(1e6, 3), (-1e6, -3)])
def test_one_return_far_from_all_others_counts_as_three_spreads(value, relative_return):
    record = FitnessRecord.fresh(1, 2)
    for ordinary in (0, 1, 0, 1):
        add(record, 0, 0, False, ordinary)
    add(record, 0, 1, False, value)
    assert record.relative_returns[0, 1] == relative_return


def test_equal_returns_have_a_relative_return_of_0():
    record = FitnessRecord.fresh(1, 2)
    for genotype in (0, 1, 0, 1):
        add(record, 0, genotype, False, 0.1)
    assert record.relative_returns.tolist() == [[0, 0]]


@given(scale=st.sampled_from([2.0**-20, 1.0, 2.0**20]), shift=st.sampled_from([-4096.0, 0.0, 4096.0]))
def test_relative_returns_do_not_depend_on_the_unit_of_returns(scale, shift):
    records, values = [], np.random.default_rng(3).integers(-9, 9, 24)
    for unit in (lambda v: v, lambda v: scale * (v + shift)):
        record = FitnessRecord.fresh(1, 3)
        for number, value in enumerate(values):
            add(record, 0, number % 3, False, unit(value))
        records.append(record)
    np.testing.assert_allclose(records[0].relative_returns, records[1].relative_returns, rtol=1e-9)


def test_the_spread_follows_returns_that_rise_with_training():
    record = FitnessRecord.fresh(1, 1)
    rng = np.random.default_rng(1)
    for level in (0.0, 100.0):
        for _ in range(200):
            add(record, 0, 0, False, level + rng.normal())
    assert record.mean_return[0] == pytest.approx(100, abs=1.5)
    assert np.sqrt(record.squared_spread[0]) == pytest.approx(1, abs=0.5)


class Written:
    """The record of one task as lists of episodes, each with its weight."""

    def __init__(self, size):
        self.genotypes, self.task, self.returns, self.count = [[] for _ in range(size)], [], [], 0
        self.age, self.present = [0] * size, [False] * size
        self.mean, self.squared = None, 0.0

    def add(self, genotype, success, value):
        relative_return = 0.0
        if self.mean is None:
            self.mean = value
        if self.squared > 0:
            relative_return = min(max((value - self.mean) / self.squared**0.5, -3), 3)
        self.genotypes[genotype].append([1.0, success, relative_return])
        self.task.append([1.0, success])
        self.count += 1
        share = 1 / min(self.count, 20)
        deviation = value - self.mean
        self.mean += share * deviation
        self.squared += share * (deviation**2 - self.squared)
        self.present[genotype] = True

    def end_round(self, memory, rows):
        self.age = [age + present for age, present in zip(self.age, self.present, strict=True)]
        for episode in itertools.chain(self.task, *self.genotypes):
            episode[0] *= memory
        self.genotypes = [[] if row < 0 else list(map(list, self.genotypes[row])) for row in rows]
        self.age = [0 if row < 0 else self.age[row] for row in rows]
        self.present = [False] * len(rows)

    def sums(self, column):
        return [sum(episode[0] * episode[column] for episode in of_one) for of_one in self.genotypes]


episodes = st.tuples(st.integers(0, 2), st.booleans(), st.integers(-50, 50))
rounds = st.lists(st.tuples(st.lists(episodes, max_size=6), st.lists(st.integers(-1, 2), min_size=3, max_size=3)))


@given(rounds=rounds, memory=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_record_is_what_lists_of_weighted_episodes_add_up_to(rounds, memory):
    record, written = FitnessRecord.fresh(2, 3), Written(3)
    for of_round, rows in rounds:
        for genotype, success, value in of_round:
            add(record, 1, genotype, success, value)
            written.add(genotype, success, float(value))
        record.count_round()
        record.follow(np.array([[0, 1, 2], rows]))
        record.fade(memory)
        written.end_round(memory, rows)
        np.testing.assert_allclose(record.episodes[1], [sum(e[0] for e in one) for one in written.genotypes])
        np.testing.assert_allclose(record.successes[1], written.sums(1), atol=1e-12)
        np.testing.assert_allclose(record.relative_returns[1], written.sums(2), atol=1e-9)
        np.testing.assert_allclose(record.task_episodes[1], sum(weight for weight, _ in written.task))
        np.testing.assert_allclose(record.task_successes[1], sum(w * s for w, s in written.task), atol=1e-12)
        assert record.age[1].tolist() == written.age
        if written.mean is not None:
            assert record.mean_return[1] == pytest.approx(written.mean)
            assert record.squared_spread[1] == pytest.approx(written.squared)
    assert record.episodes[0].tolist() == [0, 0, 0]
    assert np.isnan(record.mean_return[0])


def test_age_counts_rounds_with_an_episode_however_many():
    record = FitnessRecord.fresh(1, 2)
    for episodes_of_round in (2, 0, 1):
        for _ in range(episodes_of_round):
            add(record, 0, 1, True, 0)
        record.count_round()
    assert record.age.tolist() == [[0, 2]]


def test_a_new_genotype_has_no_record_and_the_tasks_own_stays():
    record = FitnessRecord.fresh(1, 2)
    for genotype in (0, 1):
        add(record, 0, genotype, True, 5)
    record.surrogate[:] = [[1.0, 2.0]]
    record.count_round()
    record.follow(np.array([[1, -1]]))
    assert (record.episodes.tolist(), record.age.tolist()) == ([[1, 0]], [[1, 0]])
    assert record.surrogate[0, 0] == 2
    assert np.isnan(record.surrogate[0, 1])
    assert (record.task_episodes.item(), record.task_success.mean.item()) == (2, 3 / 4)


def test_genotypes_that_are_not_named_stay_where_they_are():
    record = known([1, 2, 3], [4, 4, 4])
    record.follow(np.array([[1, 0]]))
    assert record.successes.tolist() == [[2, 1, 3]]


def test_an_episode_of_this_round_counts_for_a_genotype_that_moves():
    record = FitnessRecord.fresh(1, 2)
    add(record, 0, 0, True, 0)
    record.follow(np.array([[1, 0]]))
    record.count_round()
    assert record.age.tolist() == [[0, 1]]


def test_the_error_of_a_tasks_mean_return_is_its_spread_over_the_root_of_the_episodes_that_it_remembers():
    record = FitnessRecord.fresh(1, 1)
    for value in (1, 5) * 4:
        add(record, 0, 0, False, value)
    assert record.task_return.error[0] == pytest.approx(np.sqrt(record.squared_spread[0] / 8))
    for value in (1, 5) * 50:
        add(record, 0, 0, False, value)
    assert record.task_return.error[0] == pytest.approx(np.sqrt(record.squared_spread[0] / 20))


@pytest.mark.parametrize(
    ("tasks", "genotypes", "success", "returns", "message"),
    [
        ([0, 0], [0, 1], [1, 1], [0, 0], r"at most one episode at a time, got tasks \[0, 0\]"),
        ([2], [0], [1], [0], r"tasks must be from 0 to 1, got \[2\]"),
        ([0], [-1], [1], [0], r"genotypes must be from 0 to 2, got \[-1\]"),
        ([0], [3], [1], [0], r"genotypes must be from 0 to 2, got \[3\]"),
        ([0], [0], [2], [0], r"success must be between 0 and 1, got \[2\]"),
        ([0, 1], [0, 0], [1, 1], [0.0, np.nan], r"returns must be finite, got \[0.0, nan\]"),
    ],
)
def test_episodes_that_cannot_be_are_refused_and_change_nothing(tasks, genotypes, success, returns, message, frozen):
    record = FitnessRecord.fresh(2, 3)
    before = frozen(record.as_arrays())
    with pytest.raises(ValueError, match=message):
        record.add(*map(np.array, (tasks, genotypes, success, returns)))
    assert frozen(record.as_arrays()) == before


# --- state


def of_some_episodes():
    record = FitnessRecord.fresh(2, 2)
    for number in range(5):
        add(record, number % 2, number // 2 % 2, number > 2, number**2)
    record.count_round()
    record.fade(0.9)
    add(record, 0, 1, True, 3)
    return record


def test_a_record_goes_on_from_its_arrays_bit_for_bit(frozen):
    record = of_some_episodes()
    other = FitnessRecord.from_state(record.as_arrays(), 2, 2)
    for each in (record, other):
        add(each, 1, 0, True, 7)
        each.count_round()
    assert frozen(other.as_arrays()) == frozen(record.as_arrays())


def test_the_arrays_of_a_record_are_copies(frozen):
    record = of_some_episodes()
    arrays = record.as_arrays()
    before = frozen(arrays)
    for each in (record, FitnessRecord.from_state(arrays, 2, 2)):
        add(each, 0, 0, True, 7)
        each.count_round()
        each.fade(0.5)
    assert frozen(arrays) == before


def test_a_record_from_before_episodes_were_counted_by_round_is_read():
    arrays = of_some_episodes().as_arrays()
    del arrays["round_episodes"], arrays["round_successes"]
    assert FitnessRecord.from_state(arrays, 2, 2).round_episodes.tolist() == [0, 0]


@pytest.mark.parametrize(
    "name", sorted(set(FitnessRecord.fresh(1, 1).as_arrays()) - {"round_episodes", "round_successes"})
)
def test_a_record_without_one_of_its_arrays_is_refused_by_name(name):
    arrays = of_some_episodes().as_arrays()
    del arrays[name]
    with pytest.raises(ValueError, match=f"the state of a fitness record has no '{name}'"):
        FitnessRecord.from_state(arrays, 2, 2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("episodes", np.zeros((2, 3)), r"episodes must be of shape \(2, 2\), got \(2, 3\)"),
        ("age", np.zeros((2, 2)), "age must be an array of int64, got float64"),
        ("present", [[True] * 2] * 2, "present must be an array of bool, got list"),
        ("episodes", np.full((2, 2), np.inf), "episodes of a fitness record must be finite"),
        ("relative_returns", np.full((2, 2), np.nan), "relative_returns of a fitness record must be finite"),
        ("successes", np.full((2, 2), 99.0), "successes of a fitness record must be from 0 to episodes"),
        ("successes", np.full((2, 2), -1.0), "successes of a fitness record must be from 0 to episodes"),
        ("task_successes", np.full(2, 99.0), "task_successes of a fitness record must be from 0 to task_episodes"),
        ("age", np.full((2, 2), -1), "age of a fitness record must be at least 0"),
        ("mean_return", np.full(2, np.inf), "mean_return of a fitness record must be finite or NaN"),
        ("squared_spread", np.full(2, -1.0), "squared_spread of a fitness record must be at least 0"),
        ("squared_spread", np.full(2, np.nan), "squared_spread of a fitness record must be at least 0"),
    ],
)
def test_a_record_that_no_episodes_add_up_to_is_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=message):
        FitnessRecord.from_state({**of_some_episodes().as_arrays(), name: value}, 2, 2)
