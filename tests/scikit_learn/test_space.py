"""From bits to values: codings, scales, conditions, lists and graphs."""

from collections import Counter

import numpy as np
import pytest

from genoevo import Genotype, Population
from genoevo.operators import Reproduction
from genoevo_sklearn import Categorical, Choice, Float, Graph, Integer, ListOf, Option, Space
from genoevo_sklearn.space.codes import from_gray


def all_values(dimension, **settings):
    """The value of each genotype of a space of one dimension, in the order of the numbers that the bits stand for."""
    space = Space({"x": dimension}, **settings)
    count = 1 << space.precision
    return [space.decoded(Genotype(f"{number:0{space.precision}b}")).value["x"] for number in range(count)]


def test_binary_and_gray_have_the_same_values_in_another_order():
    binary = all_values(Integer(0, 7), coding="binary", bits=3)
    gray = all_values(Integer(0, 7), coding="gray", bits=3)
    assert binary == [0, 1, 2, 3, 4, 5, 6, 7]
    assert gray == [0, 1, 3, 2, 7, 6, 4, 5]


def test_neighbours_in_gray_code_differ_in_one_bit():
    place = {from_gray(code): code for code in range(256)}
    assert sorted(place) == list(range(256))
    assert {(place[number] ^ place[number + 1]).bit_count() for number in range(255)} == {1}


@pytest.mark.parametrize("dimension", [Integer(3, 12), Categorical(list("abcdefghij"))])
def test_all_values_have_equal_shares_as_far_as_they_can(dimension):
    counts = Counter(all_values(dimension, bits=8))
    assert len(counts) == 10
    assert set(counts.values()) <= {25, 26}


def test_a_logarithmic_integer_takes_every_value_and_halves_its_share_with_each_doubling():
    counts = Counter(all_values(Integer(1, 15, log=True), bits=10))
    assert sorted(counts) == list(range(1, 16))
    assert counts[1] > counts[2] > counts[4] > counts[8]
    assert sum(counts[n] for n in range(8, 16)) == pytest.approx(sum(counts[n] for n in range(4, 8)), rel=0.1)


@pytest.mark.parametrize("log", [True, False])
def test_an_integer_of_more_values_than_any_gene_tells_apart_has_those_nearest_to_a_floats(log):
    wide = all_values(Integer(10, 100_000, log=log), bits=8)
    assert list(wide) == [round(value) for value in all_values(Float(10, 100_000, log=log), bits=8)]
    assert (min(wide), max(wide)) == (10, 100_000)


def test_integers_are_exact_at_any_size_and_of_any_type():
    assert set(all_values(Integer(10**17, 10**17 + 2))) == {10**17, 10**17 + 1, 10**17 + 2}
    wide = all_values(Integer(np.int32(-(2**31)), np.int32(2**31 - 1)), bits=4)
    assert (min(wide), max(wide)) == (-(2**31), 2**31 - 1)


def test_a_float_reaches_both_ends_in_even_steps_or_even_ratios():
    linear, log = (sorted(all_values(Float(0.001, 10, log=log), bits=6)) for log in (False, True))
    assert linear[0] == log[0] == 0.001
    assert linear[-1] == log[-1] == 10
    assert np.allclose(np.diff(linear), (10 - 0.001) / 63)
    assert np.allclose(np.diff(np.log(log)), np.log(10_000) / 63)


def test_genes_get_as_many_bits_as_the_largest_dimension_needs():
    assert Space({"x": Integer(0, 999)}, bits=4).precision == 10
    assert Space({"x": Integer(0, 3)}, bits=4).precision == 4


def test_an_options_parameters_are_set_only_with_it():
    space = Space({"model": Choice([Option("svm", {"C": Float(1, 10)}), Option("tree", {"depth": Integer(1, 4)})])})
    found = [space.decoded(genotype).value for genotype in Population.random(50, 24, np.random.default_rng(0))]
    assert {frozenset(one) for one in found} == {frozenset({"model", "C"}), frozenset({"model", "depth"})}
    assert {one["model"] for one in found if "C" in one} == {"svm"}


def test_genes_of_other_options_make_no_difference():
    space = Space({"model": Choice([Option("svm", {"C": Float(1, 10)}), "none"])}, coding="binary", bits=2)
    assert space.decoded(Genotype("1000")).key == space.decoded(Genotype("1111")).key
    assert space.decoded(Genotype("0000")).key != space.decoded(Genotype("0011")).key


