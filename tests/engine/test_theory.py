"""Running times that are known exactly: the mean over 1,000 or more runs lies within its 99 % interval.

Times are evaluations after the first. All runs of a test are islands of one evolution. What is marked slow repeats
the comparison with more and longer runs; ``make validate`` runs it.
"""

import numpy as np
import pytest

from genoevo import Evolution, Islands, Population, Survival
from genoevo.operators import Reproduction
from genoevo.operators.mutation import flip
from genoevo.problems import LeadingOnes, OneMax

RLS = {1}  # flips exactly one bit
EA = set(range(101))  # flips any number of bits, none included
EA_ABOVE_0 = EA - {0}  # flips at least one bit


def times(problem, runs, rng, flips):
    """(runs,) evaluations until the optimum of the (1+1) EA as Evolution runs it, each run an island of its own.

    A mutant of another number of flips than one in *flips* is not counted and loses, as if it were drawn again: a
    mutant of exactly one flip is the parent with one bit, uniformly drawn, flipped.
    """
    evolution = Evolution(
        None,
        problem.random(runs, rng),
        seed=int(rng.integers(1 << 32)),
        reproduction=Reproduction(crossover_threshold=0),
        survival=Survival(strategy="plus", offspring=1),
        islands=Islands(count=runs, migrants=0),
    )
    evolution.tell(problem(evolution.ask()))
    spent = np.zeros(runs)
    while (running := evolution.population.fitness < problem.optimum).any():
        mutants = evolution.ask()
        flipped = np.bitwise_count(mutants.words ^ evolution.population.words).sum(axis=1)
        counted = np.isin(flipped, list(flips))
        evolution.tell(np.where(counted, problem(mutants), -np.inf))
        spent += counted & running
    return spent


def binomial(n, p):
    """(n + 1,) probabilities of 0 to n successes."""
    ratios = [(n - k) / (k + 1) * p / (1 - p) for k in range(n)]
    return (1 - p) ** n * np.cumprod([1.0, *ratios])


def rls_on_onemax(n):
    """n E[H_K], K ~ Bin(n, 1/2): each zero left is found with probability 1 / n."""
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
    return n * binomial(n, 0.5) @ harmonic


def ea_on_onemax(n):
    """The Markov chain of the number of zeros z: a of them and b ones flip, accepted where a >= b."""
    flips = [binomial(m, 1 / n) for m in range(n + 1)]
    expected = np.zeros(n + 1)
    for z in range(1, n + 1):
        gains = np.convolve(flips[z], flips[n - z][::-1])[n - z :]  # probability of a - b = 0, 1, ..., z
        expected[z] = (1 + sum(gains[g] * expected[z - g] for g in range(1, z + 1))) / gains[1:].sum()
    return binomial(n, 0.5) @ expected


def ea_above_0_on_onemax(n):
    """The same chain without the mutants that are their parent."""
    return ea_on_onemax(n) * (1 - (1 - 1 / n) ** n)


def ea_on_leading_ones(n):
    """Böttcher, Doerr and Neumann 2010, at p = 1 / n."""
    p = 1 / n
    return ((1 - p) ** (1 - n) - (1 - p)) / (2 * p**2)


def rls_on_leading_ones(n):
    """Each position is a one when it is reached with probability 1/2, else one mutation in n finds it."""
    return n**2 / 2


def check_99(samples, expected):
    error = samples.std(ddof=1) / len(samples) ** 0.5
    low, high = samples.mean() - 2.576 * error, samples.mean() + 2.576 * error
    assert low <= expected <= high, f"{expected} is not within {low} to {high}"


@pytest.mark.parametrize(
    ("exact", "n", "published"),
    [
        (rls_on_onemax, 50, 190.3),
        (rls_on_onemax, 100, 449.4),
        (ea_on_onemax, 50, 443.19),
        (ea_on_onemax, 100, 1069.54),
        (ea_on_leading_ones, 20, 340.0),
        (ea_on_leading_ones, 40, 1367.4),
    ],
)
def test_the_exact_times_are_the_known_ones(exact, n, published):
    assert exact(n) == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize(
    ("problem", "flips", "exact"),
    [
        (OneMax(50), RLS, rls_on_onemax),
        (OneMax(50), EA, ea_on_onemax),
        (OneMax(50), EA_ABOVE_0, ea_above_0_on_onemax),
        (LeadingOnes(20), RLS, rls_on_leading_ones),
        (LeadingOnes(20), EA, ea_on_leading_ones),
    ],
)
def test_the_mean_time_of_1000_runs_is_the_exact_one(rng, problem, flips, exact):
    check_99(times(problem, 1000, rng, flips), exact(problem.size))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "flips", "exact"),
    [
        (OneMax(100), RLS, rls_on_onemax),
        (OneMax(100), EA, ea_on_onemax),
        (OneMax(100), EA_ABOVE_0, ea_above_0_on_onemax),
        (LeadingOnes(40), RLS, rls_on_leading_ones),
        (LeadingOnes(40), EA, ea_on_leading_ones),
    ],
)
def test_the_mean_time_of_20000_runs_is_the_exact_one(rng, problem, flips, exact):
    check_99(times(problem, 20000, rng, flips), exact(problem.size))


@pytest.mark.slow
@pytest.mark.parametrize("length", [30, 100, 2000])
def test_flips_of_a_million_genotypes_are_binomial(rng, check_frequencies, length):
    counts = np.zeros(length + 1, np.int64)
    for _ in range(100):
        parents = Population.random(10000, length, rng)
        flipped = np.bitwise_count(flip(parents, rng).words ^ parents.words).sum(axis=1)
        counts += np.bincount(flipped, minlength=length + 1)
    check_frequencies(counts, binomial(length, 1 / length))
