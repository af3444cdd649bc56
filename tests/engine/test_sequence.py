"""Genotypes as DEAP's users treat individuals: as lists of bits that know their fitness."""

import pickle
import random
from operator import attrgetter

import numpy as np
import pytest
from deap import base, tools

from genoevo import Evolution, FlatLayout, Genotype, Population, decode
from genoevo.evaluation import Vectorised
from genoevo.interop.deap import register


@pytest.fixture
def genotype():
    return Genotype("01101")


class Individual(list):
    """An individual of DEAP: a list of bits with a fitness."""

    def __init__(self, bits, values=(), weights=(-1.0,)):
        super().__init__(bits)
        kind = type("Fitness", (base.Fitness,), {"weights": weights})
        self.fitness = kind(values)


def test_a_genotype_is_iterated_and_indexed_like_a_list_of_bits(genotype):
    assert list(genotype) == [0, 1, 1, 0, 1]
    assert (sum(genotype), genotype[1], genotype[-2], genotype.count(1), genotype.index(1)) == (3, 1, 0, 3, 1)
    assert all(type(bit) is int for bit in genotype)


def test_a_slice_is_a_list_of_bits(genotype):
    assert genotype[1:4] == [1, 1, 0]
    assert Genotype(genotype[:2] + genotype[3:]) == Genotype("0101")


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_past_the_ends_is_refused(genotype, index):
    with pytest.raises(IndexError):
        genotype[index]


def test_numpy_reads_the_bits(genotype):
    assert np.asarray(genotype).tolist() == [0, 1, 1, 0, 1]
    assert np.asarray([genotype, genotype]).shape == (2, 5)
    assert np.asarray(genotype, dtype=float).dtype == np.float64
    assert np.mean(genotype) == 0.6


def test_an_array_is_a_copy_and_says_so(genotype):
    with pytest.raises(ValueError, match="an array of its bits is always a copy"):
        np.asarray(genotype, copy=False)


@pytest.mark.parametrize(
    "read", [np.asarray, attrgetter("bits"), attrgetter("words")], ids=["array", "bits", "words"]
)
def test_bits_that_cannot_be_written_refuse_it(genotype, read):
    with pytest.raises(ValueError, match="read-only"):
        read(genotype)[0] = 1
    assert genotype == Genotype("01101")


def test_a_copy_of_the_bits_can_be_written(genotype):
    bits = np.array(genotype)
    bits[0] = 1
    assert Genotype(bits) == Genotype("11101")


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.__setitem__(0, 1),
        lambda g: g.__setitem__(slice(0, 2), [1, 1]),
        lambda g: g.__delitem__(0),
        random.Random(1).shuffle,
        lambda g: tools.mutFlipBit(g, 1.0),
        lambda g: tools.cxTwoPoint(g, Genotype("00000")),
    ],
    ids=["item", "slice", "delete", "shuffle", "mutFlipBit", "cxTwoPoint"],
)
def test_changing_a_genotype_is_refused_with_what_to_write(genotype, change):
    with pytest.raises(TypeError, match=r"a genotype cannot be changed: make another one .*Genotype\(bits\)"):
        change(genotype)


def test_the_words_cannot_be_replaced(genotype):
    with pytest.raises(AttributeError):
        genotype.words = genotype.words


def test_a_genotype_is_equal_to_the_list_of_its_bits(genotype):
    assert genotype == [0, 1, 1, 0, 1]
    assert genotype == [0, 1, 1, 0, 1]
    assert genotype != [0, 1, 1, 0]
    assert (genotype == np.array([0, 1, 1, 0, 0])).tolist() == [True, True, True, True, False]


@pytest.mark.parametrize("use", [sorted, max, lambda g: g[0] <= g[1]], ids=["sorted", "max", "<="])
def test_an_order_of_genotypes_is_refused_with_what_to_write(genotype, use):
    with pytest.raises(TypeError, match=r"compare their fitness, as in a\.fitness < b\.fitness"):
        use([genotype, Genotype("11111")])


