import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import settings

from genoevo import Evolution, Population, StagedLayout
from genoevo._bits import prefix_mask
from genoevo.evaluation import Vectorised
from genoevo.problems import OneMax
from tests.engine.toolboxes import toolbox_for

settings.register_profile("engine", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("engine")


@pytest.fixture
def rng():
    return np.random.default_rng(20250214)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


@pytest.fixture
def start(rng):
    return Population.random(12, 60, rng)


@pytest.fixture
def population():
    return Population.from_genotypes(["0110", "1", "111", "01011"])


@pytest.fixture
def mixed(rng):
    return Population.random(9, np.array([StagedLayout(2).length(stage) for stage in (1, 2, 3) * 3]), rng)


@pytest.fixture
def onemax(start):
    return partial(Evolution, Vectorised(OneMax(60)), start, seed=7)


@pytest.fixture
def toolbox():
    return toolbox_for()[0]


@pytest.fixture(scope="session")
def check_well_formed():
    """Words are uint64, lengths int64, and every bit past a genotype's length is zero."""

    def check(population):
        assert population.words.dtype == np.uint64
        assert population.lengths.dtype == np.int64
        assert population.lengths.max() <= 64 * population.words.shape[1]
        assert not (population.words & ~prefix_mask(population.lengths, population.words.shape[1])).any()

    return check


@pytest.fixture(scope="session")
def check_no_shared_memory():
    """No population of the first group shares an array with one of the second."""

    def check(some, others):
        arrays = [[a for p in group for a in (p.words, p.lengths, p.fitness)] for group in (some, others)]
        assert not any(np.shares_memory(a, b) for a in arrays[0] for b in arrays[1])

    return check


@pytest.fixture(scope="session")
def check_frequencies():
    """Pearson's chi-square of counts against probabilities stays within five sigma (Wilson and Hilferty 1931)."""

    def check(counts, probabilities):
        counts, probabilities = np.asarray(counts, float), np.asarray(probabilities, float)
        assert probabilities.sum() == pytest.approx(1)
        order = np.argsort(probabilities)
        counts, expected = counts[order], counts.sum() * probabilities[order]
        rare = int((expected <= 5).sum())
        if rare:  # the approximation needs more: they are counted together with the least frequent of the others
            counts, expected = [np.append(a[: rare + 1].sum(), a[rare + 1 :]) for a in (counts, expected)]
        assert len(counts) > 1, "too few draws for the test to mean anything"
        freedom = len(counts) - 1
        spread = 2 / (9 * freedom)
        limit = freedom * (1 - spread + 5 * spread**0.5) ** 3
        assert ((counts - expected) ** 2 / expected).sum() < limit, f"{counts} against {expected}"

    return check


@pytest.fixture(scope="session")
def check_mean():
    """The mean of samples lies within five standard errors of what is expected."""

    def check(samples, expected):
        samples = np.asarray(samples, float)
        error = samples.std(ddof=1) / len(samples) ** 0.5
        assert abs(samples.mean() - expected) < 5 * error, f"{samples.mean()} +- {error} against {expected}"

    return check


@pytest.fixture(scope="session")
def run_python():
    """Run a program in a new interpreter; its standard output."""

    def run(program, *arguments):
        command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
