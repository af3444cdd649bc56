from decimal import Decimal, localcontext
from functools import partial
from itertools import combinations, pairwise
from math import exp, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, Genotype, Population, StagedLayout, decode, half_softmax
from genoevo.decode import (
    decode_population,
    from_gene_values,
    gene_values,
    output_shares,
    reached_modules,
    stages_of,
)

offsets = st.floats(0, 1, exclude_max=True)
codes = st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=12)
ONE = Population.from_genotypes(["01"])


def precise(values, offset, scale=1.0):
    with localcontext(prec=60):
        terms = [(Decimal(v) * Decimal(scale)).exp() - Decimal(offset) for v in map(int, values)]
        return [float(term / sum(terms)) for term in terms]


def plain(values, offset):
    terms = [exp(v) - offset for v in values]
    return [term / sum(terms) for term in terms]


def codes_per_segment(text, precision, stage):
    genes = [int(text[i : i + precision], 2) for i in range(0, len(text), precision)]
    return [[genes.pop(0) for _ in range(size)] for size in range(2, stage + 2)]


def random_text(rng, length):
    return "".join(rng.choice(["0", "1"], length))


def assert_close(actual, expected):
    # Below the smallest normal number a float64 has no 12 digits to agree in.
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.99, 1 - 2**-40])
@pytest.mark.parametrize("precision", range(1, 17))
def test_half_softmax_agrees_with_sixty_digit_arithmetic(rng, precision, offset):
    top = 2**precision - 1
    rows = [rng.integers(0, top + 1, 6), [0, top, 0, 1], [top, top - 1], [0, 1], [top], [top, top, top]]
    for row in rows:
        assert_close(half_softmax(row, offset), precise(row, offset))


@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.floats(0, 0.99))
def test_half_softmax_agrees_with_the_formula_where_float64_can_follow_it(values, offset):
    assert_close(half_softmax(values, offset), plain(values, offset))


@given(codes)
def test_offset_0_is_softmax(values):
    terms = np.exp(np.subtract(values, max(values), dtype=float))
    assert_close(half_softmax(values, offset=0), terms / terms.sum())


@given(codes, offsets)
def test_weights_lie_in_0_to_1_and_sum_to_1_without_overflow(values, offset):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        weights = half_softmax(values, offset)
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert weights.sum() == pytest.approx(1, abs=1e-14)


@given(st.integers(1, 12), offsets)
def test_all_zero_codes_are_uniform(k, offset):
    assert_close(half_softmax(np.zeros(k), offset), np.full(k, 1 / k))


@given(codes, offsets)
def test_a_higher_code_never_weighs_less(values, offset):
    assert (np.diff(half_softmax(sorted(values), offset)) >= 0).all()


@given(st.lists(st.integers(0, 20), min_size=2, max_size=8), offsets)
def test_raising_one_code_raises_its_weight_and_lowers_all_others(values, offset):
    change = half_softmax([values[0] + 1, *values[1:]], offset) - half_softmax(values, offset)
    assert change[0] > 0
    assert (change[1:] < 0).all()


def test_a_zero_code_is_suppressed_where_softmax_would_feed_it():
    assert half_softmax([0, 3])[0] == pytest.approx(0.01 / (np.exp(3) - 0.98), rel=1e-12)
    assert half_softmax([0, 3], offset=0)[0] > 50 * half_softmax([0, 3])[0]


def test_rows_are_normalised_each_by_itself(rng):
    values = rng.integers(0, 100, (3, 4, 5))
    weights = half_softmax(values)
    assert weights.shape == (3, 4, 5)
    assert_close(weights[2, 1], half_softmax(values[2, 1]))


@pytest.mark.parametrize("offset", [-0.1, 1, 1.5, float("nan")])
@pytest.mark.parametrize(
    "use",
    [
        partial(half_softmax, [1, 2]),
        partial(decode, Genotype("01"), FlatLayout(1)),
        partial(decode_population, Population.from_genotypes(["01"]), FlatLayout(1)),
    ],
    ids=["half_softmax", "decode", "decode_population"],
)
def test_an_offset_outside_0_to_1_is_refused(use, offset):
    with pytest.raises(ValueError, match=rf"offset must be in \[0, 1\), got {offset}"):
        use(offset=offset)


@pytest.mark.parametrize("values", [[-1, 2], [1, float("inf")], [float("nan")]])
def test_negative_or_infinite_values_are_refused(values):
    with pytest.raises(ValueError, match="values must be finite and not negative"):
        half_softmax(values)


@pytest.mark.parametrize("values", [3.0, [], [[], []]])
def test_nothing_to_weigh_is_refused(values):
    with pytest.raises(ValueError, match="values must have at least one element along their last axis"):
        half_softmax(values)


@pytest.mark.parametrize(("text", "precision", "value"), [("10", 2, 2), ("0111", 4, 7), ("1" + "0" * 15, 16, 2**15)])
def test_the_most_significant_bit_of_a_gene_comes_first(text, precision, value):
    assert gene_values(Population.from_genotypes([text]), precision).tolist() == [[value]]