def test_the_length_of_a_list_is_that_of_the_genotype():
    element = {"units": Integer(1, 8), "kind": Choice(["plain", Option("dropout", {"rate": Float(0, 1)})])}
    space = Space({"alpha": Float(0, 1), "layers": ListOf(element, 1, 5)}, bits=3)
    start = space.start(50, np.random.default_rng(1))
    found = [space.decoded(genotype).value for genotype in start]
    assert Counter(len(one["layers"]) for one in found) == dict.fromkeys(range(1, 6), 10)
    layers = [layer for one in found for layer in one["layers"]]
    assert {layer["units"] for layer in layers} == set(range(1, 9))
    assert all(("rate" in layer) == (layer["kind"] == "dropout") for layer in layers)


def test_resizing_inserts_and_deletes_whole_elements_and_leaves_other_parameters_alone():
    space = Space({"alpha": Integer(0, 7), "layers": ListOf([0, 1, 2, 3], 1, 6)}, coding="binary", bits=3)
    parent = Population.from_bits(np.tile([1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1], (300, 1)))  # 5, then 0, 1 and 3
    rule = space.reproduction(Reproduction(crossover_threshold=0, mutation_rate=0, resize_rate=1))
    children = rule.children(parent, parent, np.random.default_rng(0), space.layout).population
    found = [space.decoded(genotype).value for genotype in children]
    assert {one["alpha"] for one in found} == {5}
    assert Counter(len(one["layers"]) for one in found).keys() == {2, 4}
    assert {one["layers"] for one in found if len(one["layers"]) == 2} == {(0, 1), (0, 3), (1, 3)}


def test_crossover_exchanges_whole_elements():
    space = Space({"alpha": Integer(0, 7), "layers": ListOf(Integer(0, 255), 2, 2)}, bits=8)
    first, second = (Population.from_bits(np.full((200, 24), bit)) for bit in (0, 1))
    rule = space.reproduction(Reproduction(crossover_threshold=1, crossover="uniform", mutation_rate=0))
    children = rule.children(first, second, np.random.default_rng(0), space.layout).population
    values = {tuple(space.decoded(one).value["layers"]) for one in children}
    whole = {space.decoded(parents[0]).value["layers"][0] for parents in (first, second)}
    assert values == {(a, b) for a in whole for b in whole}


def test_children_of_a_list_stay_within_its_bounds():
    space = Space({"layers": ListOf({"a": Integer(0, 3), "b": Integer(0, 3)}, 2, 4)}, bits=2)
    population, rng = space.start(60, np.random.default_rng(0)), np.random.default_rng(1)
    for crossover in ("uniform", "cut_and_splice"):
        rule = space.reproduction(Reproduction(crossover=crossover, resize_rate=0.8))
        children = rule.children(population, population[::-1], rng, space.layout).population
        assert {len(space.decoded(one).value["layers"]) for one in children} == {2, 3, 4}


def test_a_graph_reads_earlier_nodes_only_and_has_the_size_of_its_stage():
    space = Space({"alpha": Float(0, 1), "graph": Graph(1, 4)})
    found = [space.decoded(genotype).value["graph"] for genotype in space.start(80, np.random.default_rng(2))]
    assert Counter(map(len, found)) == dict.fromkeys(range(1, 5), 20)  # nodes 2, 3, ... and the output
    for graph in found:
        for node, read in enumerate(graph, 2):
            last = node - 1 if node < len(graph) + 1 else len(graph)
            assert read
            assert set(read) <= set(range(last + 1))


def test_a_dense_graph_has_weights_that_sum_to_one():
    space = Space({"graph": Graph(2, 3, kind="dense", precision=3)})
    graph = space.decoded(space.start(1, np.random.default_rng(0))[0]).value["graph"]
    assert all(sum(weights) == pytest.approx(1) for weights in graph)


