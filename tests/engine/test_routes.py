"""Sparse and hand-written genotypes, and how much of a route other tasks use."""

import numpy as np
import pytest

from genoevo import Genotype, Population, StagedLayout
from genoevo.community.overlap import BYPASS_LOAD, crowding, load, mean_overlap, usage
from genoevo.decode import decode_population, gene_values, output_shares, reached_modules, stages_of
from genoevo.operators.routes import disjoint, sparse, strongest_alone
from tests.engine.communities import BOTH_MODULES, INPUT_ALONE, LAYOUT, MODULE_1_ALONE, MODULE_2_ALONE

# --- sparse genotypes


@pytest.mark.parametrize("precision", [1, 2, 4, 16])
def test_a_sparse_genotype_has_one_connection_in_every_segment(rng, check_well_formed, precision):
    layout = StagedLayout(precision)
    stages = np.array([1, 4, 2, 7, 4])
    population = sparse(stages, layout, rng)
    check_well_formed(population)
    assert not population.evaluated.any()
    assert stages_of(population, layout).tolist() == stages.tolist()
    for genotype, stage, values in zip(population, stages, gene_values(population, precision), strict=True):
        parts = [slice(p.start // precision, p.stop // precision) for p in layout.segments(int(stage))]
        assert [np.count_nonzero(values[part]) for part in parts] == [1] * stage
        assert {values[part].max() for part in parts} == {2**precision - 1}
        assert len(genotype) == layout.length(int(stage))


def test_the_connections_of_sparse_genotypes_are_uniform_but_none_is_from_input_to_output(rng, check_frequencies):
    values = gene_values(sparse(np.full(6000, 3), LAYOUT, rng), LAYOUT.precision)
    for part, shares in [(slice(0, 2), [1 / 2] * 2), (slice(2, 5), [1 / 3] * 3), (slice(6, 9), [1 / 3] * 3)]:
        check_frequencies((values[:, part] > 0).sum(axis=0), shares)
    assert not values[:, 5].any()


def test_the_output_of_sparse_genotypes_reads_the_module_that_is_named(rng):
    output = np.array([3, 1, 2, 2])
    population = sparse(np.array([3, 3, 2, 5]), LAYOUT, rng, output)
    reached = reached_modules(decode_population(population, LAYOUT, kind="sparse"), stages_of(population, LAYOUT))
    for row, module in zip(reached, output, strict=True):
        assert row[module - 1]
        assert not row[module:].any()


def test_sparse_genotypes_need_a_generator():
    with pytest.raises(TypeError, match=r"rng must be a numpy.random.Generator, got int"):
        sparse(np.array([3]), LAYOUT, 1)


# --- hand-written routes


def test_disjoint_routes_share_no_module():
    routes = disjoint(4, 5, LAYOUT)
    shares = output_shares(decode_population(routes, LAYOUT, kind="sparse"), np.full(4, 5))
    assert shares[:, 1:].tolist() == np.eye(4, 5).tolist()


def test_with_fewer_modules_than_tasks_disjoint_routes_take_turns():
    weights = decode_population(disjoint(5, 2, LAYOUT), LAYOUT, kind="sparse")
    assert reached_modules(weights, np.full(5, 2)).argmax(axis=1).tolist() == [0, 1, 0, 1, 0]


# --- usage, load and crowding


def used(*texts, width=3):
    population = Population.from_genotypes([Genotype(text) for text in texts])
    stages = stages_of(population, LAYOUT)
    return usage(decode_population(population, LAYOUT, kind="sparse"), stages, width)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (INPUT_ALONE, [1, 0, 0]),
        (MODULE_1_ALONE, [0, 1, 0]),
        (MODULE_2_ALONE, [0, 0, 1]),  # module 2 reads the embedding, which is not counted
        (BOTH_MODULES, [0, 1 / 2, 1 / 2]),  # all of the output passes through both
        ("0011" + "110011", [1 / 3, 1 / 3, 1 / 3]),  # half of the output by both, half by none
    ],
)
def test_usage_is_the_distribution_of_the_output_over_what_it_passes_through(text, expected):
    np.testing.assert_allclose(used(text)[0], expected)


