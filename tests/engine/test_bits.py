import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo._bits import pack, prefix_mask, unpack, word_count


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


@given(st.lists(st.integers(0, 192), min_size=1, max_size=5))
def test_prefix_mask_has_ones_exactly_before_each_length(lengths):
    mask = unpack(prefix_mask(np.array(lengths), 3), 192)
    np.testing.assert_array_equal(mask, np.arange(192) < np.array(lengths)[:, None])


def test_prefix_mask_of_a_length_past_the_width_is_all_ones():
    assert prefix_mask(np.array([1000]), 2).tolist() == [[2**64 - 1, 2**64 - 1]]
