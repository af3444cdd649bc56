from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Population, StagedLayout
from genoevo.layout import Layout
from genoevo.problems import (
    HIFF,
    PROBLEMS,
    Knapsack,
    LeadingOnes,
    MessyDeceptive,
    NKLandscape,
    OneMax,
    SegmentTrap,
    Trap,
    VariableOneMax,
)

MESSY = {"000": 28, "001": 26, "010": 22, "011": 0, "100": 14, "101": 0, "110": 0, "111": 30}


def strings(length):
    return ["".join(bits) for bits in product("01", repeat=length)]


def leading_ones(text):
    return len(text) - len(text.lstrip("1"))


def block_trap(block):
    ones = block.count("1")
    return len(block) if ones == len(block) else len(block) - 1 - ones


def trap(order):
    return lambda text: sum(block_trap(text[i : i + order]) for i in range(0, len(text), order))


def hiff(text):
    """As the paper defines it: recursively, by halves."""
    own = len(text) if len(set(text)) == 1 else 0
    half = len(text) // 2
    return own + (hiff(text[:half]) + hiff(text[half:]) if half else 0)


def messy(text):
    return sum(MESSY[text[i : i + 3]] for i in range(0, len(text), 3))


def edit_distance(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, before = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


FIXED = [
    (OneMax(1), lambda text: text.count("1")),
    (OneMax(9), lambda text: text.count("1")),
    (LeadingOnes(1), leading_ones),
    (LeadingOnes(9), leading_ones),
    (Trap(10), trap(5)),
    (Trap(9, order=3), trap(3)),
    (Trap(8, order=2), trap(2)),
    (Trap(4, order=4), trap(4)),
    (HIFF(1), hiff),
    (HIFF(2), hiff),
    (HIFF(8), hiff),
    (MessyDeceptive(3), messy),
    (MessyDeceptive(9), messy),
]


@pytest.mark.parametrize(("problem", "reference"), FIXED, ids=lambda value: type(value).__name__)
def test_values_are_right_on_all_strings_and_the_optimum_is_their_highest_at_all_ones(problem, reference):
    texts = strings(problem.size)
    values = problem(Population.from_genotypes(texts))
    assert values.dtype == np.float64
    assert values.tolist() == [reference(text) for text in texts]
    assert problem.optimum == values.max() == values[-1]


@pytest.mark.parametrize("problem", [p for p, _ in FIXED if not isinstance(p, HIFF)], ids=lambda p: type(p).__name__)
def test_the_optimum_is_at_all_ones_alone(problem):
    values = problem(Population.from_genotypes(strings(problem.size)))
    assert (values == problem.optimum).sum() == 1


def test_hiff_has_its_optimum_at_all_zeros_too():
    values = HIFF(8)(Population.from_genotypes(strings(8)))
    assert np.flatnonzero(values == HIFF(8).optimum).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("problem", "reference"),
    [
        (OneMax(300), lambda text: text.count("1")),
        (LeadingOnes(300), leading_ones),
        (Trap(300), trap(5)),
        (MessyDeceptive(300), messy),
        (HIFF(512), hiff),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_right_beyond_one_word_and_the_range_of_a_byte(rng, problem, reference):
    size = problem.size
    bits = rng.random((50, size)) < np.linspace(0.5, 1, 50)[:, None]
    bits[-1], bits[-2, : size - 30], bits[-3, :64], bits[-3, 64] = True, True, True, False
    population = Population.from_bits(bits)
    assert problem(population).tolist() == [reference(str(genotype)) for genotype in population]
    assert problem(population)[-1] == problem.optimum


@pytest.mark.parametrize("neighbours", ["adjacent", "random"])
@pytest.mark.parametrize(("size", "k"), [(1, 0), (2, 1), (7, 0), (8, 3), (9, 8)])
def test_an_nk_landscapes_optimum_is_the_highest_value_of_all_strings(size, k, neighbours):
    problem = NKLandscape(size, k=k, neighbours=neighbours, instance=size)
    assert problem.optimum == problem(Population.from_genotypes(strings(size))).max()


def test_an_nk_landscape_is_the_mean_of_contributions_of_each_locus_and_its_neighbours(rng):
    problem = NKLandscape(12, k=2)
    genotype = Population.random(1, 12, rng)[0]
    bits = [int(bit) for bit in str(genotype)]
    codes = [bits[i] + 2 * bits[(i + 1) % 12] + 4 * bits[(i + 2) % 12] for i in range(12)]
    expected = np.mean([problem._contributions[i, code] / 2**20 for i, code in enumerate(codes)])
    assert problem(Population.from_genotypes([genotype]))[0] == pytest.approx(expected, rel=1e-12)


def test_random_neighbours_are_k_distinct_other_loci():
    links = NKLandscape(20, k=5, neighbours="random")._links
    assert (links[:, 0] == np.arange(20)).all()
    assert all(len(set(row)) == 6 for row in links.tolist())
    assert links.max() < 20


def test_the_programme_finds_the_optimum_that_the_search_finds():
    problem = NKLandscape(16, k=4, instance=3)
    assert problem._by_programming() == problem._by_search()


@pytest.mark.parametrize("name", PROBLEMS)
def test_words_past_the_genotypes_do_not_matter(name, rng):
    problem = PROBLEMS[name]()
    population = problem.random(5, rng)
    wide = np.column_stack([population.words, np.zeros((5, 1), np.uint64)])
    wider = Population(wide, population.lengths, weights=population.weights)
    np.testing.assert_array_equal(problem(wider), problem(population))


@pytest.mark.parametrize("kind", [Trap, HIFF, NKLandscape])
def test_shuffled_loci_are_the_problem_in_another_order(kind, rng):
    plain, shuffled = kind(16 if kind is not Trap else 15), kind(16 if kind is not Trap else 15, shuffle=3)
    start = plain.random(50, rng)
    places = np.random.default_rng(3).permutation(plain.size)
    moved = np.zeros_like(start.bits())
    moved[:, places] = start.bits()
    assert shuffled.optimum == plain.optimum
    assert (shuffled(Population.from_bits(moved)) == plain(start)).all()
    assert (shuffled(start) != plain(start)).any()
    assert (kind(plain.size, shuffle=4)(start) != shuffled(start)).any()


def knapsack_value(problem, text):
    items = [i for i, bit in enumerate(text) if bit == "1"]
    weight = sum(problem.weights[i] for i in items)
    if problem.infeasible == "penalty" and weight > problem.capacity:
        return problem.capacity - weight
    for i in sorted(items, key=lambda i: problem.values[i] / problem.weights[i]):
        if weight > problem.capacity:
            items.remove(i)
            weight -= problem.weights[i]
    return sum(problem.values[i] for i in items)


@pytest.mark.parametrize("infeasible", ["penalty", "repair"])
@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_knapsack_is_right_on_all_strings(size, infeasible):
    problem = Knapsack(size, infeasible=infeasible, instance=4)
    texts = strings(size)
    values = problem(Population.from_genotypes(texts))
    assert values.tolist() == [knapsack_value(problem, text) for text in texts]
    assert values.max() == problem.optimum


def test_any_choice_that_fits_is_worth_more_than_any_that_does_not(rng):
    problem = Knapsack(30)
    population = Population.random(500, 30, rng)
    fits = population.bits() @ problem.weights <= problem.capacity
    values = problem(population)
    assert values[fits].min() >= 0 > values[~fits].max()


@given(st.lists(st.text("01", min_size=1, max_size=90), min_size=1, max_size=5), st.integers(1, 70))
def test_variable_onemax_is_the_size_minus_the_edit_distance_to_all_ones(texts, size):
    values = VariableOneMax(size)(Population.from_genotypes(texts))
    assert values.tolist() == [size - edit_distance(text, "1" * size) for text in texts]


SEGMENTED = [
    (SegmentTrap(2, FlatLayout(precision=3)), [3, 6, 9, 12], [3, 3, 3, 3]),
    (SegmentTrap(3, FlatLayout(precision=1)), [1, 2, 3, 4], [1, 1, 1, 1]),
    (SegmentTrap(2, StagedLayout(precision=1)), [2, 5, 9], [2, 3, 4]),
]


@pytest.mark.parametrize(("problem", "lengths", "segments"), SEGMENTED)
def test_a_segment_trap_is_right_on_all_strings_of_all_lengths(problem, lengths, segments):
    texts = [text for length in lengths for text in strings(length)]

    def reference(text):
        ends = np.cumsum(segments).tolist()
        blocks = [text[end - b : end] for end, b in zip(ends, segments, strict=True) if end <= len(text)]
        surplus = blocks[problem.size :]
        return sum(map(block_trap, blocks[: problem.size])) - sum(map(len, surplus))

    values = problem(Population.from_genotypes(texts))
    assert values.tolist() == [reference(text) for text in texts]
    assert problem.optimum == values.max()
    assert [texts[i] for i in np.flatnonzero(values == values.max())] == ["1" * int(problem.optimum)]


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_random_genotype_is_worth_more_than_the_optimum(name, rng):
    problem = PROBLEMS[name]()
    assert problem(problem.random(500, rng)).max() <= problem.optimum


@pytest.mark.parametrize("name", PROBLEMS)
def test_random_genotypes_are_legal_in_the_problems_layout(name, rng, check_well_formed):
    problem = PROBLEMS[name]()
    population = problem.random(50, rng)
    assert len(population) == 50
    assert isinstance(problem.layout, Layout)
    for length in population.lengths:
        problem.layout.stage(int(length))
    check_well_formed(population)


@pytest.mark.parametrize("problem", [VariableOneMax(4), SegmentTrap(4)], ids=["onemax", "trap"])
def test_problems_of_variable_length_start_from_sizes_up_to_twice_the_right_one(problem, rng):
    lengths = problem.random(16, rng).lengths
    assert sorted(problem.layout.stage(int(length)) for length in lengths) == sorted([*range(1, 9)] * 2)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_value_of_a_genotype_does_not_depend_on_the_others(name, rng):
    problem = PROBLEMS[name]()
    population = problem.random(30, rng)
    alone = [problem(population[[i]])[0] for i in range(30)]
    assert problem(population).tolist() == alone


@pytest.mark.parametrize("seeded", [NKLandscape, Knapsack])
def test_an_instance_is_the_same_each_time_and_another_is_another(seeded, rng):
    population = Population.random(20, 20, rng)
    same, again, other = (seeded(20, instance=i)(population).tolist() for i in (7, 7, 8))
    assert same == again != other


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_size_below_1_is_refused(name):
    with pytest.raises(ValueError, match=r"size must be a whole number (of at least 1|from 1 to 10000), got 0"):
        PROBLEMS[name](0)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in ("variable-onemax", "segment-trap")])
