import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from genoevo_runs.statistics import interquartile_mean, iqm_interval, mean_of_runs, probability_of_improvement


def _rng():
    return np.random.default_rng(0)


def test_interquartile_mean_drops_the_lowest_and_the_highest_quarter():
    assert interquartile_mean(np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 100.0]])) == 3.5  # (2+3+4+5)/4


def test_a_quarter_is_rounded_down():
    # Of six values one is dropped at either end: (2 + 3 + 4 + 5) / 4.
    assert interquartile_mean(np.array([[1.0, 2, 3], [4, 5, 60]])) == 3.5


def test_the_error_of_a_mean_is_the_deviation_of_runs_over_the_root_of_their_number():
    mean = mean_of_runs(np.array([0.1, 0.2, 0.6]))
    assert mean.value == pytest.approx(0.3)
    assert mean.error == pytest.approx(np.sqrt((0.04 + 0.01 + 0.09) / 2 / 3))
    assert (mean.runs, mean_of_runs(np.array([0.4])).error) == (3, None)


def test_interval_lies_around_the_value_and_tightens_with_seeds():
    few, many = (iqm_interval(_rng().uniform(size=(seeds, 4)), _rng()) for seeds in (5, 80))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_interval_of_equal_seeds_has_no_width_since_tasks_are_strata():
    # Tasks differ, seeds do not: resampling seeds within a task changes nothing.
    interval = iqm_interval(np.tile([0.0, 0.2, 0.6, 1.0], (5, 1)), _rng())
    assert (interval.low, interval.high) == (interval.value, interval.value) == (0.4, 0.4)


def test_interval_of_one_task_is_the_bootstrap_of_its_seeds():
    # Three seeds, no quarter to drop: the mean of 3 draws from {0, 3, 6}; 1/27 each are all 0 and all 6.
    interval = iqm_interval(np.array([[0.0], [3.0], [6.0]]), _rng())
    assert (interval.value, interval.low, interval.high) == (3.0, 0.0, 6.0)


def test_tasks_that_fail_together_give_a_wider_interval_by_whole_runs():
    scores = np.tile(np.repeat([0.0, 1.0], 5)[:, None], (1, 8))
    apart, together = (iqm_interval(scores, _rng(), whole_runs=whole) for whole in (False, True))
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_give_no_interval(seeds):
    interval = iqm_interval(np.full((seeds, 5), 0.5), _rng())
    assert (interval.value, interval.low, interval.high) == (0.5, None, None)


def test_the_same_generator_gives_the_same_interval():
    scores = _rng().uniform(size=(5, 3))
    assert iqm_interval(scores, _rng()) == iqm_interval(scores, _rng())


def test_probability_of_improvement_counts_pairs_and_half_of_ties():
    # Task 1: 1 beats 0, ties 1; 2 beats both: (1 + 0.5 + 1 + 1) / 4. Task 2: 0 beats nobody, ties none.
    first, second = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 1.0]])
    assert probability_of_improvement(first, second, _rng()).value == (0.875 + 0.0) / 2


def test_probability_of_improvement_is_the_mann_whitney_statistic():
    first, second = _rng().integers(0, 5, (6, 1)) / 4, np.random.default_rng(1).integers(0, 5, (4, 1)) / 4
    statistic = mannwhitneyu(first[:, 0], second[:, 0]).statistic
    assert probability_of_improvement(first, second, _rng()).value == pytest.approx(statistic / 24)


def test_probability_of_improvement_of_equal_methods_is_a_half_within_its_interval():
    scores = _rng().uniform(size=(10, 5))
    interval = probability_of_improvement(scores, scores, _rng())
    assert interval.value == 0.5
    assert interval.low < 0.5 < interval.high


def test_one_of_two_methods_with_too_few_seeds_is_enough_for_no_interval():
    interval = probability_of_improvement(np.ones((2, 3)), np.zeros((5, 3)), _rng())
    assert (interval.value, interval.low) == (1.0, None)


def test_methods_of_different_tasks_have_no_probability():
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(np.ones((3, 2)), np.ones((3, 3)), _rng())
