"""Settings of rules, operators and searches: taken as they are or refused by name, never changed in silence."""

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
from genoevo.community import Decoding, Growth, Mating
from genoevo.decode import from_gene_values
from genoevo.evaluation import Failure, InProcess, Vectorised
from genoevo.genotype import Fitness
from genoevo.operators import LengthPolicy, Reproduction, mutation, selection
from genoevo.pools import ProcessPool
from genoevo.problems import OneMax
from genoevo.state import load, save

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
