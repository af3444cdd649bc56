"""Settings of variation in both estimators, and what resizing does to a graph."""

import numpy as np
import pytest
from sklearn.base import clone

from genoevo import Population, StagedLayout
from genoevo.operators import LengthPolicy, Reproduction, Variation
from genoevo_sklearn import Graph, Integer
from genoevo_sklearn.space import Space
from genoevo_sklearn.space.layout import GraphReproduction
from tests.scikit_learn.test_operators import SEARCHES, outcome


@pytest.mark.parametrize("name", SEARCHES)
def test_no_genotype_occurs_twice_if_duplicates_are_not_wanted(name, classes):
    few = Reproduction(crossover="points", crossover_threshold=0.0, mutation_threshold=1.0, mutation_rate=0.0)
    repeated, distinct = (
        clone(SEARCHES[name]).set_params(reproduction=few, generations=2, variation=Variation(duplicates=twice))
        for twice in (True, False)
    )
    assert repeated.fit(*classes).n_candidates_ <= 6  # no child differs from a parent
    assert distinct.fit(*classes).n_candidates_ > repeated.n_candidates_


def test_rates_by_feature_reach_the_genotypes(classes):
    rates = Variation(mutation_rates=[0.0] * 9 + [1.0])
    never = Reproduction(crossover_threshold=0.0)
    search = clone(SEARCHES["selector"]).set_params(reproduction=never, variation=rates, generations=2)
    support = np.stack(search.fit(*classes).cv_results_["support"])
    first = support[:6, :9].tolist()
    assert len(support) > 6
    assert all(row in first for row in support[6:, :9].tolist())


@pytest.mark.parametrize(
    ("name", "variation", "message"),
    [
        ("selector", Variation(frozen=[1]), r"variation must have no frozen bits in an estimator, got \(1,\)"),
        ("layers", Variation(mutation_rates=[0.1] * 99), "no frozen bits and no mutation_rates with a list"),
        ("parameters", Variation(mutation_rates=[0.1] * 2), "mutation_rates must be 8 for as many bits, got 2"),
    ],
)
def test_a_variation_that_does_not_fit_is_refused(name, variation, message, classes):
    with pytest.raises(ValueError, match=message):
        clone(SEARCHES[name]).set_params(variation=variation).fit(*classes)


def test_a_search_with_a_variation_resumes_exactly_and_refuses_another(classes, tmp_path):
    search = clone(SEARCHES["layers"]).set_params(variation=Variation(duplicates=False))
    whole = clone(search).fit(*classes)
    search.set_params(checkpoint=tmp_path / "search.npz", generations=1).fit(*classes)
    assert outcome(search.set_params(generations=3).fit(*classes)) == outcome(whole)
    with pytest.raises(ValueError, match="variation"):
        search.set_params(variation=None).fit(*classes)


@pytest.mark.parametrize("name", ["reproduction", "selection", "survival", "variation"])
def test_a_rule_of_another_kind_is_refused_by_name(name, classes):
    with pytest.raises(TypeError, match=f"{name} must be of type {name.title()}, got 5"):
        clone(SEARCHES["selector"]).set_params(**{name: 5}).fit(*classes)


def test_a_graph_gains_or_loses_its_last_node_within_bounds():
    layout, rng = StagedLayout(1), np.random.default_rng(3)
    sizes = np.repeat(np.arange(2, 9), 300)
    graphs = Population.random(len(sizes), np.array([layout.length(size) for size in sizes]), rng)
    bounds = LengthPolicy(minimum=layout.length(2), maximum=layout.length(8))
    rule = GraphReproduction(resize_rate=1.0, granularity="segment", lengths=bounds)
    resized = rule._resized(graphs, rng, layout)
    change = np.array([layout.stage(int(length)) for length in resized.lengths]) - sizes
    assert {size: sorted(set(change[sizes == size].tolist())) for size in (2, 5, 8)} == {
        2: [0, 1],
        5: [-1, 1],
        8: [-1, 0],
    }
    for size, before, after in zip(sizes, graphs, resized, strict=True):
        *nodes, _ = layout.segments(min(size, layout.stage(len(after))))
        assert after.bits[: nodes[-1].stop].tolist() == before.bits[: nodes[-1].stop].tolist()


def test_a_graph_that_is_resized_keeps_all_connections_of_other_nodes_and_of_the_output():
    space = Space({"units": Integer(1, 9), "graph": Graph(2, 8)})
    never = Reproduction(crossover_threshold=0.0, mutation_rate=0.0, resize_rate=1.0, granularity="gene")
    rng = np.random.default_rng(1)
    parents = space.start(200, rng)
    children, _ = space.reproduction(never).children(parents, parents, rng, space.layout)
    for parent, child in zip(parents, children, strict=True):
        before, after = (space.decoded(one).value for one in (parent, child))
        assert after["units"] == before["units"]
        (*nodes, output), (*left, end) = before["graph"], after["graph"]
        shared = min(len(nodes), len(left))
        assert left[:shared] == nodes[:shared]
        if len(left) > len(nodes):
            new = len(left) + 1
            assert left[-1] == output
            assert end == (*output, new) or (end, output) == ((new,), (0,))  # what reads nothing reads the input
        elif len(left) < len(nodes):
            kept = tuple(node for node in output if node < len(nodes) + 1)
            assert end == kept or not kept
