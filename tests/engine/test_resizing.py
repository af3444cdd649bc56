from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators import LengthPolicy
from genoevo.operators.mutation import delete, duplicate, insert
from tests.engine.texts import strings

STAGED = StagedLayout(2)
ANY_LENGTH = st.integers(1, 150) | st.sampled_from([63, 64, 65, 128])

each_operator = pytest.mark.parametrize("operator", [insert, delete, duplicate])
each_unit = pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({"granularity": "bit"}, ANY_LENGTH),
        ({"granularity": "gene", "layout": FlatLayout(3)}, st.integers(1, 50).map(lambda genes: 3 * genes)),
        ({"granularity": "segment", "layout": STAGED}, st.integers(1, 8).map(STAGED.length)),
        ({"granularity": "gene", "layout": STAGED}, st.integers(1, 8).map(STAGED.length)),
        ({"granularity": "bit", "policy": LengthPolicy(maximum=150, illegal="reject")}, ANY_LENGTH),
    ],
    ids=["bit", "flat gene", "segment", "staged gene", "reject"],
)


class Free:
    """A layout in which all lengths are legal, in segments of 2, 3, 2, 3 ... bits."""

    precision = 1

    def length(self, size):
        return size

    def stage(self, length):
        return length

    def segments(self, size):
        ends = [0]
        while ends[-1] < size:
            ends.append(min(ends[-1] + 3 - len(ends) % 2, size))
        return [slice(a, b) for a, b in pairwise(ends)]


def outcomes(operator, text, granularity, layout, rng, n=6000):
    """The different results of an operator on one genotype, and how often each came."""
    rows = operator(Population.from_genotypes([text] * n), rng, granularity=granularity, layout=layout)
    found, counts = np.unique(strings(rows), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


@each_operator
@each_unit
@given(data=st.data(), seed=st.integers(0, 999))
def test_lengths_are_legal_and_parents_untouched(
    check_well_formed, check_no_shared_memory, operator, settings, length, data, seed
):
    lengths = np.array(data.draw(st.lists(length, min_size=1, max_size=6)))
    parents = Population.random(len(lengths), lengths, np.random.default_rng(seed))
    before = parents.copy()
    mutants = operator(parents, np.random.default_rng(seed), **settings)
    check_well_formed(mutants)
    check_no_shared_memory([mutants], [parents])
    np.testing.assert_array_equal(parents.words, before.words)
    np.testing.assert_array_equal(parents.lengths, before.lengths)
    assert mutants.lengths.min() >= 1
    layout = settings.get("layout")
    assert all(layout is None or layout.stage(length) for length in mutants.lengths.tolist())
    again = operator(parents, np.random.default_rng(seed), **settings)
    assert strings(again) == strings(mutants)


@given(rows=st.lists(st.text("01", min_size=2, max_size=150), min_size=1, max_size=5), seed=st.integers(0, 999))
def test_one_unit_is_inserted_deleted_or_doubled_and_nothing_else_moves(rows, seed):
    layout = FlatLayout(2)
    texts = [text[: len(text) // 2 * 2] for text in rows]
    use = {"granularity": "gene", "layout": layout}
    mutants = {
        operator.__name__: strings(operator(Population.from_genotypes(texts), np.random.default_rng(seed), **use))
        for operator in (insert, delete, duplicate)
    }
    for row, text in enumerate(texts):
        places = range(0, len(text) + 2, 2)
        assert any(
            mutants["insert"][row][:k] == text[:k] and mutants["insert"][row][k + 2 :] == text[k:] for k in places
        )
        assert mutants["duplicate"][row] in [text[:k] + text[k - 2 :] for k in places[1:]]
        if len(text) > 2:
            assert mutants["delete"][row] in [text[:k] + text[k + 2 :] for k in places[:-1]]


def test_every_unit_is_deleted_equally_often(rng, check_frequencies):
    found = outcomes(delete, "0100011101", "segment", Free(), rng)
    expected = ["00011101", "0111101", "01000101", "0100011"]
    assert set(found) == set(expected)
    check_frequencies([found[text] for text in expected], [1 / 4] * 4)


def test_every_unit_is_doubled_equally_often(rng, check_frequencies):
    found = outcomes(duplicate, "0100011101", "segment", Free(), rng)
    expected = ["010100011101", "0100000011101", "010001111101", "0100011101101"]
    assert set(found) == set(expected)
    check_frequencies([found[text] for text in expected], [1 / 4] * 4)


def test_a_unit_is_inserted_anywhere_and_is_as_long_as_the_one_before(rng, check_frequencies):
    found = outcomes(insert, "00111", "segment", Free(), rng, 9000)
    # Places: before and after the first unit (2 bits), and after the second (3 bits).
    expected = {}
    for i in range(4):
        bits = f"{i:02b}"
        for text in (bits + "00111", "00" + bits + "111"):
            expected[text] = expected.get(text, 0) + 1 / 12
    for i in range(8):
        text = f"00111{i:03b}"
        expected[text] = expected.get(text, 0) + 1 / 24
    assert set(found) == set(expected)
    check_frequencies([found[text] for text in expected], list(expected.values()))


def test_deleting_the_only_unit_leaves_a_random_genotype_of_the_least_length(rng):
    found = outcomes(delete, "11", "segment", FlatLayout(2), rng, 200)
    assert set(found) == {"00", "01", "10", "11"}


def test_a_staged_genotype_is_mended_to_the_nearest_stage(rng):
    stage_4 = Population.random(200, STAGED.length(4), rng)
    assert set(insert(stage_4, rng, layout=STAGED).lengths.tolist()) <= {STAGED.length(4), STAGED.length(5)}
    assert set(delete(stage_4, rng, layout=STAGED).lengths.tolist()) <= {STAGED.length(3), STAGED.length(4)}


@each_operator
def test_the_policy_bounds_the_lengths(rng, operator):
    parents = Population.random(50, 30, rng)
    policy = LengthPolicy(minimum=30, maximum=30)
    assert set(operator(parents, rng, granularity="bit", policy=policy).lengths.tolist()) == {30}


@each_operator
def test_segments_need_a_layout(rng, operator):
    with pytest.raises(ValueError, match="granularity 'segment' needs a layout"):
        operator(Population.random(2, 10, rng), rng)


@each_operator
def test_mutants_are_unevaluated_and_keep_the_weights(rng, operator):
    population = Population.random(3, 10, rng, weights=(1, -1))
    population.fitness = np.ones((3, 2))
    mutants = partial(operator, granularity="bit")(population, rng)
    assert not mutants.evaluated.any()
    assert mutants.weights == (1.0, -1.0)