@pytest.mark.parametrize("precision", [1, 2, 3, 8, 16])
def test_genotypes_of_gene_values_are_those_the_values_were_read_from(rng, precision):
    layout = StagedLayout(precision)
    texts = [random_text(rng, layout.length(stage)) for stage in (1, 4, 2)]
    population = Population.from_genotypes(texts)
    again = from_gene_values(gene_values(population, precision), population.lengths, precision)
    assert [str(genotype) for genotype in again] == texts


@pytest.mark.parametrize("precision", range(1, 17))
def test_decode_agrees_with_sixty_digit_arithmetic_on_the_string(rng, precision):
    layout = StagedLayout(precision)
    text = random_text(rng, layout.length(4))
    weights = decode(Genotype(text), layout)
    assert len(weights) == 4
    for got, values in zip(weights, codes_per_segment(text, precision, 4), strict=True):
        assert got.dtype == np.float64
        assert_close(got, precise(values, 0.99))


@pytest.mark.parametrize("scale", [1 / 15, 0.5, 3.0, 1e6])
def test_decimal_scale_multiplies_the_codes(rng, scale):
    layout = StagedLayout(4)
    text = random_text(rng, layout.length(3))
    for got, values in zip(decode(Genotype(text), layout, 0.9, scale), codes_per_segment(text, 4, 3), strict=True):
        assert_close(got, half_softmax(np.array(values) * scale, 0.9))
    unit = decode(Genotype("11110000"), FlatLayout(4), decimal_scale=1 / 15)
    assert_close(unit[0], plain([1, 0], 0.99))


def test_a_decimal_scale_of_0_gives_uniform_weights():
    assert decode(Genotype("1101"), FlatLayout(1), decimal_scale=0)[0].tolist() == [0.25] * 4


@pytest.mark.parametrize("scale", [-1.0, float("nan")])
def test_a_negative_decimal_scale_is_refused(scale):
    with pytest.raises(ValueError, match="decimal_scale must be at least 0, got"):
        decode(Genotype("01"), FlatLayout(1), decimal_scale=scale)


def test_a_flat_genotype_decodes_to_one_segment():
    (weights,) = decode(Genotype("0111" + "0000" + "0110"), FlatLayout(4))
    assert_close(weights, plain([7, 0, 6], 0.99))


