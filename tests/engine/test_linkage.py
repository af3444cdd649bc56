"""Linkage trees, hill climbing and optimal mixing against their plain form."""

import math
from itertools import combinations

import numpy as np
import pytest

from genoevo import Population, Record, Stop
from genoevo._bits import random_words, unpack, word_count
from genoevo.algorithms import LTGA, P3, mixing
from genoevo.algorithms.tree import distances, linkage_tree
from genoevo.evaluation import Vectorised
from genoevo.problems import HIFF, NKLandscape, Trap
from genoevo.state import load, save
from tests.engine import plain_linkage as plain


class Draws:
    """The draws of the packed forms, one solution at a time."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def bits(self, length):
        return unpack(random_words(np.array([length]), word_count(length), self.rng), length)[0].tolist()

    def order(self, n):
        return self.rng.permutation(n).tolist()

    def donors(self, n, count):
        return self.rng.integers(0, n, count).tolist()

    def different(self, n, differs):
        rows = [row for row in range(n) if differs(row)]
        return rows[int(self.rng.random(1)[0] * len(rows))] if rows else None


def value_of(problem):
    return lambda bits: float(problem(Population.from_bits([bits]))[0])


def bits_of(solutions):
    return solutions.population().bits().tolist()


def clusters_of(tree, length):
    return {frozenset(np.flatnonzero(row).tolist()) for row in unpack(tree.masks, length)}


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 200])
def test_distances_are_one_minus_mutual_information_over_joint_entropy(rng, n):
    bits = rng.integers(0, 2, (n, 9))
    bits[:, 3] = bits[:, 1]  # always equal
    bits[:, 5] = 1 - bits[:, 2]  # always different
    bits[:, 7] = 1  # constant
    got = distances(Population.from_bits(bits).words, 9) / 2**32
    for i, j in combinations(range(9), 2):

        def entropy(values):
            shares = [values.count(value) / n for value in set(values)]
            return -sum(share * math.log2(share) for share in shares)

        one, other = bits[:, i].tolist(), bits[:, j].tolist()
        joint = entropy(list(zip(one, other, strict=True)))
        expected = 2 - (entropy(one) + entropy(other)) / joint if joint else 0
        assert got[i, j] == got[j, i] == pytest.approx(expected, abs=1e-9)


def test_bits_that_tell_each_other_are_at_distance_zero_exactly(rng):
    bits = rng.integers(0, 2, (1000, 4))
    bits[:, 1], bits[:, 2] = bits[:, 0], 1 - bits[:, 0]
    table = distances(Population.from_bits(bits).words, 4)
    assert (table[:3, :3] == 0).all()
    assert (table[3, :3] > 0).all()


@pytest.mark.parametrize("length", [2, 3, 10, 70])
def test_a_tree_has_the_clusters_that_merging_the_closest_pair_again_and_again_makes(rng, length):
    table = rng.integers(1, 2**32, (length, length))
    table = np.triu(table, 1) + np.triu(table, 1).T
    clusters, expected = [frozenset([bit]) for bit in range(length)], set()
    while len(clusters) > 1:
        expected |= set(clusters)
        one, other = min(
            combinations(clusters, 2), key=lambda pair: table[np.ix_(list(pair[0]), list(pair[1]))].mean()
        )
        clusters = [it for it in clusters if it not in (one, other)] + [one | other]
    tree = linkage_tree(table, word_count(length), rng, whole=False)
    assert clusters_of(tree, length) == expected
    assert clusters_of(linkage_tree(table, word_count(length), rng, whole=True), length) == expected | set(clusters)


def test_the_parts_of_a_cluster_that_always_change_together_are_left_out(rng):
    bits = np.repeat(rng.integers(0, 2, (100, 3)), 4, axis=1)
    tree = linkage_tree(distances(Population.from_bits(bits).words, 12), 1, rng, whole=False)
    blocks = {frozenset(range(first, first + 4)) for first in (0, 4, 8)}
    assert {cluster for cluster in clusters_of(tree, 12) if len(cluster) <= 4} == blocks


def test_clusters_at_equal_distance_merge_in_random_order(rng):
    table = np.ones((6, 6), dtype=np.int64) - np.eye(6, dtype=np.int64)
    seen = {frozenset(clusters_of(linkage_tree(table, 1, rng, whole=False), 6)) for _ in range(30)}
    assert len(seen) > 5


def test_small_clusters_come_first_and_in_the_other_order_the_least_linked(rng):
    bits = rng.integers(0, 2, (50, 30))
    tree = linkage_tree(distances(Population.from_bits(bits).words, 30), 1, rng, whole=False)
    sizes = np.bitwise_count(tree.smallest_first(rng)).sum(axis=1)
    assert (np.diff(sizes.astype(int)) >= 0).all()
    height = dict(zip(tree.masks[:, 0].tolist(), tree.heights.tolist(), strict=True))
    assert (np.diff([height[mask] for mask in tree.least_linked_first(rng)[:, 0].tolist()]) <= 0).all()


PROBLEMS = [Trap(35, order=7, shuffle=1), HIFF(64, shuffle=2), NKLandscape(30, k=3, shuffle=3)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=["trap", "hiff", "nk"])
def test_p3_makes_the_pyramid_of_its_plain_form(problem):
    start = problem.random(1, np.random.default_rng(5))
    search = P3(Vectorised(problem), start, seed=7)
    search.run(generations=12)
    evaluate = plain.Counted(value_of(problem), math.inf, limit=search.evaluations + 1)
    levels = plain.p3(evaluate, start.bits()[0].tolist(), Draws(7))
    assert [bits_of(level.solutions) for level in search.levels] == [level.solutions for level in levels]


@pytest.mark.parametrize("problem", PROBLEMS, ids=["trap", "hiff", "nk"])
def test_ltga_makes_the_populations_of_its_plain_form(problem):
    start = problem.random(21, np.random.default_rng(5))
    search = LTGA(Vectorised(problem), start, seed=7, interleaved=False)
    search.run(generations=4)
    evaluate = plain.Counted(value_of(problem), math.inf)
    solutions, fitness = plain.ltga(evaluate, start.bits().tolist(), Draws(7), generations=3)
    assert bits_of(search.populations[0].solutions) == solutions
    assert search.population.fitness.tolist() == fitness
    assert search.evaluations == evaluate.evaluations


@pytest.mark.parametrize("problem", PROBLEMS, ids=["trap", "hiff", "nk"])
@pytest.mark.parametrize("at_once", [1, 8])
def test_p3_finds_the_optimum_of_shuffled_loci(problem, at_once):
    search = P3(Vectorised(problem), problem.random(1, np.random.default_rng(1)), seed=1, at_once=at_once)
    assert search.run(stop=Stop(target=problem.optimum, evaluations=60_000)) == "target"


@pytest.mark.parametrize("problem", PROBLEMS, ids=["trap", "hiff", "nk"])
def test_ltga_needs_no_size_to_find_the_optimum_of_shuffled_loci(problem):
    search = LTGA(Vectorised(problem), problem.random(4, np.random.default_rng(1)), seed=1)
    assert search.run(stop=Stop(target=problem.optimum, evaluations=300_000)) == "target"
    assert len(search.populations) > 2


def test_no_solution_is_twice_in_a_pyramid_and_each_level_is_better_than_the_one_below():
    problem = HIFF(32)
    search = P3(Vectorised(problem), problem.random(1, np.random.default_rng(1)), seed=1, at_once=4)
    search.run(generations=8)
    rows = [str(genotype) for level in search.levels for genotype in level.solutions.population()]
    assert len(rows) == len(set(rows)) == len(search.population)
    means = [level.solutions.merit.mean() for level in search.levels]
    assert means == sorted(means)
    assert search.population.fitness.tolist() == problem(search.population).tolist()


@pytest.mark.parametrize("kind", [P3, LTGA])
def test_with_mixed_lengths_bits_past_the_common_prefix_are_never_copied(kind, rng):
    lengths = np.array([10, 80, 70, 10, 80, 70])
    start = Population.random(6, lengths, rng)
    asked = []

    def evaluate(population):
        asked.extend(population)
        bits = population.bits()[:, :10]  # pairs of equal bits, so that solutions differ
        return (bits[:, ::2] == bits[:, 1::2]).sum(axis=1, dtype=float)

    search = kind(Vectorised(evaluate), start, seed=1, record=Record(lineage=True))
    search.run(generations=6)
    assert {len(genotype) for genotype in asked} == {10, 70, 80}
    mixed = [(parents, genotype) for genotype, parents in zip(asked, search.lineage.parents, strict=True)]
    copied = [(asked[one], genotype) for (one, other), genotype in mixed if other >= 0]
    assert copied
    assert all(str(parent)[10:] == str(genotype)[10:] for parent, genotype in copied)


def test_ltga_doubles_its_populations_and_ends_the_smaller_one_that_is_worse():
    problem = HIFF(64)
    search = LTGA(Vectorised(problem), problem.random(4, np.random.default_rng(1)), seed=1)
    search.run(generations=40)
    sizes = [len(it.solutions) for it in search.populations]
    assert sizes == [4 << i for i in range(len(sizes))]
    means = [it.solutions.merit.mean() for it in search.populations]
    for place, population in enumerate(search.populations):
        if max(means[place:]) > means[place]:
            assert population.ended


def test_ltga_of_one_size_begins_again_when_it_no_longer_changes():
    problem = Trap(20)
    search = LTGA(Vectorised(problem), problem.random(4, np.random.default_rng(1)), seed=1, interleaved=False)
    search.run(generations=30)
    assert [len(it.solutions) for it in search.populations] == [4]
    assert search.populations[0].generations < 30
    assert search.logbook[-1]["mean"] < max(record["mean"] for record in search.logbook)


def exhausted(**settings):
    """LTGA on few bits, whose populations up to 16 genotypes end soon."""
    problem = HIFF(8)
    start = problem.random(4, np.random.default_rng(1))
    return LTGA(Vectorised(lambda it: -problem(it)), start, seed=1, largest=16, **settings)


def test_ltga_begins_no_population_larger_than_the_largest_and_ends_with_the_last():
    search = exhausted()
    assert search.run(stop=Stop(evaluations=1_000_000)) == "exhausted"
    assert [len(it.solutions) for it in search.populations] == [4, 8, 16]
    spent = search.evaluations
    assert search.run(5) == "exhausted"
    assert search.evaluations == spent
    with pytest.raises(RuntimeError, match="this LTGA is exhausted: nothing is left to evaluate"):
        search.step()


def test_an_exhausted_search_is_one_after_a_save_and_a_load(tmp_path):
    search = exhausted()
    search.run(stop=Stop(evaluations=1_000_000))
    save(tmp_path / "a.npz", search.state_dict())
    again = LTGA.from_state(load(tmp_path / "a.npz"), sum)
    assert again.exhausted
    assert (again.evaluations, again.largest) == (search.evaluations, 16)


def test_a_population_of_one_size_is_never_exhausted():
    assert exhausted(interleaved=False).run(50) == "generations"


def test_the_largest_is_checked_and_has_a_default():
    start = Population.random(10, 8, np.random.default_rng(1))
    assert LTGA(sum, start, seed=1).largest == 65_536
    with pytest.raises(ValueError, match="largest must be a whole number of at least 10, got 9"):
        LTGA(sum, start, seed=1, largest=9)


def test_a_state_without_the_largest_has_its_default():
    search = LTGA(sum, Population.random(10, 8, np.random.default_rng(1)), seed=1)
    state = search.state_dict()
    del state["settings"]["largest"]
    assert LTGA.from_state(state, sum).largest == 65_536


@pytest.mark.parametrize("few", [0, mixing._FEW_PAIRS], ids=["drawn", "compared"])
def test_a_donor_is_drawn_uniformly_from_those_that_differ(few, monkeypatch, rng):
    monkeypatch.setattr(mixing, "_FEW_PAIRS", few)
    donors = Population.from_genotypes(["0011"] * 12 + ["0111", "1011", "0001"]).words
    words = Population.from_genotypes(["0010", "0000", "1100"] * 2000).words
    cluster = Population.from_genotypes(["1100"]).words[0]  # the first two bits
    rows, chosen = mixing._different(words, donors, cluster, rng)
    assert np.bincount(rows % 3, minlength=3).tolist() == [2000] * 3
    for kind, differing in ((0, {12, 13}), (1, {12, 13}), (2, set(range(15)))):
        drawn = np.bincount(chosen[rows % 3 == kind], minlength=15)
        assert set(np.flatnonzero(drawn)) == differing
        expected = 2000 / len(differing)
        assert ((drawn[sorted(differing)] - expected) ** 2 / expected).sum() < 45  # beyond chi-squared of 14 by far


@pytest.mark.parametrize("few", [0, mixing._FEW_PAIRS], ids=["drawn", "compared"])
@pytest.mark.parametrize("donors", [["0011", "0001"], ["0011", "1101", "0111"]], ids=["equal", "different"])
def test_a_solution_that_no_donor_differs_from_gets_none(few, donors, monkeypatch, rng):
    monkeypatch.setattr(mixing, "_FEW_PAIRS", few)
    donors = Population.from_genotypes(donors)
    cluster = Population.from_genotypes(["1000" if len(donors) == 2 else "0001"]).words[0]
    words = Population.from_genotypes(["0011", "1010"] * 50).words
    rows, chosen = mixing._different(words, donors.words, cluster, rng)
    assert rows.tolist() == list(range(1, 100, 2))
    assert ((words[rows] ^ donors.words[chosen]) & cluster).any(axis=1).all()
