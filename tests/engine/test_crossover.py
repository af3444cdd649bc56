"""What all crossovers have in common: what children keep, and of whom."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators.crossover import cut_and_splice, n_point, one_point, segments, two_point, uniform
from tests.engine.texts import strings

LAYOUT = StagedLayout(3)
ANY = st.integers(1, 150) | st.sampled_from([63, 64, 65, 127, 128, 129])
STAGED = st.integers(1, 8).map(LAYOUT.length)
FLAT = FlatLayout(3)
GENES = st.integers(1, 60).map(FLAT.length)

each_operator = pytest.mark.parametrize(
    ("operator", "length"),
    [
        *(pytest.param(partial(n_point, points=points), ANY, id=f"{points} points") for points in (1, 2, 5)),
        *(pytest.param(partial(uniform, rate=rate), ANY, id=f"uniform {rate}") for rate in (0.5, 0.2)),
        pytest.param(partial(segments, layout=LAYOUT), STAGED, id="segments"),
        *(
            pytest.param(
                partial(use, granularity=granularity, layout=layout), length, id=f"{name} {granularity} {kind}"
            )
            for name, use in [("2 points", n_point), ("3 points", partial(n_point, points=3)), ("uniform", uniform)]
            for granularity in ("gene", "segment")
            for kind, layout, length in [("staged", LAYOUT, STAGED), ("flat", FLAT, GENES)]
        ),
    ],
)


def draw_parents(data, length):
    pairs = data.draw(st.lists(st.tuples(length, length), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    return [Population.random(len(pairs), np.array(side), rng) for side in zip(*pairs, strict=True)]


@each_operator
@given(data=st.data())
def test_children_keep_their_parents_lengths(check_well_formed, operator, length, data):
    parents = draw_parents(data, length)
    for child, parent in zip(operator(*parents, np.random.default_rng(1)), parents, strict=True):
        check_well_formed(child)
        assert child.lengths.tolist() == parent.lengths.tolist()


@each_operator
@given(data=st.data())
def test_children_keep_their_own_parents_tails(operator, length, data):
    parents = draw_parents(data, length)
    common = np.minimum(*[parent.lengths for parent in parents])
    for child, parent in zip(operator(*parents, np.random.default_rng(1)), parents, strict=True):
        assert [s[c:] for s, c in zip(strings(child), common, strict=True)] == [
            s[c:] for s, c in zip(strings(parent), common, strict=True)
        ]


@each_operator
@given(data=st.data())
def test_at_every_common_position_the_two_children_hold_the_two_parents_bits(operator, length, data):
    parents = draw_parents(data, length)
    children = operator(*parents, np.random.default_rng(1))
    for parent_strings, child_strings in zip(
        zip(*map(strings, parents), strict=True), zip(*map(strings, children), strict=True), strict=True
    ):
        before = [{bits, bits[::-1]} for bits in zip(*parent_strings, strict=False)]
        after = [{bits, bits[::-1]} for bits in zip(*child_strings, strict=False)]
        assert after == before


@each_operator
@given(data=st.data())
def test_parents_are_left_untouched(operator, length, data, frozen):
    parents = draw_parents(data, length)
    parents[0].fitness = np.ones(len(parents[0]))
    state = [frozen([parent.words, parent.lengths, parent.fitness]) for parent in parents]
    operator(*parents, np.random.default_rng(1))
    assert [frozen([parent.words, parent.lengths, parent.fitness]) for parent in parents] == state


@each_operator
@given(data=st.data())
def test_children_share_no_array_with_parents_or_each_other(check_no_shared_memory, operator, length, data):
    parents = draw_parents(data, length)
    one, other = operator(*parents, np.random.default_rng(1))
    check_no_shared_memory([one, other], parents)
    check_no_shared_memory([one], [other])


@each_operator
@given(data=st.data())
def test_the_same_seed_gives_the_same_children(operator, length, data):
    parents = draw_parents(data, length)
    runs = [operator(*parents, np.random.default_rng(7)) for _ in range(2)]
    assert [strings(child) for child in runs[0]] == [strings(child) for child in runs[1]]


@each_operator
@given(data=st.data())
def test_a_donor_longer_than_the_child_is_read_only_as_far_as_the_child_goes(operator, length, data):
    first, second = draw_parents(data, length)
    mutilated = second.bits()
    mutilated[np.arange(mutilated.shape[1]) >= first.lengths[:, None]] ^= 1
    donors = [second, Population.from_bits(mutilated, second.lengths)]
    children = [operator(first, donor, np.random.default_rng(7))[0] for donor in donors]
    assert strings(children[0]) == strings(children[1])


@each_operator
def test_children_are_unevaluated_and_keep_the_weights(rng, operator, length):
    parents = [Population.random(4, LAYOUT.length(3), rng, weights=(1, -1)) for _ in range(2)]
    for parent in parents:
        parent.fitness = np.ones((4, 2))
    for child in operator(*parents, rng):
        assert not child.evaluated.any()
        assert child.weights == (1.0, -1.0)


@each_operator
def test_populations_of_different_sizes_do_not_pair_up(rng, operator, length):
    with pytest.raises(ValueError, match="parents must pair up, got 3 and 2"):
        operator(Population.random(3, 6, rng), Population.random(2, 6, rng), rng)


@pytest.mark.parametrize("granularity", ["bit", "gene", "segment"])
@pytest.mark.parametrize("operator", [one_point, two_point, uniform, cut_and_splice])
def test_no_parents_have_no_children(rng, operator, granularity):
    nobody = Population.random(2, StagedLayout(2).length(3), rng, weights=(1, -1))[:0]
    children = operator(nobody, nobody, rng, granularity=granularity, layout=StagedLayout(2))
    assert [(len(part), part.weights) for part in children] == [(0, (1, -1))] * 2