@pytest.mark.parametrize(
    ("lists", "varying"),
    [
        ({"a": ListOf([1, 2], 1, 3), "b": ListOf(Integer(1, 9), 0, 2)}, "a"),
        ({"a": ListOf([1, 2], 0, 3), "b": ListOf({"c": Integer(1, 9), "d": [1, 2]}, 2, 4)}, "b"),
        ({"a": ListOf([1, 2], 1, 3), "b": Graph(1, 4)}, "b"),
        ({"a": ListOf([1, 2], 0, 3)}, None),
        ({"a": ListOf([1, 2], 2, 2), "b": ListOf(ListOf([1, 2], 0, 2), 1, 3)}, "b"),
    ],
)
def test_of_several_lists_one_has_the_length_of_the_genotype_and_all_have_all_of_theirs(lists, varying):
    space = Space({"x": Integer(1, 5), **lists})
    start = space.start(200, np.random.default_rng(0))
    values = [space.decoded(genotype).value for genotype in start]
    for name, one in lists.items():
        counts = Counter(len(value[name]) for value in values)
        assert sorted(counts) == list(range(one.minimum, one.maximum + 1))
        assert min(counts.values()) > 20
    sizes = (
        {
            length: {
                len(value[varying]) for value, genotype in zip(values, start, strict=True) if len(genotype) == length
            }
            for length in set(start.lengths.tolist())
        }
        if varying
        else {}
    )
    assert all(len(found) == 1 for found in sizes.values())
    assert len(sizes) == (lists[varying].maximum - lists[varying].minimum + 1 if varying else 0)


def test_one_list_at_two_places_has_elements_of_its_own_at_each():
    layers = ListOf(Integer(1, 99), 2, 3)
    space = Space({"a": layers, "b": layers})
    values = [space.decoded(genotype).value for genotype in space.start(20, np.random.default_rng(0))]
    assert all(set(value["a"]) != set(value["b"]) for value in values)


@pytest.mark.parametrize(
    ("space", "precision"),
    [
        ({"a": ListOf([1, 2], 1, 4)}, 1),
        ({"a": ListOf([1, 2], 0, 4)}, 3),
        ({"a": ListOf({"b": ListOf([1, 2], 1, 9)}, 1, 300)}, 4),
    ],
)
def test_a_length_needs_bits_where_a_gene_tells_it(space, precision):
    assert Space(space, bits=1).precision == precision


def test_elements_past_the_length_of_a_list_make_no_difference():
    space = Space({"a": ListOf(Integer(1, 99), 0, 3)}, bits=8, coding="binary")
    short, other = (Genotype("00000000" + "11111111" * i + "01010101" * (3 - i)) for i in (1, 2))
    assert space.decoded(short).value == {"a": ()}
    assert space.key(short) == space.key(other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Integer(3, 3), "low < high, got 3, 3"),
        (lambda: Integer(0, 3, log=True), "low must be at least 1 for a logarithmic scale, got 0"),
        (lambda: Integer(0, 2.5), "two whole numbers"),
        (lambda: Float(0, 1, log=True), "low must be above 0"),
        (lambda: Float(0, np.inf), "finite"),
        (lambda: Categorical(["one"]), r"options must be a list of at least 2, got \['one'\]"),
        (lambda: Choice("ab"), "options must be a list"),
        (lambda: ListOf(Integer(0, 1), 3, 2), "minimum must be a whole number from 0 to 2, got 3"),
        (lambda: ListOf({"g": Graph(1, 2)}, 1, 2), "must not contain a graph"),
        (
            lambda: ListOf(Choice([Option("conv", {"k": Integer(1, 5)}), "dense"]), 1, 3),
            r'options have parameters must be a dict, such as ListOf\({"kind": Choice',
        ),
        (lambda: Graph(0, 2), "minimum must be a whole number from 1 to 2, got 0"),
        (lambda: Space({"a": Graph(1, 2), "b": Graph(2, 2)}), "at most one Graph, got 2"),
        (lambda: Space({}), "at least one parameter"),
        (lambda: Space({"C": 3}), "parameter 'C' must be an Integer, Float, .* or list, got 3"),
        (lambda: Space({"C": Integer}), "parameter 'C' must be an Integer, Float, .*got <class"),
        (lambda: Space({"C": Integer(0, 1)}, coding="grey"), "coding must be one of binary, gray, got 'grey'"),
        (lambda: Space({"C": Integer(0, 1)}, bits=17), "bits must be a whole number from 1 to 16, got 17"),
        (lambda: Space({"C": Categorical(list(range(70_000)))}), "at most 65,536 options, got 70,000"),
        (lambda: Integer(0, 10**400), r"they must be up to 2\*\*53, got 0, an int of"),
    ],
)
def test_a_space_that_is_not_one_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
