import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Genotype, Population
from genoevo.operators.mutation import flip_in_place

mixed = st.lists(st.text("01", min_size=1, max_size=150), min_size=1, max_size=8)


@pytest.fixture
def population():
    population = Population.from_genotypes(["0110", "1" * 70, "0", "10" * 40, "1001"])
    population.fitness = [3, 1, 4, 1, 5]
    return population


def strings(population):
    return [str(genotype) for genotype in population]


@given(mixed)
def test_strings_of_mixed_lengths_survive_the_round_trip(check_well_formed, texts):
    population = Population.from_genotypes(texts)
    check_well_formed(population)
    assert strings(population) == texts
    assert population.lengths.tolist() == [len(text) for text in texts]


@given(mixed)
def test_from_bits_drops_what_lies_past_a_length(check_well_formed, texts):
    lengths = np.array([len(text) for text in texts])
    bits = np.ones((len(texts), max(lengths)), dtype=np.uint8)
    for row, text in zip(bits, texts, strict=True):
        row[: len(text)] = [int(character) for character in text]
    population = Population.from_bits(bits, lengths)
    check_well_formed(population)
    assert strings(population) == texts


@given(mixed)
def test_bits_is_zero_past_each_length(texts):
    longest = max(map(len, texts))
    expected = [[int(character) for character in text.ljust(longest, "0")] for text in texts]
    np.testing.assert_array_equal(Population.from_genotypes(texts).bits(), expected)


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_random_genotypes_have_the_lengths_asked_for(check_well_formed, lengths, seed):
    population = Population.random(len(lengths), np.array(lengths), np.random.default_rng(seed))
    check_well_formed(population)
    assert population.lengths.tolist() == lengths
    assert not population.evaluated.any()


def test_random_bits_are_fair_at_every_position(rng, check_frequencies):
    ones = Population.random(4000, 70, rng).bits().sum(axis=0)
    for count in ones:
        check_frequencies([count, 4000 - count], [0.5, 0.5])


def test_random_copies_the_given_lengths(rng):
    lengths = np.array([5, 9])
    population = Population.random(2, lengths, rng)
    lengths[:] = 1
    assert population.lengths.tolist() == [5, 9]


