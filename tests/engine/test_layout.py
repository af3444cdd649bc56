import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import FlatLayout, StagedLayout
from genoevo.layout import Layout

precisions = st.integers(1, 16)
stages = st.integers(1, 60)


@given(precisions, stages)
def test_a_stage_n_genotype_has_p_times_n_times_n_plus_3_over_2_bits(p, n):
    assert StagedLayout(p).length(n) == p * n * (n + 3) / 2


@given(precisions, stages)
def test_stage_is_the_inverse_of_length(p, n):
    layout = StagedLayout(p)
    assert layout.stage(layout.length(n)) == n
    assert layout.stage(np.int64(layout.length(n))) == n


@given(precisions, st.integers(-10, 3000))
def test_exactly_the_lengths_of_stages_are_legal(p, length):
    layout = StagedLayout(p)
    if length in {layout.length(n) for n in range(1, 80)}:
        assert layout.length(layout.stage(length)) == length
    else:
        with pytest.raises(ValueError, match=f"no stage has {length} bits at precision {p}"):
            layout.stage(length)


@given(precisions, stages)
def test_segments_partition_the_length(p, n):
    layout = StagedLayout(p)
    covered = [bit for segment in layout.segments(n) for bit in range(segment.start, segment.stop)]
    assert covered == list(range(layout.length(n)))


@given(precisions, stages)
def test_segments_weigh_the_inputs_of_modules_2_to_n_and_then_of_the_output(p, n):
    sizes = [(segment.stop - segment.start) / p for segment in StagedLayout(p).segments(n)]
    assert sizes == list(range(2, n + 2))


@given(precisions, stages, st.integers(1, 10))
def test_segments_are_the_first_ones_of_every_longer_stage(p, n, more):
    layout = StagedLayout(p)
    assert layout.segments(n + more)[:n] == layout.segments(n)


def test_three_modules_at_precision_2_have_18_bits_in_segments_of_4_6_and_8():
    layout = StagedLayout(precision=2)
    assert layout.length(3) == 18
    assert layout.segments(3) == [slice(0, 4), slice(4, 10), slice(10, 18)]


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("method", ["length", "segments"])
def test_a_stage_below_1_is_refused(method, n):
    with pytest.raises(ValueError, match=f"a stage must be at least 1, got {n}"):
        getattr(StagedLayout(2), method)(n)


@pytest.mark.parametrize(
    ("length", "near"), [(19, "18, 28"), (27, "18, 28"), (1, "4, 10"), (-5, "4, 10"), (9, "4, 10")]
)
def test_an_illegal_length_names_the_nearest_legal_ones(length, near):
    with pytest.raises(ValueError, match=rf"no stage has {length} bits at precision 2; the nearest are \[{near}\]"):
        StagedLayout(2).stage(length)


@given(precisions, st.integers(1, 100))
def test_a_flat_layout_has_p_bits_per_gene_in_one_segment(p, genes):
    layout = FlatLayout(p)
    assert layout.length(genes) == p * genes
    assert layout.stage(p * genes) == genes
    assert layout.segments(genes) == [slice(0, p * genes)]


def test_a_flat_layout_refuses_a_length_that_splits_a_gene():
    with pytest.raises(ValueError, match="length 7 is not a multiple of the 2 bits of a gene"):
        FlatLayout(2).stage(7)


@pytest.mark.parametrize("method", ["length", "segments"])
def test_a_flat_layout_refuses_another_number_of_genes_than_its_own(method):
    assert FlatLayout(2, genes=4).length(4) == 8
    with pytest.raises(ValueError, match="this layout has 4 genes, got 3"):
        getattr(FlatLayout(2, genes=4), method)(3)


def test_a_flat_layout_of_fixed_genes_refuses_another_length():
    assert FlatLayout(2, genes=4).stage(8) == 4
    assert FlatLayout(2, genes=1).stage(2) == 1
    with pytest.raises(ValueError, match="this layout has 4 genes, got 5"):
        FlatLayout(2, genes=4).stage(10)


@pytest.mark.parametrize("length", [0, -2])
def test_a_flat_layout_refuses_a_length_without_genes(length):
    with pytest.raises(ValueError, match=r"this layout has at least 1 genes, got (0|-1)"):
        FlatLayout(2).stage(length)


@pytest.mark.parametrize("layout", [FlatLayout, StagedLayout])
@pytest.mark.parametrize("precision", [0, 17, -1])
def test_a_precision_outside_1_to_16_is_refused(layout, precision):
    with pytest.raises(ValueError, match=f"precision must be between 1 and 16, got {precision}"):
        layout(precision)


@pytest.mark.parametrize("genes", [0, -3])
def test_a_fixed_number_of_genes_below_1_is_refused(genes):
    with pytest.raises(ValueError, match=f"genes must be at least 1, got {genes}"):
        FlatLayout(1, genes)


@pytest.mark.parametrize("layout", [FlatLayout(3, 2), StagedLayout(3)])
def test_layouts_are_values_of_one_protocol(layout):
    assert isinstance(layout, Layout)
    assert layout == dataclasses.replace(layout)
    with pytest.raises(dataclasses.FrozenInstanceError):
        layout.precision = 4
