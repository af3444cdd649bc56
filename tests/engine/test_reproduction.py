import dataclasses

import numpy as np
import pytest

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.operators import Reproduction, crossover, mutation

N, LENGTH = 6000, 200


@pytest.fixture
def zeros():
    return Population.from_bits(np.zeros((N, LENGTH)))


@pytest.fixture
def ones():
    return Population.from_bits(np.ones((N, LENGTH)))


def kinds(children):
    """How many children of zeros and ones, without mutation, were left alone, got one stretch, or are fresh."""
    bits = children.bits()
    stretches = (np.diff(bits.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    return [(stretches == 0).sum(), (stretches == 1).sum(), (stretches > 1).sum()]


@pytest.mark.parametrize(
    ("crossover_threshold", "mutation_threshold"),
    [(1, 1), (0, 1), (0, 0), (0.3, 0.7), (0.5, 0.5), (0, 0.4), (0.6, 1)],
)
def test_the_thresholds_split_children_into_crossed_mutated_and_fresh(
    rng, zeros, ones, check_frequencies, crossover_threshold, mutation_threshold
):
    rule = Reproduction(
        crossover_threshold=crossover_threshold, mutation_threshold=mutation_threshold, mutation_rate=0
    )
    found = kinds(rule.children(zeros, ones, rng).population)
    expected = [mutation_threshold - crossover_threshold, crossover_threshold, 1 - mutation_threshold]
    for count, probability in zip(found, expected, strict=True):
        if probability in (0, 1):
            assert count == N * probability
        else:
            check_frequencies([count, N - count], [probability, 1 - probability])


def test_by_default_nine_of_ten_children_are_crossed_and_none_is_fresh(rng, zeros, ones, check_frequencies):
    untouched, crossed, fresh = kinds(Reproduction(mutation_rate=0).children(zeros, ones, rng).population)
    assert fresh == 0
    check_frequencies([untouched, crossed], [0.1, 0.9])


def test_crossed_children_are_mutated_too(rng, zeros, check_mean):
    rule = Reproduction(crossover_threshold=1, mutation_rate=0.1)
    check_mean(rule.children(zeros, zeros, rng).population.bits().sum(axis=1), 0.1 * LENGTH)


def test_a_mutated_child_comes_from_the_first_parent_alone(rng, zeros, ones, check_mean):
    rule = Reproduction(crossover_threshold=0, mutation_rate=0.1)
    check_mean(rule.children(zeros, ones, rng).population.bits().sum(axis=1), 0.1 * LENGTH)


def test_a_fresh_child_owes_nothing_to_its_parents(zeros, ones):
    rule = Reproduction(crossover_threshold=0, mutation_threshold=0)
    children = [rule.children(a, b, np.random.default_rng(1)).population for a, b in [(zeros, ones), (ones, zeros)]]
    np.testing.assert_array_equal(children[0].words, children[1].words)


def test_fresh_bits_are_fair(rng, zeros, check_frequencies):
    rule = Reproduction(crossover_threshold=0, mutation_threshold=0)
    for column in rule.children(zeros, zeros, rng).population.bits().T:
        check_frequencies([column.sum(), N - column.sum()], [0.5, 0.5])


def test_fresh_children_are_not_mutated(zeros):
    rules = [Reproduction(crossover_threshold=0, mutation_threshold=0, mutation_rate=rate) for rate in (0, 0.1, 1)]
    children = [rule.children(zeros, zeros, np.random.default_rng(4)).population.words.tolist() for rule in rules]
    assert children[0] == children[1] == children[2]


def test_the_default_mutation_rate_is_1_over_each_childs_length(rng, check_mean):
    lengths = np.tile([8, 100], N // 2)
    parents = Population.random(N, lengths, rng)
    children = Reproduction(crossover_threshold=0).children(parents, parents, rng).population
    flips = (children.bits() != parents.bits()).sum(axis=1)
    for length in (8, 100):
        check_mean(flips[lengths == length], 1)


def test_without_mutation_and_with_points_children_are_those_of_the_crossover(rng):
    parents = [Population.random(50, 100, rng) for _ in range(2)]
    rule = Reproduction(crossover_threshold=1, mutation_rate=0, points=4)
    generator = np.random.default_rng(5)
    generator.random(50)  # the draw against the thresholds
    expected = crossover.n_point(*parents, generator, points=4)[0]
    np.testing.assert_array_equal(rule.children(*parents, np.random.default_rng(5)).population.words, expected.words)


def test_the_kind_of_crossover_is_obeyed(rng, zeros, ones):
    layout = FlatLayout(1)
    found = {
        kind: Reproduction(crossover_threshold=1, mutation_rate=0, crossover=kind)
        .children(zeros, ones, rng, layout)
        .population.bits()
        .sum(axis=1)
        for kind in ("points", "uniform", "segments")
    }
    assert set(found["segments"].tolist()) == {0, LENGTH}
    assert np.ptp(found["uniform"]) < LENGTH / 2 < np.ptp(found["points"])
    assert found["uniform"].mean() == pytest.approx(LENGTH / 2, abs=1)


def test_segments_without_a_layout_are_refused(rng, zeros, ones):
    with pytest.raises(ValueError, match="crossover by segments needs a layout"):
        Reproduction(crossover="segments").children(zeros, ones, rng)


@pytest.mark.parametrize("kind", ["points", "uniform", "segments"])
def test_children_have_their_first_parents_length_and_no_fitness(rng, check_well_formed, frozen, kind):
    layout = StagedLayout(5)
    lengths = np.array([[layout.length(stage) for stage in rng.integers(1, 8, 200)] for _ in range(2)])
    parents = [Population.random(200, side, rng, weights=(1, -1)) for side in lengths]
    for parent in parents:
        parent.fitness = np.ones((200, 2))
    before = frozen([[parent.words, parent.lengths, parent.fitness] for parent in parents])
    rule = Reproduction(crossover_threshold=0.4, mutation_threshold=0.7, crossover=kind)
    children = rule.children(*parents, rng, layout).population
    check_well_formed(children)
    assert children.lengths.tolist() == lengths[0].tolist()
    assert children.weights == (1.0, -1.0)
    assert not children.evaluated.any()
    assert frozen([[parent.words, parent.lengths, parent.fitness] for parent in parents]) == before


def test_the_same_seed_gives_the_same_children(rng):
    parents = [Population.random(50, 100, rng) for _ in range(2)]
    rule = Reproduction(crossover_threshold=0.4, mutation_threshold=0.7)
    words = [rule.children(*parents, np.random.default_rng(seed)).population.words.tolist() for seed in (1, 1, 2)]
    assert words[0] == words[1]
    assert words[0] != words[2]


def test_mutation_alone_is_the_mutation_operator(rng):
    parents = Population.random(50, 100, rng)
    generator = np.random.default_rng(5)
    generator.random(50)  # the draw against the thresholds
    expected = mutation.flip(parents, generator, rate=0.3)
    children = (
        Reproduction(crossover_threshold=0, mutation_rate=0.3)
        .children(parents, parents, np.random.default_rng(5))
        .population
    )
    np.testing.assert_array_equal(children.words, expected.words)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mutation_threshold": 1.1}, "mutation_threshold must be between 0 and 1, got 1.1"),
        ({"mutation_threshold": -0.1}, "mutation_threshold must be between 0 and 1, got -0.1"),
        ({"crossover_threshold": -0.1}, "crossover_threshold must be between 0 and 1, got -0.1"),
        (
            {"crossover_threshold": 0.9, "mutation_threshold": 0.5},
            "crossover_threshold must be between 0 and 0.5, got 0.9",
        ),
        (
            {"crossover": "points2"},
            "crossover must be one of cut_and_splice, points, segments, uniform, got 'points2'",
        ),
        ({"points": 0}, "points must be at least 1, got 0"),
        ({"mutation_rate": 1.5}, "mutation_rate must be between 0 and 1, got 1.5"),
        ({"mutation_rate": float("nan")}, "mutation_rate must be between 0 and 1, got nan"),
    ],
)
def test_invalid_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Reproduction(**settings)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Reproduction().points = 3
