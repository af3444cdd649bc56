"""What n-point, uniform and segment crossover exchange: how often, in which units, and what they refuse."""

from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators.crossover import n_point, one_point, segments, two_point, uniform
from tests.engine.texts import strings

LAYOUT = StagedLayout(3)


def zeros_and_ones(n, length):
    return Population.from_bits(np.zeros((n, length))), Population.from_bits(np.ones((n, length)))


def exchanged(operator, n, length, rng):
    """(n, length) bool: which bits were exchanged in n crossovers of zeros with ones."""
    return operator(*zeros_and_ones(n, length), rng)[0].bits() == 1


@pytest.mark.parametrize(("points", "length"), [(1, 6), (2, 5), (3, 6), (4, 5), (5, 7)])
def test_cuts_are_distinct_and_every_set_of_them_equally_likely(rng, check_frequencies, points, length):
    # Rows of other lengths in the same batch must not disturb the draw.
    lengths = np.tile([length, 1, length + 70], 7000)
    width = lengths.max()
    mates = [Population.from_bits(np.full((len(lengths), width), bit), lengths) for bit in (0, 1)]
    rows = n_point(*mates, rng, points=points)[0][lengths == length].bits()
    places = range(1, length) if points % 2 else range(length + 1)
    expected = {}
    for cuts in combinations(places, points):
        ends = [*cuts, length]
        bits = np.zeros(length, dtype=np.uint8)
        for i in range(0, points, 2):
            bits[ends[i] : ends[i + 1]] = 1
        expected[bits.tobytes()] = 0
    for row in rows:
        expected[row.tobytes()] += 1
    check_frequencies(list(expected.values()), np.full(len(expected), 1 / len(expected)))


@pytest.mark.parametrize("points", [1, 2, 3, 4, 5, 6, 9])
def test_the_number_of_exchanged_stretches_is_half_the_points_rounded_up(rng, points):
    rows = exchanged(partial(n_point, points=points), 200, 100, rng)
    starts = np.diff(rows.astype(int), axis=1, prepend=0) == 1
    assert set(starts.sum(axis=1).tolist()) == {(points + 1) // 2}


@pytest.mark.parametrize("points", [2, 4])
def test_an_even_number_of_points_can_exchange_and_can_spare_every_position(rng, points):
    rows = exchanged(partial(n_point, points=points), 3000, 70, rng)
    assert rows.any(axis=0).all()
    assert not rows.all(axis=0).any()


@pytest.mark.parametrize("points", [1, 3])
def test_an_odd_number_of_points_exchanges_the_last_position_and_never_the_first(rng, points):
    rows = exchanged(partial(n_point, points=points), 3000, 70, rng)
    assert rows[:, -1].all()
    assert not rows[:, 0].any()
    assert rows[:, 1:].any(axis=0).all()
    assert not rows[:, :-1].all(axis=0).any()


@pytest.mark.parametrize(
    ("points", "length", "expected"),
    [
        (1, 1, "0"),
        (2, 1, "1"),
        (3, 2, "01"),
        (3, 3, "010"),
        (9, 4, "0101"),
        (4, 2, "10"),
        (6, 5, "10101"),
        (8, 5, "10101"),
        (50, 4, "1010"),
    ],
)
def test_where_there_are_too_few_places_all_are_cut(rng, points, length, expected):
    children = n_point(*zeros_and_ones(20, length), rng, points=points)[0]
    assert set(strings(children)) == {expected}


@pytest.mark.parametrize("points", [0, -1])
def test_fewer_than_one_point_is_refused(rng, points):
    with pytest.raises(ValueError, match=f"points must be at least 1, got {points}"):
        n_point(*zeros_and_ones(1, 5), rng, points=points)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_uniform_exchanges_each_bit_at_its_rate_and_independently(rng, check_frequencies, rate):
    rows = exchanged(partial(uniform, rate=rate), 4000, 70, rng)
    for column in rows.T:
        check_frequencies([column.sum(), (~column).sum()], [rate, 1 - rate])
    for one, other in pairwise(rows.T):
        both = (one & other).sum()
        check_frequencies([both, len(one) - both], [rate**2, 1 - rate**2])


@pytest.mark.parametrize(
    ("operator", "settings"),
    [(n_point, {"points": 2}), (uniform, {"rate": 0.5}), (partial(segments, layout=LAYOUT), {"rate": 0.5})],
    ids=["n_point", "uniform", "segments"],
)
def test_the_default_is_two_points_or_half_of_what_there_is(operator, settings):
    length = LAYOUT.length(4)
    rows = [
        exchanged(use, 200, length, np.random.default_rng(1)) for use in (operator, partial(operator, **settings))
    ]
    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize("operator", [uniform, partial(segments, layout=FlatLayout(1))], ids=["uniform", "segments"])
def test_rate_0_exchanges_nothing_and_rate_1_the_whole_common_prefix(rng, operator):
    assert not exchanged(partial(operator, rate=0), 50, 70, rng).any()
    assert exchanged(partial(operator, rate=1), 50, 70, rng).all()


@pytest.mark.parametrize("operator", [uniform, partial(segments, layout=LAYOUT)], ids=["uniform", "segments"])
@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rng, operator, rate):
    with pytest.raises(ValueError, match="rate must be between 0 and 1, got"):
        operator(*zeros_and_ones(1, 6), rng, rate=rate)


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_segments_are_exchanged_whole_and_independently_at_their_rate(rng, check_frequencies, rate):
    rows = exchanged(partial(segments, layout=LAYOUT, rate=rate), 4000, LAYOUT.length(3), rng)
    chosen = np.stack([rows[:, span.start] for span in LAYOUT.segments(3)], axis=1)
    np.testing.assert_array_equal(rows, np.repeat(chosen, [6, 9, 12], axis=1))
    subsets = chosen @ [1, 2, 4]
    probabilities = [
        rate ** bin(subset).count("1") * (1 - rate) ** (3 - bin(subset).count("1")) for subset in range(8)
    ]
    check_frequencies(np.bincount(subsets, minlength=8), probabilities)


