import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo._bits import (
    below,
    bernoulli_words,
    flip_bits,
    pack,
    prefix_mask,
    random_words,
    shifted,
    spliced,
    unpack,
    word_count,
)


@pytest.mark.parametrize(("length", "words"), [(0, 0), (1, 1), (63, 1), (64, 1), (65, 2), (128, 2), (129, 3)])
def test_word_count_is_the_least_number_of_64_bit_words(length, words):
    assert word_count(length) == words


@given(n=st.integers(1, 5), length=st.integers(1, 200), seed=st.integers(0, 99))
def test_unpack_undoes_pack(n, length, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (n, length), dtype=np.uint8)
    words = pack(bits)
    assert words.shape == (n, word_count(length))
    np.testing.assert_array_equal(unpack(words, length), bits)


@pytest.mark.parametrize("i", [0, 1, 7, 8, 63, 64, 100, 129])
def test_bit_i_is_bit_i_modulo_64_of_word_i_div_64(i):
    bits = np.zeros((1, 130), dtype=np.uint8)
    bits[0, i] = 1
    words = pack(bits)[0]
    assert int(words[i // 64]) == 1 << (i % 64)
    assert np.count_nonzero(words) == 1


def test_packing_a_matrix_of_ones_leaves_the_rest_of_the_last_word_zero():
    assert [int(word) for word in pack(np.ones((1, 70)))[0]] == [2**64 - 1, 2**6 - 1]


def test_unpacking_fewer_bits_gives_the_first_ones():
    bits = np.random.default_rng(1).integers(0, 2, (3, 100), dtype=np.uint8)
    np.testing.assert_array_equal(unpack(pack(bits), 67), bits[:, :67])


@pytest.mark.parametrize("width", [1, 16, 17])  # up to 16 words, masks come from a table
@given(lengths=st.lists(st.integers(0, 1100), min_size=1, max_size=5))
def test_prefix_mask_has_ones_exactly_before_each_length(width, lengths):
    mask = unpack(prefix_mask(np.array(lengths), width), 64 * width)
    np.testing.assert_array_equal(mask, np.arange(64 * width) < np.array(lengths)[:, None])


def test_prefix_mask_of_a_length_past_the_width_is_all_ones():
    assert prefix_mask(np.array([1000]), 2).tolist() == [[2**64 - 1, 2**64 - 1]]


@pytest.mark.parametrize("width", [1, 16, 17])
@given(lengths=st.lists(st.lists(st.integers(0, 1100), min_size=3, max_size=3), min_size=1, max_size=5))
def test_prefix_mask_of_several_lengths_alternates_between_them(width, lengths):
    mask = unpack(prefix_mask(np.array(lengths), width), 64 * width)
    inside = (np.arange(64 * width) < np.array(lengths)[:, :, None]).sum(axis=1) % 2
    np.testing.assert_array_equal(mask, inside)


def test_a_mask_may_be_changed():
    prefix_mask(np.array([5]), 2)[:] = 0
    assert prefix_mask(np.array([5]), 2).tolist() == [[31, 0]]


def test_prefix_mask_of_no_words_is_empty():
    assert prefix_mask(np.array([3, 0]), 0).shape == (2, 0)


def test_flip_bits_flips_a_place_as_often_as_it_is_named():
    words = pack(np.zeros((2, 100)))
    flip_bits(words, np.array([0, 1, 1, 1]), np.array([99, 0, 64, 0]))
    assert [np.flatnonzero(row).tolist() for row in unpack(words, 100)] == [[99], [64]]


@given(st.lists(st.integers(0, 192), min_size=1, max_size=5), st.integers(0, 99))
def test_random_words_are_zero_past_each_length(lengths, seed):
    words = random_words(np.array(lengths), 3, np.random.default_rng(seed))
    assert not (words & ~prefix_mask(np.array(lengths), 3)).any()


@pytest.mark.parametrize("rate", [0.0, 2.0**-53, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0])
def test_bernoulli_words_are_ones_at_the_rate_of_their_row(check_frequencies, rate):
    rates = np.tile([rate, 0.37], 500)
    bits = unpack(bernoulli_words(rates, 2, np.random.default_rng(1)), 128)[::2]
    if rate in (0, 2.0**-53, 1):
        assert (bits == round(rate)).all()
    else:
        check_frequencies([bits.sum(), bits.size - bits.sum()], [rate, 1 - rate])
        both = (bits[:, 1:] & bits[:, :-1]).sum()
        check_frequencies([both, bits[:, 1:].size - both], [rate**2, 1 - rate**2])


def test_half_a_bernoulli_bit_costs_one_random_bit():
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    words = bernoulli_words(np.full(3, 0.5), 2, one)
    np.testing.assert_array_equal(words, other.integers(0, 2**64, (3, 2), dtype=np.uint64))


def test_below_is_uniform_under_each_limit(rng, check_frequencies):
    limits = np.tile([1, 2, 7], 5000)
    drawn = below(limits, rng)
    for limit in (1, 2, 7):
        counts = np.bincount(drawn[limits == limit])
        assert len(counts) == limit
        if limit > 1:
            check_frequencies(counts, np.full(limit, 1 / limit))


@given(st.lists(st.tuples(st.text("01", min_size=1, max_size=140), st.integers(-200, 200)), min_size=1, max_size=5))
def test_shifted_moves_each_row_by_its_own_distance(rows):
    bits = np.array([[int(bit) for bit in text.ljust(140, "0")] for text, _ in rows])
    moved = unpack(shifted(pack(bits), np.array([by for _, by in rows]), 4), 256)
    for before, after, (_, by) in zip(bits, moved, rows, strict=True):
        expected = np.zeros(600, dtype=int)
        expected[200 + by : 340 + by] = before
        np.testing.assert_array_equal(after, expected[200:456])


@given(st.lists(st.tuples(*[st.text("01", min_size=1, max_size=140)] * 2), min_size=1, max_size=5), st.data())
def test_spliced_joins_a_head_to_a_tail(rows, data):
    keep = [data.draw(st.integers(0, len(head))) for head, _ in rows]
    start = [data.draw(st.integers(0, len(tail))) for _, tail in rows]
    expected = [head[:k] + tail[s:] for (head, tail), k, s in zip(rows, keep, start, strict=True)]
    heads, tails = [
        pack(np.array([[int(bit) for bit in text.ljust(140, "0")] for text in side]))
        for side in zip(*rows, strict=True)
    ]
    lengths = np.array([len(text) for text in expected])
    words = spliced(heads, np.array(keep), tails, np.array(start), lengths)
    found = [
        "".join(map(str, row[:length]))
        for row, length in zip(unpack(words, 64 * words.shape[1]), lengths, strict=True)
    ]
    assert found == expected
