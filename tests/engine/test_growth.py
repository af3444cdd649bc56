import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Genotype, Population, StagedLayout, decode
from genoevo.operators.growth import grow, shrink

fills = pytest.mark.parametrize("fill", ["random", "preserve", "explore"])
precisions = st.integers(1, 16)
stages_of_rows = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def staged(stages, layout, seed):
    lengths = np.array([layout.length(stage) for stage in stages])
    return Population.random(len(stages), lengths, np.random.default_rng(seed))


def strings(population):
    return [str(genotype) for genotype in population]


@fills
@given(stages=stages_of_rows, p=precisions, seed=st.integers(0, 99))
def test_growth_appends_one_segment_and_keeps_the_prefix(check_well_formed, fill, stages, p, seed):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    grown = grow(population, layout, np.random.default_rng(1), fill=fill)
    check_well_formed(grown)
    assert grown.lengths.tolist() == [layout.length(stage + 1) for stage in stages]
    for old, new in zip(strings(population), strings(grown), strict=True):
        assert new.startswith(old)


@fills
@given(stages=stages_of_rows, p=precisions, seed=st.integers(0, 99))
def test_shrink_undoes_growth(check_well_formed, fill, stages, p, seed):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    back = shrink(grow(population, layout, np.random.default_rng(1), fill=fill), layout)
    check_well_formed(back)
    assert strings(back) == strings(population)


@given(stages=stages_of_rows, p=precisions, seed=st.integers(0, 99))
def test_preserve_copies_the_old_output_segment_and_gives_the_new_module_code_0(stages, p, seed):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    grown = grow(population, layout, np.random.default_rng(1), fill="preserve")
    for stage, old, new in zip(stages, strings(population), strings(grown), strict=True):
        assert new == old + old[layout.segments(stage)[-1]] + "0" * p


@given(stage=st.integers(1, 5), p=precisions, seed=st.integers(0, 99), offset=st.sampled_from([0.0, 0.5, 0.99]))
def test_preserve_scales_the_output_weights_by_what_a_code_of_0_takes(stage, p, seed, offset):
    layout = StagedLayout(p)
    population = staged([stage], layout, seed)
    grown = grow(population, layout, np.random.default_rng(1), fill="preserve")
    old, new = decode(population[0], layout, offset), decode(grown[0], layout, offset)
    # (exp(v) - c) / S becomes (exp(v) - c) / (S + 1 - c), divided through by exp(top) to stay finite.
    output = str(population[0])[layout.segments(stage)[-1]]
    codes = np.array([int(output[i : i + p], 2) for i in range(0, len(output), p)], float)
    top = codes.max()
    total = (np.exp(codes - top) - offset * np.exp(-top)).sum()
    taken = (1 - offset) * np.exp(-top)
    np.testing.assert_allclose(new[-1], [*(old[-1] * total / (total + taken)), taken / (total + taken)], rtol=1e-9)


@fills
@given(stage=st.integers(1, 5), p=precisions, seed=st.integers(0, 99))
def test_the_old_output_weights_become_the_new_modules_inputs(fill, stage, p, seed):
    layout = StagedLayout(p)
    population = staged([stage], layout, seed)
    grown = grow(population, layout, np.random.default_rng(1), fill=fill)
    for old, new in zip(decode(population[0], layout), decode(grown[0], layout)[:-1], strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-14)


@given(stages=stages_of_rows, p=precisions, seed=st.integers(0, 99))
def test_explore_is_preserve_with_the_largest_code_for_the_new_module(stages, p, seed):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    explored, preserved = (
        grow(population, layout, np.random.default_rng(1), fill=f) for f in ("explore", "preserve")
    )
    for new, old in zip(strings(explored), strings(preserved), strict=True):
        assert (new[:-p], new[-p:]) == (old[:-p], "1" * p)


@given(stages=stages_of_rows, p=precisions, seed=st.integers(0, 99), fill=st.sampled_from(["preserve", "explore"]))
def test_a_shrink_that_keeps_the_output_undoes_growth_that_copies_it(check_well_formed, stages, p, seed, fill):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    back = shrink(grow(population, layout, np.random.default_rng(1), fill=fill), layout, keep="output")
    check_well_formed(back)
    assert strings(back) == strings(population)