def test_random_is_decided_by_the_generator_alone():
    draws = [strings(Population.random(5, 100, np.random.default_rng(seed))) for seed in (3, 3, 4)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


@pytest.mark.parametrize(("n", "length"), [(0, 5), (3, 0), (2, np.array([4, 0]))])
def test_random_refuses_an_empty_population_or_genotype(rng, n, length):
    with pytest.raises(ValueError, match=r"at least 1 genotype of at least 1 bit, got n="):
        Population.random(n, length, rng)


def test_from_genotypes_refuses_an_empty_list():
    with pytest.raises(ValueError, match="a population has at least 1 genotype"):
        Population.from_genotypes([])


def test_from_genotypes_refuses_different_weights():
    with pytest.raises(ValueError, match="the same fitness weights"):
        Population.from_genotypes([Genotype("01"), Genotype("01", weights=(-1.0,))])


def test_from_genotypes_takes_their_fitness_and_leaves_the_unevaluated_so():
    evaluated, unevaluated = Genotype("01", weights=(1, -1)), Genotype("1", weights=(1, -1))
    evaluated.fitness.values = (2.0, 3.0)
    population = Population.from_genotypes([evaluated, unevaluated])
    assert population.weights == (1.0, -1.0)
    assert population.evaluated.tolist() == [True, False]
    assert [genotype.fitness.values for genotype in population] == [(2.0, 3.0), ()]


@pytest.mark.parametrize("index", [0, 2, -1, np.int64(3)])
def test_an_integer_gives_a_genotype_with_its_fitness(population, index):
    genotype = population[index]
    assert isinstance(genotype, Genotype)
    assert str(genotype) == strings(population)[index]
    assert genotype.fitness.values == (population.fitness[index],)


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_out_of_range_is_refused(population, index):
    with pytest.raises(IndexError):
        population[index]


def test_a_genotype_taken_out_is_a_copy(population):
    genotype = population[0]
    genotype.fitness.values = (9.0,)
    population.words[0] = 0
    assert str(genotype) == "0110"
    assert population.fitness[0] == 3


@pytest.mark.parametrize(
    "index",
    [slice(1, 4), slice(None, None, -2), [4, 0, 0], np.array([2, 1]), np.array([True, False, False, True, False])],
    ids=["slice", "reversed", "list", "array", "mask"],
)
def test_slices_indices_and_masks_give_a_population_that_shares_nothing(population, index, check_no_shared_memory):
    part = population[index]
    assert strings(part) == np.array(strings(population))[index].tolist()
    np.testing.assert_array_equal(part.fitness, population.fitness[index])
    check_no_shared_memory([part], [population])


@pytest.mark.parametrize("duplicate", [Population.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_is_the_same_and_shares_nothing(duplicate, check_no_shared_memory):
    population = Population.from_genotypes([Genotype("01", weights=(1, -1)), Genotype("1" * 90, weights=(1, -1))])
    population.fitness = [[1, 2], [3, 4]]
    twin = duplicate(population)
    assert strings(twin) == strings(population)
    np.testing.assert_array_equal(twin.fitness, [[1, 2], [3, 4]])
    assert twin.weights == (1.0, -1.0)
    check_no_shared_memory([twin], [population])


@given(mixed, mixed)
def test_concatenate_keeps_order_lengths_and_fitness(check_well_formed, check_no_shared_memory, one, other):
    parts = [Population.from_genotypes(texts) for texts in (one, other)]
    parts[0].fitness = np.arange(len(one))
    joined = Population.concatenate(parts)
    check_well_formed(joined)
    check_no_shared_memory([joined], parts)
    assert strings(joined) == one + other
    np.testing.assert_array_equal(joined.fitness, [*range(len(one)), *[np.nan] * len(other)])


def test_concatenate_refuses_different_weights(rng):
    parts = [Population.random(2, 5, rng, weights=weights) for weights in ((1,), (-1,))]
    with pytest.raises(ValueError, match="different fitness weights cannot be joined"):
        Population.concatenate(parts)


def test_fitness_is_nan_until_evaluated(rng):
    assert np.isnan(Population.random(3, 5, rng).fitness).all()


def test_fitness_is_flat_for_one_objective_and_a_matrix_for_several(rng):
    assert Population.random(3, 5, rng).fitness.shape == (3,)
    assert Population.random(3, 5, rng, weights=(1, 1)).fitness.shape == (3, 2)


def test_fitness_is_read_only(population):
    with pytest.raises(ValueError, match="read-only"):
        population.fitness[0] = 1


def test_fitness_is_copied_from_the_given_array(population):
    values = np.arange(5.0)
    population.fitness = values
    values[:] = -1
    assert population.fitness.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("weights", "shape", "message"),
    [
        ((1,), (4,), r"fitness must have shape \(5, 1\) or \(5,\), got \(4,\)"),
        ((1,), (5, 2), r"fitness must have shape \(5, 1\) or \(5,\), got \(5, 2\)"),
        ((1,), (), r"fitness must have shape \(5, 1\) or \(5,\), got \(\)"),
        ((1, 1), (5,), r"fitness must have shape \(5, 2\), got \(5,\)"),
        ((1, 1), (2, 5), r"fitness must have shape \(5, 2\), got \(2, 5\)"),
    ],
)
def test_fitness_of_a_wrong_shape_is_refused(rng, weights, shape, message):
    population = Population.random(5, 8, rng, weights=weights)
    with pytest.raises(ValueError, match=message):
        population.fitness = np.zeros(shape)


def test_a_nan_fitness_is_refused_naming_the_genotype_and_the_old_kept(population):
    with pytest.raises(ValueError, match=r"a fitness cannot be NaN, got \[nan\] for genotype 2, 0"):
        population.fitness = [1, 1, np.nan, 1, np.nan]
    assert population.fitness.tolist() == [3, 1, 4, 1, 5]


def test_one_nan_among_several_objectives_is_refused(rng):
    population = Population.random(2, 8, rng, weights=(1, 1))
    with pytest.raises(ValueError, match="for genotype 1"):
        population.fitness = [[1, 2], [3, np.nan]]


def test_one_objective_is_maximised_by_default(population, rng):
    made = [
        population,
        Population.random(2, 5, rng),
        Population.from_bits(population.bits()),
        Population(population.words, population.lengths),
    ]
    assert [one.weights for one in made] == [(1.0,)] * 4


def test_merit_turns_minimisation_round(rng):
    population = Population.random(3, 8, rng, weights=(-1.0,))
    population.fitness = [2, 1, 3]
    assert population.merit().argsort().tolist() == [2, 0, 1]


def test_merit_of_several_objectives_is_lexicographic_with_equal_ties(rng):
    population = Population.random(5, 8, rng, weights=(1.0, -1.0))
    population.fitness = [[1, 5], [2, 9], [2, 3], [1, 5], [-0.0, 0.0]]
    merit = population.merit()
    assert merit[4] < merit[0] == merit[3] < merit[1] < merit[2]


def test_merit_refuses_unevaluated_genotypes_and_counts_them(population, rng):
    joined = Population.concatenate([population, Population.random(2, 4, rng)])
    with pytest.raises(ValueError, match="2 of 7 genotypes have no fitness yet"):
        joined.merit()


def test_iteration_and_length_agree(population):
    assert len(list(population)) == len(population) == 5


def test_repr_tells_the_number_the_lengths_and_how_many_are_evaluated(population, rng):
    assert repr(population) == "Population(5 genotypes of 1..80 bits, 5 evaluated)"
    assert repr(Population.random(2, 9, rng)) == "Population(2 genotypes of 9 bits, 0 evaluated)"


@given(mixed, st.data())
def test_replaced_puts_others_at_their_rows_and_shares_nothing(
    check_well_formed, check_no_shared_memory, texts, data
):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), unique=True))
    others = data.draw(st.lists(st.text("01", min_size=1, max_size=150), min_size=len(rows), max_size=len(rows)))
    population = Population.from_genotypes(texts)
    population.fitness = np.arange(len(texts))
    if not rows:
        return
    newcomers = Population.from_genotypes(others)
    changed = population.replaced(np.array(rows), newcomers)
    check_well_formed(changed)
    check_no_shared_memory([changed], [population, newcomers])
    expected = dict(enumerate(texts)) | dict(zip(rows, others, strict=True))
    assert strings(changed) == list(expected.values())
    assert strings(population) == texts
    np.testing.assert_array_equal(changed.evaluated, [row not in rows for row in range(len(texts))])


