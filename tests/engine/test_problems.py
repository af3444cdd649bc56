from itertools import product

import numpy as np
import pytest

from genoevo import Population
from genoevo.problems import PROBLEMS, LeadingOnes, OneMax, Trap


def leading_ones(text):
    return len(text) - len(text.lstrip("1"))


def trap(order):
    def value(text):
        blocks = [text[i : i + order].count("1") for i in range(0, len(text), order)]
        return sum(order if ones == order else order - 1 - ones for ones in blocks)

    return value


@pytest.mark.parametrize(
    ("problem", "reference"),
    [
        (OneMax(1), lambda text: text.count("1")),
        (OneMax(9), lambda text: text.count("1")),
        (LeadingOnes(1), leading_ones),
        (LeadingOnes(9), leading_ones),
        (Trap(10), trap(5)),
        (Trap(9, order=3), trap(3)),
        (Trap(8, order=2), trap(2)),
        (Trap(4, order=4), trap(4)),
    ],
    ids=lambda value: f"{type(value).__name__}({value.size})" if hasattr(value, "size") else "",
)
def test_values_are_right_on_all_strings_and_the_optimum_is_at_all_ones_alone(problem, reference):
    texts = ["".join(bits) for bits in product("01", repeat=problem.size)]
    values = problem(Population.from_genotypes(texts))
    assert values.dtype == np.float64
    assert values.tolist() == [reference(text) for text in texts]
    assert problem.optimum == values.max() == problem.size
    assert [text for text, value in zip(texts, values, strict=True) if value == problem.optimum] == [
        "1" * problem.size
    ]


@pytest.mark.parametrize(
    ("problem", "reference"),
    [(OneMax(300), lambda text: text.count("1")), (LeadingOnes(300), leading_ones), (Trap(300), trap(5))],
    ids=["onemax", "leadingones", "trap"],
)
def test_values_are_right_beyond_the_range_of_a_byte(rng, problem, reference):
    bits = rng.random((50, 300)) < np.linspace(0.5, 1, 50)[:, None]
    bits[-1], bits[-2, :270] = True, True
    population = Population.from_bits(bits)
    assert problem(population).tolist() == [reference(str(genotype)) for genotype in population]
    assert problem(population)[-1] == 300


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_named_problem_reaches_its_optimum_at_all_ones(name):
    problem = PROBLEMS[name](20)
    assert problem(Population.from_bits(np.ones((1, 20)))).tolist() == [problem.optimum]


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_size_below_1_is_refused(name):
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        PROBLEMS[name](0)


@pytest.mark.parametrize(("size", "order"), [(7, 5), (4, 5), (4, 1), (4, 0)])
def test_a_trap_whose_blocks_do_not_fill_the_size_is_refused(size, order):
    with pytest.raises(ValueError, match=rf"size must be a multiple of order \({order}\), got {size}"):
        Trap(size, order)
