"""Bits, words and fitness from outside are taken as they are or refused by name, never changed in silence."""

import numpy as np
import pytest

from genoevo import Genotype, Population

ONE_ROW = np.array([[0, 1, 1]])


@pytest.mark.parametrize(
    ("bits", "row"),
    [
        ([[0, 1, 2], [3, 0, 9]], r"\[0, 1, 2\] for genotype 0"),
        ([[0, 1], [1, -1]], r"\[1, -1\] for genotype 1"),
        ([[0.3, 1.7, 0.9]], "for genotype 0"),
        ([[256, 1, 0]], "for genotype 0"),
        ([[np.nan, 1.0]], "for genotype 0"),
        ([["0", "1"]], "for genotype 0"),
    ],
    ids=["digits", "spins", "fractions", "256", "NaN", "text"],
)
def test_a_matrix_of_something_other_than_bits_is_refused_by_row(bits, row):
    with pytest.raises(ValueError, match=f"bits must be zeros and ones, got .*{row}"):
        Population.from_bits(np.array(bits))


@pytest.mark.parametrize(
    ("bits", "lengths", "message"),
    [
        ([[0, 1], [1, 0]], [2], r"lengths must be whole numbers of shape \(2,\), got \[2\]"),
        (ONE_ROW, [70], "lengths must be from 1 to 3, got 70 to 70"),
        (ONE_ROW, [0], "lengths must be from 1 to 3, got 0 to 0"),
        (ONE_ROW, [2.0], r"lengths must be whole numbers of shape \(1,\)"),
        ([0, 1, 1], None, r"bits must be a matrix with a row per genotype, got shape \(3,\)"),
        (np.zeros((0, 3)), None, r"bits must be a matrix with a row per genotype, got shape \(0, 3\)"),
        ([[0, 1], [1]], None, r"bits must be an array, got \[\[0, 1\], \[1\]\]"),
    ],
)
def test_bits_and_lengths_that_do_not_fit_are_refused(bits, lengths, message):
    with pytest.raises(ValueError, match=message):
        Population.from_bits(bits, lengths)


def test_bits_may_be_lists_or_truth_values():
    assert [str(g) for g in Population.from_bits([[0, 1], [True, 0]])] == ["01", "10"]


def test_padding_past_a_length_may_be_anything():
    bits = np.array([[0, 1, np.nan], [1, -9, 7]])
    assert [str(g) for g in Population.from_bits(bits, [2, 1])] == ["01", "1"]


WORDS = np.array([[5], [3]], dtype=np.uint64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((WORDS, [3, 3], [[1, 2]]), r"fitness must have shape \(2, 1\) or \(2,\), got \(1, 2\)"),
        ((WORDS, [3, 3], ["1", "2"]), r"fitness must be numbers, got \['1', '2'\]"),
        ((WORDS, [3, 3], [[1, np.nan], [1, 2]], (1, 1)), "NaN in some objectives of a genotype and not in all"),
        ((WORDS.astype(np.int64), [3, 3]), r"words must be a uint64 matrix, got int64\(2, 1\)"),
        ((WORDS, [3.0, 3.0]), r"a population's lengths must be whole numbers, got \[3.0, 3.0\]"),
        ((WORDS, [3, 65]), "a genotype of 65 bits does not fit 1 words"),
        ((WORDS, [3, 1]), "bits past the length of their genotype"),
        ((WORDS, [3, 3], None, "12"), "weights must be finite numbers, at least one, got '12'"),
        ((WORDS, [3, 3], None, 1.0), "weights must be finite numbers, at least one, got 1.0"),
        ((WORDS, [3, 3], None, ()), r"weights must be finite numbers, at least one, got \(\)"),
        ((WORDS, [3, 3], None, (np.inf,)), "weights must be finite numbers, at least one, got"),
    ],
)
def test_a_population_checks_what_it_is_made_of(given, message):
    with pytest.raises(ValueError, match=message):
        Population(*given)


@pytest.mark.parametrize(
    ("n", "length", "message"),
    [
        (3, 2.7, "length must be whole numbers, got 2.7"),
        (3, [4, 5], r"length must be one number or one per genotype, \(3,\), got shape \(2,\)"),
        (2.5, 4, "a population has at least 1 genotype of at least 1 bit, got n=2.5"),
        (3, True, "length must be whole numbers, got True"),
    ],
)
def test_random_genotypes_of_no_whole_number_of_bits_are_refused(rng, n, length, message):
    with pytest.raises(ValueError, match=message):
        Population.random(n, length, rng)


@pytest.mark.parametrize(
    ("words", "length", "message"),
    [
        (np.array([8], np.uint64), 3, "a genotype's words have bits past its length, 3"),
        (np.array([1], np.uint64), 65, "length must be a whole number from 1 to 64, got 65"),
        (np.array([1], np.uint64), 0, "length must be a whole number from 1 to 64, got 0"),
        (np.array([1], np.int64), 3, r"words of a genotype must be a flat uint64 array, got int64\(1,\)"),
        ([1], 3, r"words of a genotype must be a flat uint64 array, got \[1\]"),
    ],
)
def test_a_genotype_checks_its_words(words, length, message):
    with pytest.raises(ValueError, match=message):
        Genotype.from_words(words, length)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (3.0, r"must be a sequence of 1, one per objective, such as \(3.0,\), got 3.0"),
        ((1, 2), r"must be a sequence of 1, one per objective, got \(1, 2\)"),
        (("7",), r"the values of a fitness must be numbers, got \('7',\)"),
        (None, "the values of a fitness must be numbers, got None"),
    ],
)
def test_fitness_values_that_are_not_numbers_one_per_objective_are_refused(values, message):
    genotype = Genotype("01")
    with pytest.raises(ValueError, match=message):
        genotype.fitness.values = values
    assert not genotype.fitness.valid


def test_nothing_cannot_be_joined():
    with pytest.raises(ValueError, match="a population has at least 1 part, got none"):
        Population.concatenate([])