def test_replacing_the_longest_gives_its_words_back():
    population = Population.from_genotypes(["1" * 200, "01"])
    assert population.replaced(np.array([0]), Population.from_genotypes(["0110"])).words.shape == (2, 1)


def test_unevaluated_is_a_copy_without_fitness(population, check_no_shared_memory):
    copied = population.unevaluated()
    assert strings(copied) == strings(population)
    assert not copied.evaluated.any()
    check_no_shared_memory([copied], [population])


@pytest.mark.parametrize("lengths", [100, 1000, 10000])
def test_a_population_takes_little_more_than_its_bits(rng, lengths):
    n = 50
    population = Population.random(n, lengths, rng)
    held = population.words.nbytes + population.lengths.nbytes + population.fitness.nbytes
    assert held <= 1.1 * n * lengths / 8 + 64 * n


def test_words_of_any_memory_layout_can_be_changed_in_place(rng):
    words, lengths = Population.random(6, 200, rng).words, np.full(6, 200)
    for array in (np.asfortranarray(words), np.repeat(words, 2, axis=0)[::2], np.repeat(words, 2, axis=1)[:, ::2]):
        found, expected = Population(array, lengths), Population(words.copy(), lengths)
        for population in (found, expected):
            flip_in_place(population, np.full(6, 0.02), np.random.default_rng(1))
        assert (expected.words != words).any()
        np.testing.assert_array_equal(found.words, expected.words)


def test_contiguous_words_are_not_copied(rng):
    words = Population.random(6, 200, rng).words
    assert Population(words, np.full(6, 200)).words is words