@given(stages=st.lists(st.integers(2, 7), min_size=1, max_size=6), p=precisions, seed=st.integers(0, 99))
def test_a_shrink_that_keeps_the_output_removes_the_modules_inputs_and_its_code(stages, p, seed):
    layout = StagedLayout(p)
    population = staged(stages, layout, seed)
    shrunk = shrink(population, layout, keep="output")
    for stage, old, new in zip(stages, strings(population), strings(shrunk), strict=True):
        *rest, _, output = layout.segments(stage)
        assert new == old[: rest[-1].stop if rest else 0] + old[output][:-p]


def test_a_genotype_that_does_not_use_its_newest_module_keeps_its_output_without_it():
    layout = StagedLayout(2)
    unused = Population.from_genotypes([Genotype("1001" + "110011" + "01110000")])
    before, after = (decode(each[0], layout) for each in (unused, shrink(unused, layout, keep="output")))
    np.testing.assert_allclose(after[-1], before[-1][:-1], atol=1e-3)
    np.testing.assert_array_equal(after[0], before[0])


def test_an_unknown_part_to_keep_is_refused(rng):
    with pytest.raises(ValueError, match="keep must be one of output, prefix, got 'all'"):
        shrink(Population.random(2, 18, rng), StagedLayout(2), keep="all")


def test_preserve_needs_no_randomness(rng):
    before = rng.bit_generator.state
    grow(staged([2, 3], StagedLayout(2), 1), StagedLayout(2), rng, fill="preserve")
    assert rng.bit_generator.state == before


def test_preserve_is_the_default(rng):
    layout = StagedLayout(2)
    population = staged([2, 3], layout, 1)
    assert strings(grow(population, layout, rng)) == strings(grow(population, layout, rng, fill="preserve"))


def test_random_fill_is_fair_at_every_new_position_of_every_stage(rng, check_frequencies):
    layout = StagedLayout(2)
    grown = grow(staged([1, 3] * 2000, layout, 1), layout, rng, fill="random").bits()
    for rows, stage in [(grown[::2], 1), (grown[1::2], 3)]:
        for column in rows[:, layout.segments(stage + 1)[-1]].T:
            check_frequencies([column.sum(), len(column) - column.sum()], [0.5, 0.5])


def test_random_fill_is_decided_by_the_generator():
    layout = StagedLayout(4)
    population = staged([3, 5], layout, 1)
    runs = [strings(grow(population, layout, np.random.default_rng(seed), fill="random")) for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    "change",
    [
        lambda population, layout: grow(population, layout, np.random.default_rng(1), fill="random"),
        lambda population, layout: grow(population, layout, np.random.default_rng(1), fill="preserve"),
        shrink,
    ],
    ids=["random", "preserve", "shrink"],
)
def test_a_change_of_stage_is_unevaluated_keeps_weights_and_leaves_the_old_untouched(change, check_no_shared_memory):
    layout = StagedLayout(2)
    population = Population.random(3, layout.length(3), np.random.default_rng(1), weights=(1, -1))
    population.fitness = np.ones((3, 2))
    before = strings(population)
    changed = change(population, layout)
    assert not changed.evaluated.any()
    assert changed.weights == (1.0, -1.0)
    assert population.evaluated.all()
    assert strings(population) == before
    check_no_shared_memory([changed], [population])


def test_an_unknown_fill_is_refused(rng):
    with pytest.raises(ValueError, match="fill must be one of explore, preserve, random, got 'zeros'"):
        grow(staged([2], StagedLayout(2), 1), StagedLayout(2), rng, fill="zeros")


def test_stage_1_cannot_shrink():
    with pytest.raises(ValueError, match="a stage must be at least 1, got 0"):
        shrink(staged([2, 1], StagedLayout(2), 1), StagedLayout(2))


@pytest.mark.parametrize("change", [lambda p, layout: grow(p, layout, np.random.default_rng(1)), shrink])
def test_a_length_of_no_stage_is_refused(change):
    with pytest.raises(ValueError, match="no stage has 5 bits at precision 2"):
        change(Population.from_genotypes([Genotype("00000")]), StagedLayout(2))
