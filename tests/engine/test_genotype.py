import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Genotype
from genoevo.genotype import Fitness

strings = st.text("01", min_size=1, max_size=200)
numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)
copies = pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, *(lambda g, p=p: pickle.loads(pickle.dumps(g, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1))],
    ids=["deepcopy", *(f"pickle {p}" for p in range(pickle.HIGHEST_PROTOCOL + 1))],
)


@pytest.fixture
def evaluated():
    genotype = Genotype("0110" * 20, weights=(1.0, -2.0))
    genotype.fitness.values = (0.25, 7.0)
    return genotype


@given(strings)
def test_a_string_survives_the_round_trip(text):
    assert str(Genotype(text)) == text
    assert len(Genotype(text)) == len(text)


@given(strings)
def test_all_spellings_of_the_same_bits_are_equal_and_hash_alike(text):
    bits = [int(character) for character in text]
    spellings = [
        Genotype(text),
        Genotype(bits),
        Genotype(np.array(bits, dtype=bool)),
        Genotype(np.array(bits, float)),
    ]
    assert all(other == spellings[0] for other in spellings)
    assert len({*spellings}) == 1


@given(strings, strings)
def test_genotypes_are_equal_exactly_where_their_strings_are(one, other):
    assert (Genotype(one) == Genotype(other)) == (one == other)
    assert Genotype(one) != Genotype(one + "0")


def test_fitness_plays_no_part_in_equality_and_hash(evaluated):
    bare = Genotype(str(evaluated))
    assert bare == evaluated
    assert hash(bare) == hash(evaluated)


def test_a_genotype_is_not_equal_to_its_string():
    assert Genotype("01") != "01"


def test_repr_can_be_evaluated():
    genotype = Genotype("0110")
    assert repr(genotype) == "Genotype('0110')"
    assert eval(repr(genotype)) == genotype


def test_bits_are_in_the_order_of_the_string():
    assert Genotype("0111000").bits.tolist() == [0, 1, 1, 1, 0, 0, 0]


def test_words_cannot_be_written():
    genotype = Genotype("0110")
    with pytest.raises(ValueError, match="read-only"):
        genotype.words[0] = 1


def test_changing_the_given_array_does_not_change_the_genotype():
    bits = np.array([0, 1, 1], dtype=np.uint8)
    genotype = Genotype(bits)
    bits[:] = 0
    assert str(genotype) == "011"


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("012", "a genotype is a string of 0 and 1, got '2' at position 2"),
        ("0 1", "a genotype is a string of 0 and 1, got ' ' at position 1"),
        ("\uff10\uff11", "a genotype is a string of 0 and 1"),
        ([0, 1, 2], "a genotype is a flat sequence of zeros and ones"),
        ([0.5, 1], "a genotype is a flat sequence of zeros and ones"),
        ([float("nan")], "a genotype is a flat sequence of zeros and ones"),
        ([[0, 1], [1, 0]], "a genotype is a flat sequence of zeros and ones"),
        (1, "a genotype is a flat sequence of zeros and ones, got 1"),
        (["0", "1"], "a genotype is a flat sequence of zeros and ones, got \\['0', '1'\\]"),
        ([None], "a genotype is a flat sequence of zeros and ones"),
        (b"01", "a genotype is a flat sequence of zeros and ones"),
        ("", "a genotype has at least one bit"),
        ([], "a genotype has at least one bit"),
    ],
)
def test_what_is_no_bit_string_is_refused(bits, message):
    with pytest.raises(ValueError, match=message):
        Genotype(bits)


def test_a_new_genotype_is_unevaluated():
    assert not Genotype("01").fitness.valid
    assert Genotype("01").fitness.values == ()


def test_one_objective_is_maximised_by_default():
    assert Genotype("01").fitness.weights == (1.0,)
    assert Fitness((3.0,)) > Fitness((2.0,))
    assert Fitness().weights == (1.0,)


@pytest.mark.parametrize("values", [(float("nan"), 1.0), (1.0, float("nan")), (np.nan, np.nan)])
def test_a_nan_fitness_is_refused_and_the_old_one_kept(evaluated, values):
    with pytest.raises(ValueError, match="a fitness cannot be NaN, got"):
        evaluated.fitness.values = values
    assert evaluated.fitness.values == (0.25, 7.0)


def test_a_nan_fitness_is_refused_at_construction():
    with pytest.raises(ValueError, match="a fitness cannot be NaN"):
        Fitness((float("nan"),))


def test_deleting_the_values_makes_the_fitness_invalid(evaluated):
    del evaluated.fitness.values
    assert not evaluated.fitness.valid


@given(numbers, numbers)
def test_a_positive_weight_maximises_and_a_negative_one_minimises(a, b):
    assert (Fitness((a,), (1.0,)) > Fitness((b,), (1.0,))) == (a > b)
    assert (Fitness((a,), (-1.0,)) > Fitness((b,), (-1.0,))) == (a < b)


def test_fitness_of_several_objectives_compares_lexicographically():
    weights = (1.0, -1.0)
    assert Fitness((2.0, 9.0), weights) > Fitness((1.0, 0.0), weights)
    assert Fitness((1.0, 0.0), weights) > Fitness((1.0, 9.0), weights)


def test_genotypes_of_different_weights_live_side_by_side():
    one, two = Genotype("01"), Genotype("01", weights=(-1.0, 1.0))
    assert one.fitness.weights == (1.0,)
    assert two.fitness.weights == (-1.0, 1.0)


@copies
def test_a_copy_has_the_same_bits_fitness_and_weights(evaluated, duplicate):
    twin = duplicate(evaluated)
    assert twin == evaluated
    assert str(twin) == str(evaluated)
    assert twin.fitness.values == (0.25, 7.0)
    assert twin.fitness.weights == (1.0, -2.0)
    assert not twin.words.flags.writeable


@copies
def test_a_copy_shares_nothing_mutable(evaluated, duplicate):
    twin = duplicate(evaluated)
    assert not np.shares_memory(twin.words, evaluated.words)
    twin.fitness.values = (1.0, 1.0)
    assert evaluated.fitness.values == (0.25, 7.0)
    del evaluated.fitness.values
    assert twin.fitness.valid


@copies
def test_a_copy_of_an_unevaluated_genotype_is_unevaluated(duplicate):
    twin = duplicate(Genotype("01", weights=(-1.0,)))
    assert not twin.fitness.valid
    assert twin.fitness.weights == (-1.0,)


@given(value=numbers, weight=st.sampled_from([0.1, 0.3, -0.7, 3.0, 49.0]))
def test_a_copied_fitness_is_equal_whatever_the_weights(value, weight):
    fitness = Fitness((value,), (weight,))
    assert copy.deepcopy(fitness) == fitness
    assert pickle.loads(pickle.dumps(fitness)) == fitness
