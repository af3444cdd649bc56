"""What comes from outside is taken as it is or refused by name, never changed in silence."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from genoevo import (
    Community,
    Evolution,
    FlatLayout,
    Genotype,
    Islands,
    Population,
    Record,
    Selection,
    StagedLayout,
    Survival,
    half_softmax,
)
from genoevo._numbers import as_floats
from genoevo.community import Decoding, Growth, Mating
from genoevo.decode import from_gene_values
from genoevo.evaluation import Failure, InProcess, Vectorised
from genoevo.genotype import Fitness
from genoevo.operators import LengthPolicy, Reproduction, mutation, selection
from genoevo.pools import ProcessPool
from genoevo.problems import OneMax
from genoevo.state import load, save

ONE_ROW = np.array([[0, 1, 1]])


class Tensor:
    """A tensor of torch that requires a gradient: numpy cannot read it before it is detached."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return self

    def tolist(self):
        return self.values


class Broken:
    """An object of which nothing can be asked."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __array__(self, dtype=None, copy=None):
        raise KeyError("no array")


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


TAKEN = [
    (3, 3),
    (True, 1),
    (np.float32(0.5), 0.5),
    (np.array([2]), [2]),
    (10**20, 1e20),
    (Fraction(1, 4), 0.25),
    ([Decimal("1.5"), 2], [1.5, 2]),
    (Tensor(2.5), 2.5),
    ((Tensor(1.0), Tensor(2.0)), [1, 2]),
]


@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=lambda value: type(value).__name__)
def test_numbers_of_every_kind_are_taken(value, expected):
    assert as_floats("fitness", value).tolist() == expected


REFUSED = [
    "7",
    b"7",
    ["7", 1],
    None,
    [None, 1],
    1 + 2j,
    np.complex64(1),
    np.timedelta64(3, "s"),
    10**400,
    [10**400, 1],
]
REFUSED += [{1: 2}, Broken(), [[1], [2, 3]], np.datetime64("2020")]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_not_a_real_number_is_refused(value):
    with pytest.raises(ValueError, match="fitness must be numbers, got "):
        as_floats("fitness", value)


def test_a_masked_number_is_missing():
    assert np.isnan(as_floats("fitness", np.ma.array([1, 2], mask=[True, False]))).tolist() == [True, False]


def test_tell_refuses_text_that_looks_like_numbers(rng):
    evolution = Evolution(None, Population.random(2, 5, rng), seed=1)
    evolution.ask()
    with pytest.raises(ValueError, match=r"fitness must be numbers, got \['1', '2'\]"):
        evolution.tell(["1", "2"])


WRONG = [
    (lambda: FlatLayout(precision=2.5), "precision must be a whole number, got 2.5"),
    (lambda: FlatLayout(genes=2.0), "genes must be a whole number, got 2.0"),
    (lambda: StagedLayout("2"), "precision must be a whole number, got '2'"),
    (lambda: StagedLayout(2).length(2.5), "a stage must be a whole number, got 2.5"),
    (lambda: StagedLayout(2).stage(18.0), "a length must be a whole number, got 18.0"),
    (lambda: FlatLayout().length(1.5), "a number of genes must be a whole number, got 1.5"),
    (lambda: Survival(elites=2.0), "elites must be a whole number, got 2.0"),
    (lambda: Survival(strategy="plus", offspring=True), "offspring must be a whole number, got True"),
    (lambda: Selection(tournament_size=2.5), "tournament_size must be a whole number, got 2.5"),
    (lambda: Selection(share="0.5"), "share must be between 0 and 1, got '0.5'"),
    (lambda: Selection(method=["uniform"]), "method must be one of .*, got \\['uniform'\\]"),
    (lambda: Islands(count=2.0), "count must be a whole number, got 2.0"),
    (lambda: Record(hall_of_fame=3.5), "hall_of_fame must be a whole number, got 3.5"),
    (lambda: Record(lineage="no"), "lineage must be True or False, got 'no'"),
    (lambda: Reproduction(points=2.0), "points must be a whole number, got 2.0"),
    (lambda: Reproduction(crossover_threshold=True), "crossover_threshold must be between 0 and 1, got True"),
    (lambda: LengthPolicy(minimum=8.5), "minimum must be a whole number, got 8.5"),
    (lambda: Failure(retries=1.5), "retries must be a whole number, got 1.5"),
    (lambda: Fitness((), "1"), "weights must be finite numbers, at least one, got '1'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_setting_of_another_type_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_of_numpys_numbers_are_those_of_pythons_after_a_restart(rng, tmp_path):
    rules = {"survival": Survival(elites=np.int64(2)), "selection": Selection(share=np.float64(0.25))}
    evolution = Evolution(lambda g: g.bits.sum(), Population.random(6, 9, rng), seed=1, **rules)
    save(tmp_path / "state", evolution.state_dict())
    assert Evolution.from_state(load(tmp_path / "state")).survival == Survival(elites=2)


@pytest.fixture
def population(rng):
    population = Population.random(3, 8, rng)
    population.fitness = [1, 2, 3]
    return population


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": "0.5"}, "rate must be numbers, got '0.5'"),
        ({"rate": [0.1, 0.2]}, r"rate must be one number or one per genotype, \(3,\), got shape \(2,\)"),
        (
            {"expected": np.ones((3, 1))},
            r"expected must be one number or one .*, got shape \(3, 1\)",
        ),
    ],
)
def test_a_rate_of_another_shape_or_type_is_refused(population, rng, settings, message):
    with pytest.raises(ValueError, match=message):
        mutation.flip(population, rng, **settings)


def test_a_flag_of_creep_is_not_read_from_text(population, rng):
    with pytest.raises(ValueError, match="wrap must be True or False, got 'no'"):
        mutation.creep(population, rng, layout=FlatLayout(2), wrap="no")


def test_cases_of_text_are_refused(population, rng):
    with pytest.raises(ValueError, match="cases must be numbers"):
        selection.lexicase(population, 2, rng, cases=[["1"], ["2"], ["3"]])


@pytest.mark.parametrize(
    ("rows", "others", "message"),
    [
        ([0, 1, 2], (1.0,), r"each row takes one genotype of weights \(1.0,\), got 3 rows and 1 genotypes"),
        ([0], (-1.0,), r"each row takes one genotype .*got 1 rows and 1 genotypes of weights \(-1.0,\)"),
    ],
)
def test_one_genotype_is_not_spread_over_rows_nor_judged_by_other_weights(population, rows, others, message):
    with pytest.raises(ValueError, match=message):
        population.replaced(np.array(rows), Population.random(1, 8, np.random.default_rng(1), others))


def test_nothing_cannot_be_joined():
    with pytest.raises(ValueError, match="a population has at least 1 part, got none"):
        Population.concatenate([])


def test_a_fitness_that_is_none_of_deaps_is_refused_with_what_to_write():
    genotype = Genotype("01")
    genotype.fitness = (3,)
    with pytest.raises(TypeError, match=r"the fitness of 01 is \(3,\): assign to genotype.fitness.values"):
        Population.from_genotypes([genotype])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda start: Evolution(sum, start, seed=1, callbacks=print), r"callbacks must be a sequence .*: write \["),
        (lambda start: Evolution(sum, start, seed=1, callbacks=[3]), "a callback must be callable, got 3"),
        (lambda start: InProcess(sum, failure="worst"), "failure must be of type Failure, got 'worst'"),
        (lambda start: InProcess(3), "function must be callable, got 3"),
        (lambda start: Vectorised(None), "function must be callable, got None"),
        (lambda start: ProcessPool(len, failure="worst"), "failure must be of type Failure, got 'worst'"),
        (lambda start: OneMax(8)(start[0]), r"a problem takes a population, got .*: write Vectorised\(problem\)"),
    ],
)
def test_what_is_not_what_it_should_be_is_refused_before_the_search(population, make, message):
    with pytest.raises(TypeError, match=message):
        make(population)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Growth(patience=2.5), "patience must be a whole number, got 2.5"),
        (lambda: Growth(max_modules=True), "max_modules must be a whole number, got True"),
        (lambda: Mating(tournament_size=2.0), "tournament_size must be a whole number, got 2.0"),
        (lambda: Decoding(offset="0.5"), r"offset must be in \[0, 1\), got '0.5'"),
        (lambda: Community(StagedLayout(2), "abc", seed=1), "tasks must be at least one name, each once, got"),
        (lambda: Community(StagedLayout(2), ["a"], seed=1, size=2.5), "size must be a whole number, got 2.5"),
        (lambda: half_softmax(["1", "2"]), r"values must be numbers, got \['1', '2'\]"),
    ],
)
def test_a_community_and_its_rules_check_what_they_are_given(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_round_is_not_told_by_text():
    community = Community(StagedLayout(2), ["a"], seed=1)
    with pytest.raises(ValueError, match="performance must be numbers, got"):
        community.step([["1", "0", "0"]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[5, 1]], "values must be from 0 to 3, got 1 to 5"),
        ([[1, -1]], "values must be from 0 to 3, got -1 to 1"),
        ([[1.0, 2.0]], r"values must be a matrix of whole numbers, got float64\(1, 2\)"),
        ([1, 2], r"values must be a matrix of whole numbers, got int64\(2,\)"),
    ],
)
def test_codes_that_do_not_fit_their_gene_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        from_gene_values(np.array(values), np.array([4]), 2)