def test_a_genotype_is_made_of_another_one_without_its_fitness(genotype):
    genotype.fitness.values = (3.0,)
    twin = Genotype(genotype)
    assert twin == genotype
    assert not twin.fitness.valid


def test_deaps_tools_read_genotypes(genotype):
    statistics = tools.Statistics(sum)
    statistics.register("most", max)
    assert statistics.compile([genotype, Genotype("11111")]) == {"most": 5}
    assert pickle.loads(pickle.dumps(genotype))[2] == 1


def test_lists_become_a_population():
    population = Population.from_genotypes([[0, 1], (1, 0, 1), np.array([True]), "11", Genotype("0")])
    assert [str(g) for g in population] == ["01", "101", "1", "11", "0"]


def test_weights_are_given_to_all_genotypes():
    known = Genotype("01")
    known.fitness.values = (3.0,)
    population = Population.from_genotypes([known, "10"], weights=(-1.0,))
    assert population.weights == (-1.0,)
    np.testing.assert_array_equal(population.fitness, [3.0, np.nan])


def test_weights_that_do_not_fit_a_known_fitness_are_refused():
    known = Genotype("01")
    known.fitness.values = (3.0,)
    with pytest.raises(ValueError, match="01 has a fitness of 1 values, got 2 weights"):
        Population.from_genotypes([known], weights=(1, 1))


def test_individuals_of_deap_keep_their_fitness_and_weights():
    population = Population.from_genotypes([Individual([0, 1], (4.0,)), Individual([1, 1])])
    assert population.weights == (-1.0,)
    np.testing.assert_array_equal(population.fitness, [4.0, np.nan])


@pytest.mark.parametrize("one", ["0110", Genotype("0110")], ids=["text", "genotype"])
def test_one_genotype_instead_of_several_is_refused(one):
    with pytest.raises(ValueError, match=r"made of several genotypes, got one: write \[.*0110.*\]"):
        Population.from_genotypes(one)


def test_a_search_starts_from_lists():
    evolution = Evolution(sum, [[0, 1, 1], [1, 0, 0]], seed=1)
    evolution.run(1)
    assert evolution.best == [0, 1, 1]


def test_a_list_is_decoded():
    assert decode([0, 1], FlatLayout())[0].tolist() == decode(Genotype("01"), FlatLayout())[0].tolist()


def test_operators_on_a_toolbox_take_lists():
    toolbox = base.Toolbox()
    register(toolbox, FlatLayout(), seed=1)
    one, two = toolbox.mate([0, 0, 0, 0], [1, 1, 1, 1])
    assert sum(one) + sum(two) == 4


def test_a_known_fitness_is_not_computed_again(rng):
    start = Population.from_genotypes([Individual([0, 1], (9.0,)), Individual([1, 1]), Individual([0, 0], (5.0,))])
    seen = []
    evolution = Evolution(lambda g: seen.append(str(g)) or sum(g), start, seed=1)
    evolution.step()
    assert seen == ["11"]
    assert evolution.population.fitness.tolist() == [9, 2, 5]
    assert evolution.evaluations == 3


def test_a_whole_known_population_is_not_evaluated_at_all(rng):
    start = Population.random(4, 8, rng)
    start.fitness = [1, 2, 3, 4]
    evolution = Evolution(Vectorised(lambda population: pytest.fail("called")), start, seed=1)
    evolution.step()
    assert evolution.population.fitness.tolist() == [1, 2, 3, 4]


def test_a_known_fitness_is_computed_again_on_demand(rng):
    start = Population.random(4, 8, rng)
    start.fitness = [9, 9, 9, 9]
    evolution = Evolution(sum, start, seed=1, reevaluate=True)
    evolution.step()
    assert evolution.population.fitness.tolist() == [sum(g) for g in start]


def test_a_search_that_was_saved_before_its_first_generation_keeps_the_known_fitness(rng):
    start = Population.random(4, 8, rng)
    start.fitness = [1, 2, 3, 4]
    evolution = Evolution(None, start, seed=1)
    evolution.ask()
    assert Evolution.from_state(evolution.state_dict()).ask().fitness.tolist() == [1, 2, 3, 4]
