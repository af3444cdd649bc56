import dataclasses

import numpy as np
import pytest

from genoevo import Evolution, FlatLayout, Population, StagedLayout
from genoevo.decode import gene_values
from genoevo.operators import LengthPolicy, Origin, Reproduction, crossover, mutation
from genoevo.state import rebuild

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


def test_each_child_is_told_how_it_was_made(rng, zeros, ones):
    rule = Reproduction(crossover_threshold=0.3, mutation_threshold=0.7, mutation_rate=0)
    children, origins = rule.children(zeros, ones, rng)
    assert origins.dtype == np.int8
    assert [kinds(children[origins == origin])[place] for place, origin in enumerate((1, 0, 2))] == [
        (origins == origin).sum() for origin in (1, 0, 2)
    ]


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


def test_origins_say_what_made_each_child(rng, zeros, ones):
    rule = Reproduction(crossover_threshold=0.4, mutation_threshold=0.7, mutation_rate=0)
    children, origins = rule.children(zeros, ones, rng)
    assert origins.dtype == np.int8
    stretches = (np.diff(children.bits().astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert (stretches[origins == Origin.MUTATION] == 0).all()
    assert (stretches[origins == Origin.CROSSOVER] == 1).all()
    assert (stretches[origins == Origin.FRESH] > 1).all()
    assert set(origins.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("thresholds", "origin"), [((1, 1), 0), ((0, 1), 1), ((0, 0), 2)])
def test_each_origin_alone(rng, zeros, ones, thresholds, origin):
    rule = Reproduction(crossover_threshold=thresholds[0], mutation_threshold=thresholds[1])
    assert set(rule.children(zeros, ones, rng).origins.tolist()) == {origin}


@pytest.mark.parametrize("kind", ["points", "uniform"])
@pytest.mark.parametrize(("granularity", "layout"), [("gene", FlatLayout(8)), ("segment", StagedLayout(2))])
def test_the_granularity_is_obeyed(rng, kind, granularity, layout):
    length = 80 if granularity == "gene" else layout.length(7)
    zeros, ones = Population.from_bits(np.zeros((200, length))), Population.from_bits(np.ones((200, length)))
    rule = Reproduction(crossover_threshold=1, mutation_rate=0, crossover=kind, granularity=granularity)
    bits = rule.children(zeros, ones, rng, layout).population.bits()
    spans = [slice(i, i + 8) for i in range(0, length, 8)] if granularity == "gene" else layout.segments(7)
    assert all(len(set(row[span].tolist())) == 1 for row in bits for span in spans)
    assert len(np.unique(bits, axis=0)) > 5


@pytest.mark.parametrize("settings", [{"crossover": "cut_and_splice"}, {"resize_rate": 0.5}])
def test_changed_lengths_keep_to_the_policy(rng, check_well_formed, check_no_shared_memory, settings):
    parents = [Population.random(500, 40, rng) for _ in range(2)]
    rule = Reproduction(lengths=LengthPolicy(minimum=39, maximum=50), mutation_threshold=0.95, **settings)
    assert rule.changes_lengths
    children = rule.children(*parents, rng).population
    check_well_formed(children)
    check_no_shared_memory([children], parents)
    assert len(set(children.lengths.tolist())) > 2
    assert children.lengths.min() == 39
    assert children.lengths.max() <= 50


def test_changed_lengths_are_legal_in_the_layout(rng):
    layout = StagedLayout(2)
    parents = [Population.random(300, layout.length(4), rng) for _ in range(2)]
    rule = Reproduction(crossover="cut_and_splice", resize_rate=0.3, granularity="segment")
    lengths = rule.children(*parents, rng, layout).population.lengths.tolist()
    assert len({layout.stage(length) for length in lengths}) > 2


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_the_rate_of_resizing_is_that_of_its_three_operators_together(rng, zeros, check_frequencies, rate):
    rule = Reproduction(crossover_threshold=0, mutation_rate=0, resize_rate=rate)
    change = rule.children(zeros, zeros, rng).population.lengths - LENGTH
    counts = [(change == -1).sum(), (change == 1).sum(), (change == 0).sum()]
    shares = np.array([rate / 3, 2 * rate / 3, 1 - rate])
    check_frequencies(np.array(counts)[shares > 0], shares[shares > 0])


def test_by_default_lengths_do_not_change():
    assert not Reproduction().changes_lengths


def test_creep_moves_a_genes_value_by_one(rng, check_mean):
    layout = FlatLayout(5)
    parents = Population.from_bits(np.tile([0, 1, 0, 0, 0], (2000, 20)))
    rule = Reproduction(crossover_threshold=0, mutation="creep")
    values = gene_values(rule.children(parents, parents, rng, layout).population, 5)
    assert set(np.unique(values)) == {7, 8, 9}
    check_mean((values != 8).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crossover": "segments"}, "crossover by segments needs a layout"),
        ({"mutation": "creep"}, "mutation by creep needs a layout"),
        ({"granularity": "gene"}, "granularity 'gene' needs a layout"),
    ],
)
def test_what_needs_a_layout_says_so(settings, message):
    Reproduction(**settings).check_layout(FlatLayout())
    with pytest.raises(ValueError, match=message):
        Reproduction(**settings).check_layout(None)


@pytest.mark.parametrize(
    ("policy", "layout"),
    [
        (LengthPolicy(minimum=11, maximum=12), StagedLayout(2)),
        (LengthPolicy(minimum=21), FlatLayout(2, genes=10)),
        (LengthPolicy(maximum=19), FlatLayout(2, genes=10)),
    ],
)
@pytest.mark.parametrize("settings", [{"crossover": "cut_and_splice"}, {"resize_rate": 0.5}])
def test_lengths_that_the_layout_does_not_have_are_refused_before_anything_is_evaluated(
    rng, policy, layout, settings
):
    start = Population.random(4, layout.length(10), rng)
    rule = Reproduction(lengths=policy, **settings)
    with pytest.raises(ValueError, match="has no legal length from"):
        Evolution(None, start, seed=1, reproduction=rule, layout=layout)


def test_lengths_that_the_layout_has_only_far_above_the_least_are_allowed(rng):
    layout = FlatLayout(2, genes=10)
    rule = Reproduction(crossover="cut_and_splice", lengths=LengthPolicy(minimum=3))
    rule.check_layout(layout, Population.random(4, 20, rng))


def test_settings_survive_the_way_to_a_state_and_back():
    rule = Reproduction(crossover="cut_and_splice", lengths=LengthPolicy(minimum=3, maximum=90, illegal="reject"))
    assert rebuild(Reproduction, dataclasses.asdict(rule)) == rule


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
        ({"granularity": "byte"}, "granularity must be one of bit, gene, segment, got 'byte'"),
        ({"mutation": "swap"}, "mutation must be one of creep, flip, got 'swap'"),
        ({"resize_rate": -0.1}, "resize_rate must be between 0 and 1, got -0.1"),
        ({"lengths": LengthPolicy(maximum=9)}, r"lengths have no effect .*, got LengthPolicy\(minimum=1, maximum=9"),
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
