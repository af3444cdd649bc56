"""What a report makes of rounds and genotypes: windows, lines of descent, graphs, clusters."""

import numpy as np
import pytest

from genoevo import Community, StagedLayout
from genoevo.community import Decoding
from genoevo.decode import decode
from genoevo.genotype import Genotype
from genoevo.operators import Reproduction
from genoevo.operators.reproduction import Origin
from genoevo_mega.report.content import window_starts
from genoevo_mega.report.genealogy import donations, lines_of_descent
from genoevo_mega.report.structure import clustered, graph_of, shares_of


def test_windows_are_few_and_hold_episodes_enough():
    class Log:
        rounds, episodes = 2000, np.full((2000, 2), 3)

    starts = window_starts(Log)
    assert len(starts) <= 150
    Log.rounds, Log.episodes = 200, np.full((200, 2), 3)
    assert np.diff(window_starts(Log)).min() * 3 >= 30
    Log.rounds, Log.episodes = 5, np.full((5, 2), 3)
    assert len(window_starts(Log)) == 5
    Log.rounds, Log.episodes = 1999, np.full((1999, 2), 3)
    assert len(set(np.diff(window_starts(Log), append=1999))) <= 2


def test_lines_of_descent_are_those_that_were_bred():
    size, layout = 4, StagedLayout(2)
    rules = Reproduction(crossover_threshold=0.5, mutation_threshold=0.9)
    community = Community(layout, ["a", "b", "c"], seed=3, size=size, reproduction=rules)
    lines = [[] for _ in range(3 * size)]
    survivors, children, rng = [], [], np.random.default_rng(4)
    for number in range(1, 60):
        done = community.step(rng.random((3, size)))
        survivors.append(done.elites)
        children.append(np.concatenate([done.origins[:, :, None], done.parents], axis=2))
        new = []
        for task in range(3):
            new.append(lines[task * size + done.elites[task]])
            for origin, (first, second) in zip(done.origins[task], done.parents[task], strict=True):
                before = [] if origin == Origin.FRESH else lines[first]
                new.append([*before, (number, origin, second // size if second >= 0 else None)])
        lines = new
    found = lines_of_descent(np.array(survivors), np.array(children))
    assert [[(b.round, b.origin, b.donor) for b in line] for line in found] == [
        lines[0],
        lines[size],
        lines[2 * size],
    ]
    assert donations(found).sum() == sum(donor is not None for line in lines[::size] for _, _, donor in line) > 0


def test_a_child_that_is_its_parent_is_no_birth():
    survivors = np.array([[0], [1]])
    children = np.array([[[[Origin.MUTATION, 0, -1]]], [[[-1, 1, -1]]]])
    assert [birth.round for birth in lines_of_descent(survivors, children)[0]] == [1]


def test_no_rounds_have_no_lines():
    assert lines_of_descent(np.zeros((0,), np.int64), np.zeros((0,), np.int64)) == []


def test_a_graphs_edges_carry_the_whole_output():
    rng, layout = np.random.default_rng(5), StagedLayout(4)
    bits = "".join(map(str, rng.integers(0, 2, layout.length(5))))
    graph = graph_of(bits, layout, Decoding())
    weights = decode(Genotype(bits), layout)
    assert [w for a, b, w, _ in graph.edges if b == 3] == weights[1].tolist()
    assert sum(share for _, b, _, share in graph.edges if b == 6) == pytest.approx(1)
    for module in range(1, 6):
        into = sum(share for _, b, _, share in graph.edges if b == module)
        out = sum(share for a, _, _, share in graph.edges if a == module)
        assert into == pytest.approx(out) == pytest.approx(graph.shares[module])


def test_clustering_puts_tasks_together_that_use_the_same_modules():
    shares = np.array([[1.0, 0, 0.1], [0, 1.0, 0], [0.9, 0, 0.1], [0, 0.9, 0.1]])
    found = clustered(shares)
    assert {frozenset(found["order"][:2]), frozenset(found["order"][2:])} == {frozenset((0, 2)), frozenset((1, 3))}
    assert len(found["tree"]) == 3
    assert found["similarity"][0, 2] == pytest.approx(1, abs=1e-3)
    assert found["similarity"][0, 1] == pytest.approx(0, abs=1e-9)


def test_one_task_is_a_cluster_of_its_own():
    shares = shares_of(["0" * 18], StagedLayout(2), Decoding())
    assert clustered(shares)["order"] == [0]
