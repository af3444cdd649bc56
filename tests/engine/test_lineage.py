import sys

import numpy as np
import pytest

from genoevo import Evolution, Islands, Population, Record, Survival
from genoevo.lineage import Lineage
from genoevo.operators import Origin, Reproduction

MIXED = Reproduction(crossover_threshold=0.4, mutation_threshold=0.8, mutation_rate=0.01)


@pytest.fixture
def networkx():
    return pytest.importorskip("networkx")


@pytest.fixture
def evolved(rng):
    """An evolution with its lineage, and all genotypes it ever asked for, in order."""

    def evolved(generations=6, reproduction=MIXED, **settings):
        evolution = Evolution(
            None,
            Population.random(12, 40, rng),
            seed=1,
            reproduction=reproduction,
            record=Record(lineage=True),
            **settings,
        )
        genotypes = []
        for _ in range(generations):
            population = evolution.ask()
            genotypes += [str(genotype) for genotype in population]
            evolution.tell(population.bits().sum(axis=1, dtype=float))
        return evolution, genotypes

    return evolved


SETTINGS = [
    {},
    {"survival": Survival(strategy="plus")},
    {"survival": Survival(strategy="comma", offspring=20)},
    {"survival": Survival(strategy="steady", offspring=3)},
    {"islands": Islands(count=3, interval=2, topology="random", replace="random")},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_there_is_one_entry_for_each_genotype_evaluated(evolved, settings):
    evolution, genotypes = evolved(**settings)
    lineage = evolution.lineage
    assert len(lineage) == evolution.evaluations == len(genotypes)
    assert lineage.fitness[:, 0].tolist() == [string.count("1") for string in genotypes]
    assert lineage.generations.tolist() == sorted(lineage.generations.tolist())
    assert np.bincount(lineage.generations)[1:].sum() == len(genotypes)


@pytest.mark.parametrize("settings", SETTINGS)
def test_numbers_say_which_genotype_stands_in_each_row(evolved, settings):
    evolution, genotypes = evolved(**settings)
    assert [genotypes[number] for number in evolution.numbers] == [str(genotype) for genotype in evolution.population]


@pytest.mark.parametrize("settings", SETTINGS)
def test_parents_were_evaluated_in_an_earlier_generation(evolved, settings):
    lineage = evolved(**settings)[0].lineage
    for child, parents in enumerate(lineage.parents):
        for parent in parents[parents >= 0]:
            assert lineage.generations[parent] < lineage.generations[child]


@pytest.mark.parametrize("settings", SETTINGS)
def test_each_operator_has_as_many_parents_as_it_uses(evolved, settings):
    lineage = evolved(**settings)[0].lineage
    parents = (lineage.parents >= 0).sum(axis=1)
    for origin, count in ((-1, 0), (Origin.FRESH, 0), (Origin.MUTATION, 1), (Origin.CROSSOVER, 2)):
        assert (lineage.origins == origin).any()
        assert set(parents[lineage.origins == origin].tolist()) == {count}
    assert set(np.flatnonzero(lineage.origins == -1).tolist()) == set(range(12))


def test_without_mutation_every_child_is_made_of_its_parents_bits(evolved):
    evolution, genotypes = evolved(
        reproduction=Reproduction(crossover_threshold=0.5, mutation_rate=0, crossover="uniform")
    )
    bits = np.array([[int(bit) for bit in string] for string in genotypes])
    for child, (first, second) in enumerate(evolution.lineage.parents):
        if evolution.lineage.origins[child] == Origin.MUTATION:
            assert genotypes[child] == genotypes[first]
        elif evolution.lineage.origins[child] == Origin.CROSSOVER:
            assert ((bits[child] == bits[first]) | (bits[child] == bits[second])).all()


def test_the_graph_has_an_edge_from_each_parent_to_its_child(evolved, networkx):
    lineage = evolved()[0].lineage
    graph = lineage.graph()
    expected = {(int(p), c) for c, parents in enumerate(lineage.parents) for p in parents if p >= 0}
    assert set(graph.edges) == expected
    assert set(graph.nodes) == set(range(len(lineage)))
    assert networkx.is_directed_acyclic_graph(graph)


@pytest.mark.usefixtures("networkx")
def test_the_graphs_nodes_say_how_when_and_how_good(evolved):
    lineage = evolved()[0].lineage
    names = {-1: "given", 0: "crossover", 1: "mutation", 2: "fresh"}
    for number, node in lineage.graph().nodes(data=True):
        assert node == {
            "origin": names[int(lineage.origins[number])],
            "generation": lineage.generations[number],
            "fitness": (lineage.fitness[number, 0],),
        }


def test_ancestors_are_those_of_the_graph(evolved, networkx):
    lineage = evolved()[0].lineage
    graph = lineage.graph()
    for number in range(len(lineage)):
        expected = networkx.ancestors(graph, number) | {number}
        assert lineage.ancestors(number).tolist() == sorted(expected)


@pytest.mark.parametrize("number", [-1, 67, 10**6])
def test_the_ancestors_of_a_genotype_that_there_is_not_are_refused(evolved, number):
    with pytest.raises(ValueError, match=f"number must be between 0 and 66, got {number}"):
        evolved()[0].lineage.ancestors(number)


def test_several_objectives_are_recorded(rng):
    start = Population.random(4, 10, rng, weights=(1, -1))
    evolution = Evolution(None, start, seed=1, record=Record(lineage=True))
    for _ in range(2):
        n = len(evolution.ask())
        evolution.tell(np.arange(2 * n).reshape(n, 2))
    assert evolution.lineage.fitness.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [0, 1], [2, 3], [4, 5]]


def test_a_lineage_survives_the_round_trip(evolved, frozen):
    lineage = evolved()[0].lineage
    assert frozen(Lineage.from_state(lineage.state_dict()).state_dict()) == frozen(lineage.state_dict())


@pytest.mark.parametrize("name", ["parents", "origins", "generations", "fitness"])
def test_a_lineage_whose_arrays_do_not_fit_is_refused(evolved, name):
    state = evolved()[0].lineage.state_dict()
    with pytest.raises(ValueError, match=r"a lineage's \w+ must be of shape"):
        Lineage.from_state({**state, name: state[name][1:]})


def test_without_networkx_its_graph_says_what_to_install(evolved, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="a lineage's graph needs networkx: pip install networkx"):
        evolved()[0].lineage.graph()


def test_a_number_that_is_not_whole_is_refused(evolved):
    evolution, _ = evolved(1)
    with pytest.raises(ValueError, match=r"number must be a whole number, got 1\.0"):
        evolution.lineage.ancestors(1.0)