@pytest.mark.parametrize(
    ("layout", "sizes"), [(StagedLayout(3), (4, 1, 6, 2, 4)), (FlatLayout(3), (40, 1, 7, 2, 40))]
)
def test_a_population_of_mixed_sizes_decodes_as_its_genotypes_do_alone(rng, layout, sizes):
    population = Population.random(5, np.array([layout.length(size) for size in sizes]), rng)
    together = decode_population(population, layout, 0.8, 0.3)
    assert together.shape == (5, layout.length(max(sizes)) // 3)
    for row, genotype in zip(together, population, strict=True):
        alone = np.concatenate(decode(genotype, layout, 0.8, 0.3))
        np.testing.assert_allclose(row[: len(alone)], alone, rtol=1e-14)
        assert not row[len(alone) :].any()


def test_decoding_leaves_the_population_untouched(rng):
    population = Population.random(3, 18, rng)
    before = [str(genotype) for genotype in population]
    decode_population(population, StagedLayout(2))
    assert [str(genotype) for genotype in population] == before


@pytest.mark.parametrize("lengths", [(19,), (18, 19), (19, 28)])
@pytest.mark.parametrize("use", [decode_population, stages_of])
def test_an_illegal_length_anywhere_in_a_population_is_refused(rng, use, lengths):
    population = Population.random(len(lengths), np.array(lengths), rng)
    with pytest.raises(ValueError, match="no stage has 19 bits at precision 2"):
        use(population, StagedLayout(2))


def test_decode_refuses_an_illegal_length():
    with pytest.raises(ValueError, match="no stage has 4 bits at precision 1"):
        decode(Genotype("0000"), StagedLayout(1))


def test_stages_of_gives_each_genotypes_stage(rng):
    lengths = np.array([StagedLayout(2).length(stage) for stage in (3, 1, 5, 1)])
    assert stages_of(Population.random(4, lengths, rng), StagedLayout(2)).tolist() == [3, 1, 5, 1]


def share_by_enumeration(segments, module):
    # A path to the output: the module, then any later modules in order, each weighing the one before; weights[k] are
    # the input weights of node k, the output being the node after the last module.
    output = len(segments) + 1
    weights = dict(enumerate(segments, start=2))
    later = range(max(module + 1, 2), output)
    paths = [(module, *via, output) for r in range(len(later) + 1) for via in combinations(later, r)]
    return sum(prod(weights[after][before] for before, after in pairwise(path)) for path in paths)


def test_output_shares_are_sums_over_all_paths(rng):
    layout, stages = StagedLayout(2), np.array([5, 1, 3, 2, 6, 4])
    population = Population.random(6, np.array([layout.length(int(stage)) for stage in stages]), rng)
    shares = output_shares(decode_population(population, layout), stages)
    assert shares.shape == (6, 7)
    for row, genotype, stage in zip(shares, population, stages, strict=True):
        segments = decode(genotype, layout)
        expected = [share_by_enumeration(segments, module) for module in range(stage + 1)]
        np.testing.assert_allclose(row[: stage + 1], expected, rtol=1e-12)
        assert not row[stage + 1 :].any()


@given(stages=st.lists(st.integers(1, 7), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_the_shares_of_the_input_and_of_module_1_sum_to_1(stages, seed):
    # All that flows to the output comes from the initial input, through module 1 or past it.
    layout = StagedLayout(3)
    lengths = np.array([layout.length(stage) for stage in stages])
    population = Population.random(len(stages), lengths, np.random.default_rng(seed))
    shares = output_shares(decode_population(population, layout), np.array(stages))
    np.testing.assert_allclose(shares[:, :2].sum(axis=1), 1, rtol=1e-12)
    assert shares.max() <= 1 + 1e-12
    assert shares.min() >= 0


def of_kind(values, kind, offset, scale):
    if not any(values):
        return [1.0] + [0.0] * (len(values) - 1)
    terms = [0.0 if v == 0 else 1.0 if kind == "gates" else exp(scale * v) - offset for v in values]
    return [term / sum(terms) for term in terms]


@pytest.mark.parametrize("kind", ["sparse", "gates"])
@pytest.mark.parametrize(("offset", "scale"), [(0.99, 1.0), (0.0, 0.5), (0.99, 0.0)])
@pytest.mark.parametrize("precision", [1, 2, 3])
def test_a_zero_is_no_connection_with_the_kinds_sparse_and_gates(rng, kind, offset, scale, precision):
    layout, stages = StagedLayout(precision), [4, 1, 3, 2] * 10
    texts = [random_text(rng, layout.length(stage)) for stage in stages]
    weights = decode_population(Population.from_genotypes(texts), layout, offset, scale, kind=kind)
    codes = [codes_per_segment(text, precision, stage) for text, stage in zip(texts, stages, strict=True)]
    assert any(not any(segment) for segments in codes for segment in segments)
    for row, segments in zip(weights, codes, strict=True):
        expected = [weight for segment in segments for weight in of_kind(segment, kind, offset, scale)]
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=1e-12, atol=0)
        assert not row[len(expected) :].any()


def test_sparse_weights_of_large_codes_do_not_overflow():
    text = "".join(f"{code:016b}" for code in (65535, 0, 65534, 65535, 0))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        first, last = decode(Genotype(text), StagedLayout(16), kind="sparse")
    assert first.tolist() == [1, 0]
    assert_close(last, [1 / (1 + exp(1)), 1 / (1 + exp(-1)), 0])


@pytest.mark.parametrize("kind", ["sparse", "gates"])
def test_a_segment_of_zeros_reads_its_first_input(kind):
    assert decode(Genotype("000"), FlatLayout(1), kind=kind)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("use", [partial(decode, Genotype("01")), partial(decode_population, ONE)])
def test_an_unknown_kind_of_decoding_is_refused(use):
    with pytest.raises(ValueError, match="kind must be one of dense, gates, sparse, got 'thin'"):
        use(FlatLayout(1), kind="thin")


def reached_by_search(segments):
    # The output is the node after the last module; module 1 reads the initial input alone.
    inputs = {1: [1.0], **dict(enumerate(segments, start=2))}
    todo, found = [len(segments) + 1], set()
    while todo:
        sources = {source for source, weight in enumerate(inputs[todo.pop()]) if weight > 0 and source > 0}
        todo += sources - found
        found |= sources
    return found


@pytest.mark.parametrize("kind", ["dense", "sparse", "gates"])
def test_the_modules_on_a_path_to_the_output_are_reached(rng, kind):
    layout = StagedLayout(1)
    stages = rng.integers(1, 8, 60)
    population = Population.random(60, np.array([layout.length(int(stage)) for stage in stages]), rng)
    reached = reached_modules(decode_population(population, layout, kind=kind), stages)
    assert reached.shape == (60, stages.max())
    for row, genotype, stage in zip(reached, population, stages, strict=True):
        found = reached_by_search(decode(genotype, layout, kind=kind))
        assert set((np.flatnonzero(row) + 1).tolist()) == found
        assert kind != "dense" or found == set(range(1, stage + 1))


def test_a_tiny_product_of_weights_reaches_its_module_still():
    # The share of module 1, 1e-400, is 0 in float64.
    weights = np.array([[1.0, 1e-200, 1.0, 0.0, 1e-200]])
    assert output_shares(weights, np.array([2]))[0, 1] == 0
    assert reached_modules(weights, np.array([2])).tolist() == [[True, True]]