@pytest.mark.parametrize("use", [n_point, partial(n_point, points=3), uniform])
@pytest.mark.parametrize("layout", [LAYOUT, FlatLayout(6)])
def test_whole_genes_are_exchanged_at_the_granularity_of_genes(rng, use, layout):
    rows = exchanged(partial(use, granularity="gene", layout=layout), 300, LAYOUT.length(4), rng)
    genes = rows.reshape(300, -1, layout.precision)
    assert (genes.all(axis=2) | ~genes.any(axis=2)).all()
    assert len(np.unique(rows, axis=0)) > 10


@pytest.mark.parametrize("use", [n_point, partial(n_point, points=3), uniform])
def test_whole_segments_are_exchanged_at_the_granularity_of_segments(rng, use):
    rows = exchanged(partial(use, granularity="segment", layout=LAYOUT), 300, LAYOUT.length(5), rng)
    for span in LAYOUT.segments(5):
        assert (rows[:, span].all(axis=1) | ~rows[:, span].any(axis=1)).all()
    assert len(np.unique(rows, axis=0)) > 3


@pytest.mark.parametrize(("granularity", "size"), [("gene", 6), ("segment", 0)])
@pytest.mark.parametrize("points", [1, 2, 3])
def test_every_set_of_cuts_between_units_is_equally_likely(rng, check_frequencies, granularity, size, points):
    # Rows of other lengths in the same batch must not disturb the draw.
    layout = FlatLayout(6) if size else LAYOUT
    ends = range(0, 30, size) if size else [0, *(span.stop for span in LAYOUT.segments(4))]
    lengths = np.tile([ends[-1], layout.length(1), layout.length(7)], 3000)
    mates = [Population.from_bits(np.full((len(lengths), lengths.max()), bit), lengths) for bit in (0, 1)]
    operator = partial(n_point, points=points, granularity=granularity, layout=layout)
    rows = operator(*mates, rng)[0][lengths == ends[-1]].bits()
    expected = {}
    for cuts in combinations(ends[1:-1] if points % 2 else ends, points):
        stops = [*cuts, ends[-1]]
        bits = np.zeros(ends[-1], dtype=np.uint8)
        for i in range(0, points, 2):
            bits[stops[i] : stops[i + 1]] = 1
        expected[bits.tobytes()] = 0
    for row in rows:
        expected[row.tobytes()] += 1
    if len(expected) > 1:
        check_frequencies(list(expected.values()), np.full(len(expected), 1 / len(expected)))


def test_a_flat_genotype_is_one_segment_that_only_equals_in_length_can_exchange(rng):
    zeros = Population.from_bits(np.zeros((3, 9)), np.array([6, 9, 6]))
    ones = Population.from_bits(np.ones((3, 9)), np.array([6, 9, 9]))
    children = segments(zeros, ones, rng, layout=FlatLayout(3), rate=1)[0]
    assert strings(children) == ["1" * 6, "1" * 9, "0" * 6]


@pytest.mark.parametrize(("short", "points"), [(one_point, 1), (two_point, 2)])
@pytest.mark.parametrize("settings", [{}, {"granularity": "gene", "layout": LAYOUT}])
def test_one_and_two_points_are_short_for_n_point(short, points, settings):
    mates = zeros_and_ones(50, LAYOUT.length(4))
    rows = [
        use(*mates, np.random.default_rng(1), **settings)[0].words.tolist()
        for use in (short, partial(n_point, points=points))
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("use", [n_point, uniform])
@pytest.mark.parametrize("granularity", ["gene", "segment"])
def test_genes_and_segments_need_a_layout(rng, use, granularity):
    with pytest.raises(ValueError, match=f"granularity '{granularity}' needs a layout"):
        use(*zeros_and_ones(1, 6), rng, granularity=granularity)


@pytest.mark.parametrize("use", [n_point, uniform])
def test_an_unknown_granularity_is_refused(rng, use):
    with pytest.raises(ValueError, match="granularity must be one of bit, gene, segment, got 'byte'"):
        use(*zeros_and_ones(1, 6), rng, granularity="byte")


def test_segments_that_only_one_parent_has_stay(rng):
    lengths = np.array([LAYOUT.length(stage) for stage in (1, 2, 4)])
    shorts = Population.from_bits(np.zeros((3, lengths[-1])), lengths)
    longs = Population.from_bits(np.ones((3, LAYOUT.length(5))))
    one, other = segments(shorts, longs, rng, layout=LAYOUT, rate=1)
    assert strings(one) == ["1" * length for length in lengths]
    assert strings(other) == ["0" * length + "1" * (LAYOUT.length(5) - length) for length in lengths]


@pytest.mark.parametrize(("one", "other"), [((7,), (7,)), ((6, 7), (15, 15)), ((6, 15), (6, 16)), ((16,), (6,))])
def test_segments_refuse_a_length_that_is_illegal_in_the_layout(rng, one, other):
    parents = [Population.random(len(lengths), np.array(lengths), rng) for lengths in (one, other)]
    with pytest.raises(ValueError, match=r"no stage has (7|16) bits at precision 3"):
        segments(*parents, rng, layout=LAYOUT)
