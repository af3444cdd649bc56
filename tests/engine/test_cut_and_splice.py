from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators import LengthPolicy
from genoevo.operators.crossover import cut_and_splice
from tests.engine.texts import strings

STAGED = StagedLayout(2)
ANY = st.integers(1, 150) | st.sampled_from([63, 64, 65, 127, 128])

each_granularity = pytest.mark.parametrize(
    ("operator", "length"),
    [
        pytest.param(cut_and_splice, ANY, id="bit"),
        pytest.param(
            partial(cut_and_splice, granularity="gene", layout=FlatLayout(3)), st.integers(1, 50).map(lambda k: 3 * k)
        ),
        pytest.param(
            partial(cut_and_splice, granularity="segment", layout=STAGED), st.integers(1, 8).map(STAGED.length)
        ),
        pytest.param(
            partial(cut_and_splice, layout=STAGED, policy=LengthPolicy(illegal="reject")),
            st.integers(1, 8).map(STAGED.length),
        ),
    ],
    ids=["bit", "gene", "segment", "reject"],
)


def draw_parents(data, length):
    pairs = data.draw(st.lists(st.tuples(length, length), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    return [Population.random(len(pairs), np.array(side), rng) for side in zip(*pairs, strict=True)]


def zeros_and_ones(n, first, second):
    return Population.from_bits(np.zeros((n, first))), Population.from_bits(np.ones((n, second)))


def cuts(one, other, first, second):
    """(n, 2): where zeros and ones were cut, read from their unmended children."""
    kept = np.array([len(child) - child.count("1") for child in strings(one)])
    return np.stack([kept, second - (one.lengths - kept)], axis=1)


@each_granularity
@given(data=st.data())
def test_children_are_legal_and_parents_untouched(
    check_well_formed, check_no_shared_memory, frozen, operator, length, data
):
    parents = draw_parents(data, length)
    before = frozen([[parent.words, parent.lengths, parent.fitness] for parent in parents])
    children = operator(*parents, np.random.default_rng(1))
    layout = getattr(operator, "keywords", {}).get("layout")
    for child in children:
        check_well_formed(child)
        assert child.lengths.min() >= 1
        assert all(layout is None or layout.stage(length) for length in child.lengths.tolist())
    check_no_shared_memory(children, parents)
    check_no_shared_memory(children[:1], children[1:])
    assert frozen([[parent.words, parent.lengths, parent.fitness] for parent in parents]) == before


@each_granularity
@given(data=st.data())
def test_the_same_seed_gives_the_same_children(operator, length, data):
    parents = draw_parents(data, length)
    runs = [operator(*parents, np.random.default_rng(7)) for _ in range(2)]
    assert [strings(child) for child in runs[0]] == [strings(child) for child in runs[1]]


@given(data=st.data())
def test_a_pair_of_children_holds_all_bits_of_its_parents_once(data):
    parents = draw_parents(data, st.integers(20, 150))
    pairs = zip(
        *map(strings, parents), *map(strings, cut_and_splice(*parents, np.random.default_rng(1))), strict=True
    )
    for one, other, head, tail in pairs:
        splits = [(i, j) for i in range(len(one) + 1) for j in [len(head) - i] if 0 <= j <= len(other)]
        found = [
            (i, j)
            for i, j in splits
            if head == one[:i] + other[len(other) - j :] and tail == other[: len(other) - j] + one[i:]
        ]
        assert found or min(len(head), len(tail)) == 1  # an empty child was filled


@given(data=st.data())
def test_the_length_of_a_pair_is_conserved_unless_a_child_was_empty(data):
    parents = draw_parents(data, ANY)
    children = cut_and_splice(*parents, np.random.default_rng(1))
    before = parents[0].lengths + parents[1].lengths
    after = children[0].lengths + children[1].lengths
    filled = (children[0].lengths == 1) | (children[1].lengths == 1)
    assert (after[~filled] == before[~filled]).all()
    assert (after >= before).all()
    assert (after <= before + 1).all()


@pytest.mark.parametrize(("first", "second"), [(3, 5), (4, 4)])
def test_both_cuts_are_uniform_and_independent(rng, check_frequencies, first, second):
    n = 20000
    parents = zeros_and_ones(n, first, second)
    one, other = cut_and_splice(*parents, rng)
    places = cuts(one, other, first, second)
    # Where a child was empty, it has been filled: those two pairs of cuts are counted from the children's lengths.
    total = first + second
    filled = one.lengths + other.lengths != total
    index = np.where(filled, 0, places[:, 0] * (second + 1) + places[:, 1])
    counts = np.bincount(index[~filled], minlength=(first + 1) * (second + 1))
    whole = [i for i in range(len(counts)) if i not in (second, first * (second + 1))]
    cells = (first + 1) * (second + 1)
    check_frequencies([*counts[whole], filled.sum()], [*[1 / cells] * len(whole), 2 / cells])


@pytest.mark.parametrize(("first", "second"), [(3, 5), (1, 1), (10, 2)])
def test_a_child_is_empty_with_its_exact_probability(rng, check_frequencies, first, second):
    n = 20000
    one, other = cut_and_splice(*zeros_and_ones(n, first, second), rng)
    empty = (one.lengths + other.lengths > first + second).sum()
    probability = 2 / ((first + 1) * (second + 1))
    check_frequencies([empty, n - empty], [probability, 1 - probability])


def test_without_bounds_lengths_spread_and_bounds_hold_them(rng):
    spread = {}
    for name, policy in {"free": LengthPolicy(), "held": LengthPolicy(minimum=20, maximum=60)}.items():
        population = Population.random(200, 40, rng)
        for _ in range(40):
            pairs = rng.permutation(200)
            one, other = cut_and_splice(population[pairs[:100]], population[pairs[100:]], rng, policy=policy)
            population = Population.concatenate([one, other])
        spread[name] = population.lengths
    assert spread["free"].max() > 120
    assert spread["held"].min() >= 20
    assert spread["held"].max() <= 60


def test_cuts_lie_between_whole_genes(rng):
    one, other = cut_and_splice(*zeros_and_ones(500, 12, 20), rng, granularity="gene", layout=FlatLayout(4))
    for child in strings(one) + strings(other):
        genes = {child[i : i + 4] for i in range(0, len(child), 4)}
        assert genes <= {"0000", "1111"} or len(child) == 4  # an empty child was filled with a random gene


def test_parents_that_do_not_pair_up_are_refused(rng):
    with pytest.raises(ValueError, match="parents must pair up, got 3 and 2"):
        cut_and_splice(Population.random(3, 6, rng), Population.random(2, 6, rng), rng)


def test_children_are_unevaluated_and_keep_the_weights(rng):
    parents = [Population.random(4, 30, rng, weights=(1, -1)) for _ in range(2)]
    for parent in parents:
        parent.fitness = np.ones((4, 2))
    for child in cut_and_splice(*parents, rng):
        assert not child.evaluated.any()
        assert child.weights == (1.0, -1.0)
