"""DEAP's algorithms with genotypes of ours, and an evolution that they drive."""

import copy
import pickle
import random
from functools import partial

import numpy as np
import pytest
from deap import algorithms, base, tools

from genoevo import Evolution, FlatLayout, Genotype, Population, StagedLayout
from genoevo.interop.deap import register_evolution
from genoevo.operators import LengthPolicy, crossover, mutation
from tests.engine.toolboxes import evaluated, one_max, toolbox_for


def ea_simple(toolbox, generations, hall=None):
    population = toolbox.population(60)
    return algorithms.eaSimple(population, toolbox, 0.8, 0.5, generations, halloffame=hall, verbose=False)


def ea_mu_plus_lambda(toolbox, generations, hall=None):
    population = toolbox.population(40)
    rates = {"mu": 40, "lambda_": 60, "cxpb": 0.6, "mutpb": 0.4}
    return algorithms.eaMuPlusLambda(population, toolbox, **rates, ngen=generations, halloffame=hall, verbose=False)


@pytest.mark.parametrize("algorithm", [ea_simple, ea_mu_plus_lambda])
def test_deaps_algorithms_run_and_find_a_good_onemax(toolbox, algorithm):
    random.seed(1)
    hall = tools.HallOfFame(3)
    population, logbook = algorithm(toolbox, 60, hall)
    assert all(isinstance(genotype, Genotype) and len(genotype) == 50 for genotype in population)
    assert hall[0].fitness.values[0] == one_max(hall[0])[0] >= 48
    assert len(logbook) == 61


@pytest.mark.parametrize("algorithm", [ea_simple, ea_mu_plus_lambda])
def test_the_same_seeds_give_the_same_run(algorithm):
    runs = []
    for seed in (1, 1, 2):
        random.seed(1)
        runs.append(algorithm(toolbox_for(seed=seed)[0], 4)[0])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_our_operators_neither_read_nor_move_the_global_random_states():
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
        toolbox, _ = toolbox_for()
        population = evaluated([toolbox.individual(), *toolbox.population(5)])
        results.append(
            [population, toolbox.mate(*population[:2]), toolbox.mutate(population[2]), toolbox.select(population, 4)]
        )
        assert (random.getstate(), str(np.random.get_state())) == before  # noqa: NPY002
    assert results[0] == results[1]


def test_the_returned_generator_is_the_one_that_the_operators_draw_from():
    (one, generator), (other, _) = toolbox_for(), toolbox_for()
    generator.random()
    assert one.individual() != other.individual()
    assert generator.bit_generator.state != np.random.default_rng(1).bit_generator.state


@pytest.mark.parametrize(
    ("layout", "size", "length"), [(FlatLayout(4), 5, 20), (StagedLayout(2), 3, 18), (FlatLayout(2, genes=6), 6, 12)]
)
def test_individuals_have_the_layouts_length(layout, size, length):
    toolbox, _ = toolbox_for(size, layout=layout)
    assert len(toolbox.individual()) == length
    assert [len(genotype) for genotype in toolbox.population(3)] == [length] * 3
    assert not toolbox.individual().fitness.valid


def test_the_size_of_a_layout_that_fixes_it_need_not_be_given():
    toolbox, _ = toolbox_for(None, layout=FlatLayout(2, genes=6))
    assert len(toolbox.individual()) == 12


def test_without_a_size_each_fresh_individual_names_its_own():
    toolbox, _ = toolbox_for(None, layout=StagedLayout(2))
    assert len(toolbox.individual(size=3)) == 18
    assert [len(genotype) for genotype in toolbox.population(2, size=4)] == [28, 28]


@pytest.mark.parametrize("make", [lambda toolbox: toolbox.individual(), lambda toolbox: toolbox.population(3)])
def test_a_fresh_individual_of_no_size_is_refused(make):
    with pytest.raises(ValueError, match="give size here or to register"):
        make(toolbox_for(None, layout=StagedLayout(2))[0])