def test_usage_has_a_column_for_every_module_that_there_may_be_and_rows_of_any_stage():
    found = used(MODULE_2_ALONE, "0011", "1100", width=6)
    np.testing.assert_allclose(found, [[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["dense", "sparse", "gates"])
def test_the_usage_of_any_genotype_sums_to_one(rng, kind):
    population = Population.random(50, LAYOUT.length(4), rng)
    found = usage(decode_population(population, LAYOUT, kind=kind), np.full(50, 4), 5)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


ELITES = np.array([[0.0, 1, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0]])


def test_the_load_is_what_others_use_in_units_of_a_modules_mean():
    # Beside task 0: one task on module 1 and half of one on module 2, so 1.5 on three modules.
    np.testing.assert_allclose(load(ELITES, 0, 3), [BYPASS_LOAD, 2, 1, 0])
    np.testing.assert_allclose(load(ELITES, 2, 3), [BYPASS_LOAD, 3, 0, 0])


def test_the_mean_is_of_the_modules_that_the_task_may_use():
    elites = np.array([[0, 1.0, 0, 0, 0, 0], [0, 0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(load(elites, 0, 2), [BYPASS_LOAD, 2 / 3, 4 / 3, 2 / 3, 0, 0])


def test_even_use_of_few_modules_among_many_is_less_crowded_than_the_embedding():
    even = np.eye(3, 11, 1)
    assert (load(np.tile(even, (4, 1)), 0, 3)[1:4] < BYPASS_LOAD).all()


def test_the_load_of_even_use_is_1_and_of_a_single_task_0():
    assert load(np.array([[0, 1, 1], [9, 9, 9], [0, 1, 1.0]]), 1, 2).tolist() == [BYPASS_LOAD, 1, 1]
    assert load(np.array([[0.2, 0.8]]), 0, 1).tolist() == [BYPASS_LOAD, 0]


def test_the_load_changes_no_elite():
    elites = ELITES.copy()
    load(elites, 1, 3)
    assert (elites == ELITES).all()


def test_crowding_is_the_usage_weighted_with_the_load():
    assert crowding(np.array([[0, 0.5, 0.5], [1, 0, 0.0]]), np.array([4.0, 2.0, 1.0])).tolist() == [1.5, 4]


def test_the_overlap_of_pairs_is_the_product_of_their_usages():
    assert mean_overlap(np.array([[0, 1.0, 0], [0, 0, 1.0]])) == 0
    assert mean_overlap(np.array([[0, 1.0, 0]] * 3)) == 1
    # The pairs: 1 of 1, and twice half of one that passes by.
    assert mean_overlap(np.array([[0, 1.0, 0], [0, 1.0, 0], [0.5, 0.5, 0]])) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_the_embedding_is_no_overlap_and_one_task_has_none():
    assert mean_overlap(np.array([[1.0, 0, 0]] * 2)) == 0
    assert mean_overlap(np.array([[0, 1.0]])) == 0


def test_a_route_that_all_tasks_take_alike_is_as_crowded_as_even_use():
    found = used(*[BOTH_MODULES] * 3)
    assert crowding(found, load(found, 0, 2)).tolist() == pytest.approx([1] * 3)


# --- a route of one module


def test_a_route_is_cut_to_the_module_that_passes_most_of_the_output():
    def decode(population):
        return decode_population(population, LAYOUT, kind="sparse")

    texts = {
        BOTH_MODULES: MODULE_1_ALONE[:4] + "001100",  # module 2 reads module 1: both pass all
        "0100" + "000111": "0000" + "000011",
        MODULE_2_ALONE: "0000" + "000011",
        INPUT_ALONE: INPUT_ALONE,
    }
    population = Population.from_genotypes([Genotype(text) for text in texts])
    cut = strongest_alone(population, LAYOUT, decode)
    reached = reached_modules(decode(cut), stages_of(cut, LAYOUT))
    assert reached.sum(axis=1).tolist() == [1, 1, 1, 0]
    for text, expected, found in zip(texts, texts.values(), cut, strict=True):
        read = gene_values(Population.from_genotypes([Genotype(expected)]), 2)[0, 2:]
        assert gene_values(Population.from_genotypes([found]), 2)[0, 2:].tolist() == read.tolist(), text
