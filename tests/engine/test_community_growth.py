"""When the tasks of a community grow, and what growth makes of their genotypes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo.community import Growth, Mating
from tests.engine.communities import IMPATIENT, LAYOUT, community, growths, play
from tests.engine.texts import strings


@pytest.mark.parametrize(("patience", "warmup", "expected"), [(1, 0, 2), (3, 0, 4), (3, 4, 4), (3, 9, 9), (1, 6, 6)])
@pytest.mark.parametrize("performance", [0.0, 0.3])
def test_a_task_grows_after_patience_rounds_without_gain_but_not_before_warmup(
    patience, warmup, expected, performance
):
    one = community(growth=Growth(patience=patience, warmup_rounds=warmup))
    assert growths(one, [performance] * expected) == [expected]
    assert one.stages.tolist() == [4]


def test_after_growth_a_task_has_its_patience_anew():
    assert growths(community(growth=IMPATIENT), [0.3] * 13) == [4, 8, 12]


def test_after_growth_a_lower_score_is_measured_by_itself():
    # 0.1 is no gain over the 0.5 before growth, but it is where the new stage starts; 0.2 then is a gain.
    assert growths(community(growth=IMPATIENT), [0.5] * 4 + [0.1] * 3 + [0.2] * 4) == [4, 11]


def test_no_task_grows_past_max_modules():
    one = community(2, growth=Growth(patience=1, warmup_rounds=0, max_modules=5))
    play(one, [0.0] * 20)
    assert one.stages.tolist() == [5, 5]


def test_a_start_stage_at_max_modules_is_legal_and_stays():
    one = community(stage=4, growth=Growth(patience=1, warmup_rounds=0, max_modules=4))
    play(one, [0.0] * 5)
    assert one.stages.tolist() == [4]


def test_a_task_at_mastery_does_not_grow():
    rule = Growth(patience=3, warmup_rounds=0, mastery=0.5)
    assert growths(community(growth=rule), [0.5] * 20) == []


def test_success_just_below_mastery_still_grows():
    assert growths(community(growth=IMPATIENT), [0.79] * 4) == [4]


def test_mastery_is_read_from_all_genotypes_of_the_task():
    assert growths(community(growth=IMPATIENT), [[[1.0, 0.2, 0.2]]] * 4) == [4]


def test_a_task_whose_best_score_keeps_rising_does_not_grow():
    assert growths(community(growth=IMPATIENT, mating=Mating(usage_cost=0)), np.arange(0.1, 0.75, 0.06)) == []


def test_small_steps_count_once_they_add_up_to_the_least_gain():
    flat = Mating(usage_cost=0)
    assert growths(community(growth=IMPATIENT, mating=flat), np.arange(0.1, 0.75, 0.02)) == []
    assert growths(community(growth=IMPATIENT, mating=flat), np.arange(0.1, 0.2, 0.01))[0] == 4


def test_a_gain_restarts_the_patience():
    assert growths(community(growth=IMPATIENT), [0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3]) == [7]


def test_a_fall_is_no_gain_and_neither_is_the_recovery():
    assert growths(community(growth=IMPATIENT), [0.5, 0.2, 0.5, 0.5]) == [4]


def test_once_a_task_succeeds_rising_returns_are_no_gain():
    assert growths(community(growth=IMPATIENT), [0.3] * 4, [0, 100, 200, 300]) == [4]


def test_one_genotype_that_succeeds_is_enough_to_read_the_score():
    assert growths(community(growth=IMPATIENT), [[[0.0, 0.3, 0.0]]] * 4, [0, 100, 200, 300]) == [4]


@pytest.mark.parametrize("slope", [1.0, 1e-6, 1e6])
def test_while_success_is_0_rising_returns_are_a_gain_in_any_unit(slope):
    assert growths(community(growth=IMPATIENT), [0.0], -1000 * slope + slope * np.arange(12)) == []


@pytest.mark.parametrize("returns", [[5.0] * 4, [3, 2, 1, 0], [3, -50, 2, 3]])
def test_while_success_is_0_flat_or_falling_returns_are_no_gain(returns):
    assert growths(community(growth=IMPATIENT), [0.0], returns) == [4]


@pytest.mark.parametrize(("step", "expected"), [(2, [5]), (6, [])])
def test_while_success_is_0_a_gain_is_measured_by_the_running_range_of_returns(step, expected):
    # The range is 100 and more, so 5 of it must be gained at the least.
    assert growths(community(growth=IMPATIENT), [0.0], [0, 100, 100 + step, 100 + step, 100 + step]) == expected


def test_the_running_range_remembers_the_lowest_return_of_long_ago():
    near, far = [[low, *range(10, 22), 21.5, 22, 22.5] for low in (9, -100)]
    assert growths(community(growth=IMPATIENT), [0.0], near) == []
    assert growths(community(growth=IMPATIENT), [0.0], far) != []


@given(
    seed=st.integers(0, 999), scale=st.sampled_from([2.0**-20, 0.5, 2.0**20]), shift=st.sampled_from([-4096, 4096])
)
def test_growth_does_not_depend_on_the_unit_of_returns(seed, scale, shift):
    walk = np.random.default_rng(seed).integers(-5, 6, 25).cumsum()
    rounds = [growths(community(growth=IMPATIENT), [0.0], returns) for returns in (walk, scale * (walk + shift))]
    assert rounds[0] == rounds[1]


def test_the_mean_over_a_tasks_genotypes_is_its_return():
    rising = [[[0, 0, i]] for i in range(8)]
    balanced = [[[-i, 0, i]] for i in range(8)]
    assert growths(community(growth=IMPATIENT), [0.0], rising) == []
    assert growths(community(growth=IMPATIENT), [0.0], balanced) == [4, 8]


def test_growth_grows_all_genotypes_of_the_task_and_no_other():
    one = community(3, growth=IMPATIENT)
    done = play(one, [[[1.0], [0.0], [0.5 + 0.1 * i]] for i in range(4)])
    assert [r.grown for r in done] == [[], [], [], [1]]
    assert one.stages.tolist() == [3, 4, 3]
    assert one.population.lengths.tolist() == [18] * 3 + [28] * 3 + [18] * 3


@pytest.mark.parametrize("fill", ["preserve", "random"])
def test_a_grown_elite_is_the_old_one_with_a_segment_more(fill):
    one = community(2, size=4, growth=Growth(patience=3, warmup_rounds=0, fill=fill))
    play(one, [0.0] * 3)
    before = one.of(1)
    elite = before[int(one.step(np.zeros((2, 4))).elites[1])]
    assert str(one.of(1)[0]).startswith(str(elite))
    output = LAYOUT.segments(3)[-1]
    copies = [text[18:] == text[output] + "00" for text in strings(one.population)]
    assert copies == [fill == "preserve"] * 8


def test_grown_genotypes_are_unevaluated_and_the_others_elites_are_not():
    one = community(2, growth=IMPATIENT)
    play(one, [[[1.0], [0.0]]] * 4)
    assert one.population.evaluated.tolist() == [True, False, False, False, False, False]


@given(
    seed=st.integers(0, 999),
    level=st.sampled_from([0.0, 0.3, 1.0]),
    patience=st.integers(1, 4),
    shrink=st.booleans(),
)
def test_whatever_happens_stages_move_by_one_and_stay_within_their_bounds(
    check_well_formed, seed, level, patience, shrink
):
    rng = np.random.default_rng(seed)
    rule = Growth(patience=patience, warmup_rounds=3, max_modules=4, shrink=shrink, mastery=0.5)
    one = community(3, stage=2, growth=rule, seed=seed)
    for _ in range(20):
        before = one.stages
        done = one.step(np.minimum(rng.random((3, 3)), level), rng.normal(size=(3, 3)))
        change = np.zeros(3, int)
        change[done.grown] += 1
        change[done.shrunk] -= 1
        assert (one.stages == before + change).all()
        assert ((one.stages >= 2) & (one.stages <= 4)).all()
        assert shrink or not done.shrunk
        check_well_formed(one.population)
        expected = [LAYOUT.length(int(stage)) for stage in one.stages for _ in range(3)]
        assert one.population.lengths.tolist() == expected
