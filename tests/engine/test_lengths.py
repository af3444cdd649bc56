import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators import LengthPolicy
from tests.engine.texts import strings

STAGED = StagedLayout(2)  # 4, 10, 18, 28, 40 ... bits
layouts = st.sampled_from([None, FlatLayout(), FlatLayout(3), STAGED, StagedLayout(5)])
seeds = st.integers(0, 999)


def population_of(lengths, seed=1):
    return Population.random(len(lengths), np.array(lengths), np.random.default_rng(seed))


def is_legal(length, layout):
    try:
        return layout is None or layout.stage(length) > 0
    except ValueError:
        return False


@st.composite
def cases(draw):
    layout = draw(layouts)
    rows = draw(st.integers(1, 6))
    sizes = st.lists(st.integers(1, 6), min_size=rows, max_size=rows)
    parents = [layout.length(size) if layout else size for size in draw(sizes)]
    children = draw(st.lists(st.integers(1, 150), min_size=rows, max_size=rows))
    low, high = min(parents), max(parents) + draw(st.integers(0, 50))
    bounds = {"minimum": draw(st.integers(1, low)), "maximum": draw(st.none() | st.just(high))}
    return layout, population_of(parents), population_of(children, 2), bounds


@pytest.mark.parametrize("illegal", ["repair", "reject"])
@given(case=cases(), seed=seeds)
def test_all_lengths_are_legal_within_bounds_and_nobody_shares_memory(
    check_well_formed, check_no_shared_memory, illegal, case, seed
):
    layout, parents, children, bounds = case
    policy = LengthPolicy(**bounds, illegal=illegal)
    legal = policy.enforce(children, parents, np.random.default_rng(seed), layout)
    check_well_formed(legal)
    check_no_shared_memory([legal], [parents, children])
    for length in legal.lengths.tolist():
        assert is_legal(length, layout)
        assert bounds["minimum"] <= length <= (bounds["maximum"] or length)


@given(case=cases(), seed=seeds)
def test_a_repaired_child_keeps_the_bits_that_there_is_room_for(case, seed):
    layout, parents, children, bounds = case
    repaired = LengthPolicy(**bounds).enforce(children, parents, np.random.default_rng(seed), layout)
    for before, after in zip(strings(children), strings(repaired), strict=True):
        assert after.startswith(before[: len(after)])


@given(case=cases(), seed=seeds)
def test_a_repaired_length_is_the_nearest_legal_one(case, seed):
    layout, parents, children, bounds = case
    repaired = LengthPolicy(**bounds).enforce(children, parents, np.random.default_rng(seed), layout)
    highest = bounds["maximum"] or 1000
    legal = [length for length in range(bounds["minimum"], highest + 1) if is_legal(length, layout)]
    for before, after in zip(children.lengths.tolist(), repaired.lengths.tolist(), strict=True):
        within = min(max(before, bounds["minimum"]), highest)
        assert after == min(legal, key=lambda length: (abs(length - within), length))


@given(case=cases(), seed=seeds)
def test_a_rejected_child_is_its_parents_copy_and_a_legal_one_stays(case, seed):
    layout, parents, children, bounds = case
    kept = LengthPolicy(**bounds, illegal="reject").enforce(children, parents, np.random.default_rng(seed), layout)
    for child, parent, result in zip(strings(children), strings(parents), strings(kept), strict=True):
        legal = is_legal(len(child), layout) and bounds["minimum"] <= len(child) <= (bounds["maximum"] or 1000)
        assert result == (child if legal else parent)


@pytest.mark.parametrize("illegal", ["repair", "reject"])
def test_children_and_parents_are_left_untouched_and_the_result_is_unevaluated(rng, frozen, illegal):
    parents, children = population_of([18, 18]), population_of([18, 7])
    parents.fitness, children.fitness = [1, 2], [3, 4]
    before = frozen([[p.words, p.lengths, p.fitness] for p in (parents, children)])
    assert not LengthPolicy(illegal=illegal).enforce(children, parents, rng, STAGED).evaluated.any()
    assert frozen([[p.words, p.lengths, p.fitness] for p in (parents, children)]) == before


@pytest.mark.parametrize(("illegal", "expected"), [("repair", [1, 3]), ("reject", [5, 3])])
def test_an_empty_child_never_comes_through(rng, illegal, expected):
    children = Population.unchecked(np.array([[0], [5]], dtype=np.uint64), np.array([0, 3]))
    legal = LengthPolicy(illegal=illegal).enforce(children, population_of([5, 5]), rng)
    assert legal.lengths.tolist() == expected


def test_added_bits_are_fair(rng, check_frequencies):
    children = Population.from_bits(np.zeros((4000, 1)))
    longer = LengthPolicy(minimum=70).enforce(children, children, rng)
    for column in longer.bits()[:, 1:].T:
        check_frequencies([column.sum(), 4000 - column.sum()], [0.5, 0.5])


def test_of_two_equally_near_lengths_the_shorter_is_taken(rng):
    assert LengthPolicy().enforce(population_of([14]), population_of([18]), rng, STAGED).lengths.tolist() == [10]


def test_a_layout_of_one_length_repairs_to_it(rng):
    layout = FlatLayout(2, genes=50)
    repaired = LengthPolicy().enforce(population_of([3, 300]), population_of([100, 100]), rng, layout)
    assert repaired.lengths.tolist() == [100, 100]


def test_nothing_is_drawn_where_all_is_legal(rng):
    before = rng.bit_generator.state
    LengthPolicy().enforce(population_of([10, 18]), population_of([18, 18]), rng, STAGED)
    assert rng.bit_generator.state == before


def test_bounds_without_a_legal_length_are_refused(rng):
    with pytest.raises(ValueError, match=r"StagedLayout\(precision=2\) has no legal length from 11 to 17 bits"):
        LengthPolicy(minimum=11, maximum=17).enforce(population_of([12]), population_of([18]), rng, STAGED)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimum": 0}, "minimum must be at least 1, got 0"),
        ({"minimum": 5, "maximum": 4}, "maximum must be at least 5, got 4"),
        ({"illegal": "mend"}, "illegal must be one of reject, repair, got 'mend'"),
    ],
)
def test_invalid_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        LengthPolicy(**settings)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LengthPolicy().minimum = 3