def test_fresh_individuals_have_the_weights_asked_for():
    toolbox, _ = toolbox_for(weights=(-1.0, 1.0))
    assert [genotype.fitness.weights for genotype in toolbox.population(2)] == [(-1.0, 1.0)] * 2


def test_individuals_of_changing_length_run_in_deaps_algorithm():
    random.seed(1)
    policy = LengthPolicy(minimum=5, maximum=90)
    operators = {
        "mate": partial(crossover.cut_and_splice, policy=policy),
        "mutate": partial(mutation.duplicate, granularity="bit", policy=policy),
    }
    population, _ = ea_simple(toolbox_for(**operators)[0], 30)
    lengths = {len(genotype) for genotype in population}
    assert len(lengths) > 1
    assert 5 <= min(lengths) <= max(lengths) <= 90
    assert max(one_max(genotype)[0] for genotype in population) > 50


@pytest.fixture
def driven():
    """A toolbox and the evolution that it drives, of mixed lengths."""
    toolbox = base.Toolbox()
    evolution = Evolution(None, Population.random(20, np.arange(20, 40), np.random.default_rng(1)), seed=1)
    register_evolution(toolbox, evolution)
    toolbox.register("evaluate", one_max)
    return toolbox, evolution


def test_ea_generate_update_drives_an_evolution_as_run_does(driven):
    toolbox, evolution = driven
    alone = Evolution(one_max, evolution.population, seed=1)
    alone.run(15)
    hall = tools.HallOfFame(1)
    population, logbook = algorithms.eaGenerateUpdate(toolbox, 15, halloffame=hall, verbose=False)
    assert list(evolution.population) == list(alone.population)
    assert (evolution.generation, len(logbook)) == (15, 15)
    assert hall[0] == evolution.best
    assert all(isinstance(genotype, Genotype) for genotype in population)


def test_an_evolution_is_not_updated_with_unevaluated_genotypes(driven):
    toolbox, evolution = driven
    with pytest.raises(ValueError, match="fitness must have shape"):
        toolbox.update(toolbox.generate())
    assert evolution.generation == 0


@pytest.mark.parametrize("bits", [64, 2000])
def test_a_pickled_genotype_is_little_more_than_its_bits(bits):
    genotype = Genotype("01" * (bits // 2))
    genotype.fitness.values = (1.5,)
    assert len(pickle.dumps(genotype, pickle.HIGHEST_PROTOCOL)) <= bits / 8 + 100
    assert len(pickle.dumps([copy.deepcopy(genotype) for _ in range(100)])) <= 100 * (bits / 8 + 70)


def test_a_size_that_the_layout_forbids_is_refused():
    toolbox, _ = toolbox_for(5, layout=FlatLayout(2, genes=6))
    with pytest.raises(ValueError, match="this layout has 6 genes, got 5"):
        toolbox.individual()


@pytest.fixture
def generated(rng):
    toolbox = base.Toolbox()
    evolution = Evolution(None, Population.from_genotypes(["0110", "1111", "0000"]), seed=1)
    register_evolution(toolbox, evolution)
    individuals = toolbox.generate()
    for individual in individuals:
        individual.fitness.values = (sum(individual),)
    return toolbox, evolution, individuals


def test_individuals_in_another_order_are_refused(generated):
    toolbox, evolution, individuals = generated
    with pytest.raises(ValueError, match=r"individual 0 must be 0110, as generate\(\) returned it, got 0000"):
        toolbox.update(individuals[::-1])
    toolbox.update(individuals)
    assert evolution.population.fitness.tolist() == [2, 4, 0]


def test_individuals_that_are_missing_are_refused(generated):
    toolbox, _, individuals = generated
    with pytest.raises(ValueError, match=r"update\(\) takes the 3 individuals of generate\(\), got 2"):
        toolbox.update(individuals[:2])


def test_an_individual_without_fitness_is_named(generated):
    toolbox, _, individuals = generated
    del individuals[1].fitness.values
    with pytest.raises(ValueError, match="individual 1, 1111, has none yet"):
        toolbox.update(individuals)
