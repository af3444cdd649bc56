from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Population
from genoevo.operators.heavy_tailed import heavy_tailed, power_law
from genoevo.operators.mutation import flip

# A batch draws each bit where its highest rate is above 1/4, and only the bits that flip where it is not.
both_paths = pytest.mark.parametrize("rate", [0.01, 0.05, 0.25, 0.3, 0.9])
row_lengths = st.integers(1, 150) | st.sampled_from([63, 64, 65, 128])
row_rates = st.sampled_from([0.0, 0.01, 0.25])


def flipped(population, rng, rate):
    """(n, longest) bool: which bits one mutation flipped."""
    return flip(population, rng, rate=rate).bits() != population.bits()


def tiled(lengths, copies, rng):
    """A population of *copies* rows of each length in turn, and each row's index in *lengths*."""
    which = np.tile(np.arange(len(lengths)), copies)
    return Population.random(len(which), np.array(lengths)[which], rng), which


@both_paths
def test_flips_per_genotype_are_binomial(rng, check_frequencies, rate):
    counts = flipped(Population.random(20000, 20, rng), rng, rate).sum(axis=1)
    expected = [comb(20, k) * rate**k * (1 - rate) ** (20 - k) for k in range(21)]
    check_frequencies(np.bincount(counts, minlength=21), expected)


@both_paths
def test_mean_and_variance_of_flips_are_those_of_the_binomial(rng, check_mean, rate):
    counts = flipped(Population.random(3000, 1000, rng), rng, rate).sum(axis=1)
    check_mean(counts, 1000 * rate)
    check_mean((counts - 1000 * rate) ** 2, 1000 * rate * (1 - rate))


@both_paths
def test_every_position_flips_at_the_rate(rng, check_frequencies, rate):
    flips = flipped(Population.random(10000, 70, rng), rng, rate)
    for column in flips.T:
        check_frequencies([column.sum(), (~column).sum()], [rate, 1 - rate])


@both_paths
def test_neighbours_in_a_genotype_and_in_the_batch_flip_independently(rng, check_frequencies, rate):
    flips = flipped(Population.random(3000, 70, rng), rng, rate)
    for one, other in [(flips[:, 1:], flips[:, :-1]), (flips[1:], flips[:-1])]:
        both = (one & other).sum()
        check_frequencies([both, one.size - both], [rate**2, 1 - rate**2])


def test_the_default_rate_is_one_flip_per_genotype_of_any_length(rng, check_mean):
    population, which = tiled([1, 5, 64, 130], 4000, rng)
    counts = flipped(population, rng, None).sum(axis=1)
    assert (counts[which == 0] == 1).all()
    for row in (1, 2, 3):
        check_mean(counts[which == row], 1)


@pytest.mark.parametrize("rates", [(0.0, 0.02, 0.2, 0.0, 0.25, 0.0), (0.0, 0.02, 0.2, 0.0, 0.9, 1.0)])
def test_each_genotype_has_its_own_rate_and_length(rng, check_mean, rates):
    lengths = [40, 100, 7, 1, 130, 64]
    population, which = tiled(lengths, 3000, rng)
    counts = flipped(population, rng, np.array(rates)[which]).sum(axis=1)
    for row, (rate, length) in enumerate(zip(rates, lengths, strict=True)):
        if rate in (0, 1):
            assert (counts[which == row] == rate * length).all()
        else:
            check_mean(counts[which == row], rate * length)


@pytest.mark.parametrize("rates", [0.0, [0.0, 0.0, 0.0]])
def test_rate_0_flips_nothing(rng, rates):
    population = Population.random(3, np.array([1, 64, 100]), rng)
    assert not flipped(population, rng, rates).any()


def test_rate_1_flips_everything(rng, check_well_formed):
    population = Population.from_genotypes(["0", "1" * 70, "0110"])
    mutants = flip(population, rng, rate=1)
    check_well_formed(mutants)
    assert [str(genotype) for genotype in mutants] == ["1", "0" * 70, "1001"]


@given(
    rows=st.lists(st.tuples(row_lengths, row_rates | st.just(0.26) | st.just(1.0)), min_size=1, max_size=6)
    | st.lists(st.tuples(row_lengths, row_rates), min_size=1, max_size=6),
    seed=st.integers(0, 999),
)
def test_mutation_keeps_lengths_and_leaves_the_parents_untouched(
    check_well_formed, check_no_shared_memory, rows, seed
):
    lengths, rates = map(np.array, zip(*rows, strict=True))
    parents = Population.random(len(rows), lengths, np.random.default_rng(seed))
    before = parents.copy()
    mutants = flip(parents, np.random.default_rng(seed), rate=rates)
    check_well_formed(mutants)
    check_no_shared_memory([mutants], [parents])
    np.testing.assert_array_equal(mutants.lengths, lengths)
    np.testing.assert_array_equal(parents.words, before.words)
    np.testing.assert_array_equal(parents.lengths, before.lengths)


