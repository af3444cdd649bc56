import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.decode import gene_values
from genoevo.operators.mutation import creep


def of_values(values, precision):
    """A population of one-row gene values, most significant bit first."""
    values = np.asarray(values)
    bits = values[..., None] >> np.arange(precision - 1, -1, -1) & 1
    return Population.from_bits(bits.reshape(len(values), -1))


def values_after(values, precision, rng, **settings):
    population = of_values(values, precision)
    return gene_values(creep(population, rng, layout=FlatLayout(precision), **settings), precision)


@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    precision=st.sampled_from([1, 2, 3, 5, 8, 16]),
    settings=st.fixed_dictionaries(
        {"rate": st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]), "step": st.integers(1, 9), "wrap": st.booleans()}
    ),
    seed=st.integers(0, 999),
)
def test_genes_move_by_at_most_the_step_and_parents_stay(
    check_well_formed, check_no_shared_memory, rows, precision, settings, seed
):
    layout = FlatLayout(precision)
    parents = Population.random(len(rows), np.array(rows) * precision, np.random.default_rng(seed))
    before = parents.copy()
    mutants = creep(parents, np.random.default_rng(seed), layout=layout, **settings)
    check_well_formed(mutants)
    check_no_shared_memory([mutants], [parents])
    np.testing.assert_array_equal(parents.words, before.words)
    np.testing.assert_array_equal(mutants.lengths, before.lengths)
    moved = np.abs(gene_values(mutants, precision) - gene_values(parents, precision))
    if settings["wrap"]:
        moved = np.minimum(moved, 2**precision - moved)
    assert moved.max() <= settings["step"]
    again = creep(parents, np.random.default_rng(seed), layout=layout, **settings)
    np.testing.assert_array_equal(again.words, mutants.words)


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.4, 1.0])
def test_each_gene_creeps_at_the_rate_independently(rng, check_frequencies, rate):
    moved = values_after(np.full((3000, 30), 8), 5, rng, rate=rate) != 8
    both = (moved[:, 1:] & moved[:, :-1]).sum()
    if rate == 1:
        assert moved.all()
        return
    check_frequencies([moved.sum(), (~moved).sum()], [rate, 1 - rate])
    check_frequencies([both, moved[:, 1:].size - both], [rate**2, 1 - rate**2])


def test_by_default_one_gene_per_genotype_creeps_by_one(rng, check_mean):
    values = values_after(np.full((4000, 20), 8), 5, rng)
    check_mean((values != 8).sum(axis=1), 1)
    assert set(np.unique(values)) == {7, 8, 9}


def test_distances_are_uniform_in_both_directions(rng, check_frequencies):
    values = values_after(np.full((6000, 1), 100), 8, rng, rate=1, step=3)
    check_frequencies(np.bincount(values[:, 0])[[97, 98, 99, 101, 102, 103]], [1 / 6] * 6)


@pytest.mark.parametrize(
    ("wrap", "expected"), [(False, {0: {0, 1, 2}, 7: {7, 6, 5}}), (True, {0: {1, 2, 6, 7}, 7: {0, 1, 5, 6}})]
)
def test_at_the_ends_values_stop_or_wrap(rng, wrap, expected):
    for start, ends in expected.items():
        assert set(np.unique(values_after(np.full((300, 4), start), 3, rng, rate=1, step=2, wrap=wrap))) == ends


def test_genes_across_word_borders_creep_like_others(rng):
    values = values_after(np.full((200, 40), 15), 5, rng, rate=1)
    assert set(np.unique(values)) == {14, 16}
    assert (values.min(axis=0) == 14).all()
    assert (values.max(axis=0) == 16).all()


def test_a_mixed_batch_has_each_genotypes_own_rate(rng, check_mean):
    population = Population.random(6000, np.tile([8, 80], 3000), rng)
    mutants = creep(population, rng, layout=FlatLayout(4), wrap=True, rate=np.tile([0.5, 0.1], 3000))
    counts = (gene_values(mutants, 4) != gene_values(population, 4)).sum(axis=1)
    check_mean(counts[::2], 1)
    check_mean(counts[1::2], 2)


def test_mutants_are_unevaluated_and_keep_the_weights(rng):
    population = Population.random(3, 10, rng, weights=(1, -1))
    population.fitness = np.ones((3, 2))
    mutants = creep(population, rng, layout=FlatLayout(2))
    assert not mutants.evaluated.any()
    assert mutants.weights == (1.0, -1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0}, "step must be at least 1, got 0"),
        ({"rate": 1.5}, "rate must be between 0 and 1, got 1.5"),
        ({"layout": FlatLayout(4)}, "length 10 is not a multiple of the 4 bits of a gene"),
        ({"layout": StagedLayout(3)}, "no stage has 10 bits at precision 3"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(rng, settings, message):
    with pytest.raises(ValueError, match=message):
        creep(Population.random(2, 10, rng), rng, **({"layout": FlatLayout(2)} | settings))
