"""The benchmark of linkage learners on problems that are small."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo import Population
from genoevo.algorithms import LTGA, P3
from genoevo.problems import HIFF, NKLandscape, OneMax, Trap


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        module = importlib.import_module("linkage")
        patch.setitem(module.CASES, "small", module.Case(lambda seed: HIFF(16, shuffle=seed), 100, 200))
        yield module
        for name in ("linkage", "reporting"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize("shuffle", [0, 3])
@pytest.mark.parametrize("kind", [Trap, HIFF, NKLandscape])
def test_the_plain_function_has_the_values_of_the_problem(benchmark, rng, kind, shuffle):
    problem = kind(15 if kind is Trap else 16, shuffle=shuffle)
    start = problem.random(50, rng)
    values = [benchmark.plain_value(problem)(bits) for bits in start.bits().tolist()]
    assert values == pytest.approx(problem(start).tolist(), rel=1e-12)


def test_the_first_evaluation_that_reaches_the_optimum_counts(benchmark):
    first = benchmark.First(OneMax(3))
    for rows in (["000", "001"], ["010", "111", "011", "111"], ["111"]):
        first(Population.from_genotypes(rows))
    assert first.at == 4


def test_a_population_that_is_too_small_fails_and_the_least_that_is_not_is_found(benchmark):
    case = benchmark.CASES["small"]
    size = benchmark.least_size(case, 3)
    assert 2 <= size <= 64
    spent = [benchmark.spent(LTGA, case, size, seed, interleaved=False) for seed in (101, 102, 103)]
    assert np.isfinite(spent).all()
    assert np.isinf(benchmark.spent(LTGA, benchmark.CASES["hiff_64"], 4, 1, interleaved=False))


def test_medians_are_beside_published_ones(benchmark):
    ratios, row = benchmark.evaluations("small", 3)
    assert ratios == {"p3_small": row["P3"] / 100, "ltga_small": row["LTGA"] / 200}
    assert row["P3"] == benchmark.median(P3, benchmark.CASES["small"], 3)


def test_speed_is_compared_with_the_plain_form(benchmark):
    ratios, row = benchmark.speed("small", 300, 16)
    kinds = [f"p3_small{kind}" for kind in ("", "_few", "_alone", "_python", "_most")]
    kinds += [f"ltga_small{kind}" for kind in ("", "_python", "_most")]
    assert set(ratios) == {f"speed_{kind}" for kind in kinds}
    assert ratios["speed_ltga_small"] == row["plain LTGA"] / row["LTGA"]
    assert all(value > 0 for name, value in row.items() if name != "gomea")