def test_genotypes_of_another_length_are_refused(name, rng):
    problem = PROBLEMS[name]()
    lengths = np.array([problem.size, problem.size, problem.size - 1])
    message = f"takes genotypes of {problem.size} bits, got {problem.size - 1} bits in genotype 2"
    with pytest.raises(ValueError, match=message):
        problem(Population.random(3, lengths, rng))


def test_a_segment_trap_refuses_a_length_that_its_layout_does_not_have(rng):
    with pytest.raises(ValueError, match="length 7 is not a multiple of the 5 bits of a gene"):
        SegmentTrap(2)(Population.random(2, np.array([5, 7]), rng))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *[
            (lambda s=size, o=order: Trap(s, o), rf"size must be a multiple of order \({order}\), got {size}")
            for size, order in [(7, 5), (4, 5)]
        ],
        (lambda: Trap(10, shuffle=-1), "shuffle must be a whole number of at least 0, got -1"),
        (lambda: Trap(4, 1), "order must be a whole number of at least 2, got 1"),
        (lambda: Trap(4, 2.0), "order must be a whole number of at least 2, got 2.0"),
        (lambda: OneMax(10.5), "size must be a whole number of at least 1, got 10.5"),
        (lambda: OneMax(True), "size must be a whole number of at least 1, got True"),
        (lambda: Knapsack(10_001), "size must be a whole number from 1 to 10000, got 10001"),
        (lambda: NKLandscape(1025, k=10), "size must be a whole number from 1 to 1024, got 1025"),
        (lambda: HIFF(48), "size must be a power of 2, got 48"),
        (lambda: MessyDeceptive(31), "size must be a multiple of 3, got 31"),
        (lambda: NKLandscape(5, k=5), "k must be a whole number from 0 to 4, got 5"),
        (lambda: NKLandscape(50, k=11), "k must be a whole number from 0 to 10, got 11"),
        (lambda: NKLandscape(5, k=1, neighbours="near"), "neighbours must be one of adjacent, random, got 'near'"),
        (lambda: NKLandscape(21, neighbours="random"), "size must be at most 20 with random neighbours, got 21"),
        (lambda: Knapsack(9, infeasible="drop"), "infeasible must be one of penalty, repair, got 'drop'"),
        (lambda: Knapsack(9, instance=-1), "instance must be a whole number of at least 0, got -1"),
        (lambda: SegmentTrap(3, FlatLayout(genes=2)), "2 genes, got 3"),
    ],
)
def test_settings_that_a_problem_does_not_have_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