@pytest.mark.parametrize("expected", [0.0, 0.5, 3.0, 60.0])
def test_expected_flips_are_the_mean_of_a_binomial(rng, check_mean, expected):
    population, which = tiled([64, 100], 3000, rng)
    counts = flip(population, rng, expected=expected).bits() != population.bits()
    for row, length in enumerate((64, 100)):
        found = counts[which == row].sum(axis=1)
        if expected:
            check_mean(found, expected)
            check_mean((found - expected) ** 2, expected * (1 - expected / length))
        else:
            assert not found.any()


def test_expected_flips_may_differ_between_genotypes(rng, check_mean):
    population, which = tiled([40, 100], 3000, rng)
    mutants = flip(population, rng, expected=np.array([2.0, 30.0])[which])
    counts = (mutants.bits() != population.bits()).sum(axis=1)
    check_mean(counts[which == 0], 2)
    check_mean(counts[which == 1], 30)


@pytest.mark.parametrize("expected", [-1, 10.5, float("nan"), [1.0, 1.0, 11.0]])
def test_more_expected_flips_than_bits_or_fewer_than_none_are_refused(rng, expected):
    with pytest.raises(ValueError, match="expected must be between 0 and the length, got"):
        flip(Population.random(3, 10, rng), rng, expected=expected)


def test_rate_and_expected_together_are_refused(rng):
    with pytest.raises(ValueError, match="give rate or expected, not both"):
        flip(Population.random(3, 10, rng), rng, rate=0.1, expected=1)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_genotype_flips_in_a_batch_by_the_same_law_as_alone(rng, check_frequencies, rate):
    genotype = Population.from_bits(np.zeros((1, 6)))
    together = flip(genotype[np.zeros(4000, int)], rng, rate=rate)
    alone = Population.concatenate([flip(genotype, rng, rate=rate) for _ in range(1000)])
    expected = [rate ** bin(i).count("1") * (1 - rate) ** (6 - bin(i).count("1")) for i in range(64)]
    for mutants in (together, alone):
        check_frequencies(np.bincount(mutants.words[:, 0].astype(int), minlength=64), expected)


@both_paths
def test_the_same_seed_gives_the_same_mutants(rng, rate):
    population = Population.random(50, 100, rng)
    runs = [flip(population, np.random.default_rng(seed), rate=rate) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0].words, runs[1].words)
    assert (runs[0].words != runs[2].words).any()


@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_mutants_are_unevaluated_and_keep_the_weights(rng, rate):
    population = Population.random(3, 10, rng, weights=(1, -1))
    population.fitness = np.ones((3, 2))
    mutants = flip(population, rng, rate=rate)
    assert not mutants.evaluated.any()
    assert mutants.weights == (1.0, -1.0)
    assert population.evaluated.all()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), [0.1, -0.1, 0.1], [0.1, 0.1, float("nan")]])
def test_a_rate_outside_0_to_1_is_refused(rng, rate):
    with pytest.raises(ValueError, match="rate must be between 0 and 1, got"):
        flip(Population.random(3, 10, rng), rng, rate=rate)


def test_heavy_tailed_mutation_flips_a_mean_number_of_bits_drawn_from_a_power_law(rng):
    limits = np.repeat([1, 4, 50], 20_000)
    drawn = power_law(limits, rng, 1.5)
    for limit in (1, 4, 50):
        weights = np.arange(1, limit + 1) ** -1.5
        shares = np.bincount(drawn[limits == limit], minlength=limit + 1)[1:] / 20_000
        assert shares == pytest.approx(weights / weights.sum(), abs=0.015)
    population = Population.random(20_000, 100, rng)
    mutants = heavy_tailed(population, rng)
    flips = np.bitwise_count(mutants.words ^ population.words).sum(axis=1)
    weights = np.arange(1, 51) ** -1.5
    assert flips.mean() == pytest.approx((weights * np.arange(1, 51)).sum() / weights.sum(), rel=0.05)
    assert flips.max() > 30  # at rate 1/100 that does not happen
    assert not mutants.evaluated.any()


@pytest.mark.parametrize("beta", [1, 0.5, np.nan, np.inf, "two"])
def test_a_heavy_tail_has_an_exponent_above_one(start, rng, beta):
    with pytest.raises(ValueError, match="beta must be"):
        heavy_tailed(start, rng, beta=beta)
