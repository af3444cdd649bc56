"""A community's start, its scores, and codes that are given from outside."""

import numpy as np
import pytest

from genoevo import Community, Genotype, Population, StagedLayout
from genoevo.community import Decoding, Growth, Mating
from genoevo.decode import decode_population
from genoevo.operators.growth import grow
from tests.engine.communities import (
    BOTH_MODULES,
    CLONING,
    INPUT_ALONE,
    LAYOUT,
    MODULE_1_ALONE,
    MODULE_2_ALONE,
    community,
    play,
    with_population,
)
from tests.engine.texts import strings

# --- the start


def test_a_community_starts_with_3_genotypes_of_stage_3_per_task():
    fresh = Community(LAYOUT, ["push", "reach"], seed=1)
    assert len(fresh.population) == 6
    assert fresh.stages.tolist() == [3, 3]
    assert set(fresh.population.lengths.tolist()) == {18}
    assert fresh.rounds == 0
    assert not fresh.population.evaluated.any()


def test_each_task_has_its_own_rows():
    fresh = community(3, size=4)
    assert [strings(fresh.of(task)) for task in range(3)] == [
        strings(fresh.population)[4 * task : 4 * task + 4] for task in range(3)
    ]


def test_a_seed_of_a_generator_that_could_not_be_loaded_is_refused():
    with pytest.raises(ValueError, match="the generator must be PCG64, got 'Philox'"):
        community(seed=np.random.Philox(1))


def test_the_seed_decides_everything(frozen):
    runs = []
    for seed in (3, 3, 4):
        one = community(2, seed=seed)
        play(one, [0.5] * 5)
        runs.append(frozen(one.state_dict()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": []}, r"tasks must be at least one name, each once, got \[\]"),
        ({"tasks": ["a", "b", "a"]}, r"tasks must be at least one name, each once, got \['a', 'b', 'a'\]"),
        ({"size": 1}, "size must be at least 2, got 1"),
        ({"stage": 0}, "a stage must be at least 1, got 0"),
        ({"stage": 11}, r"stage must be at most max_modules \(10\), got 11"),
    ],
)
def test_an_invalid_community_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Community(LAYOUT, **{"tasks": ["a"], "seed": 1, **settings})


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        (Decoding, {"offset": 1.0}, r"offset must be in \[0, 1\), got 1.0"),
        (Decoding, {"offset": -0.1}, r"offset must be in \[0, 1\), got -0.1"),
        (Decoding, {"decimal_scale": -1}, "decimal_scale must be at least 0, got -1"),
        (Decoding, {"kind": "thin"}, "kind must be one of dense, gates, sparse, got 'thin'"),
        (Mating, {"tournament_size": 0}, "tournament_size must be at least 1, got 0"),
        (Mating, {"community_rate": 1.1}, "community_rate must be between 0 and 1, got 1.1"),
        (Mating, {"usage_cost": -0.1}, "usage_cost must be between 0 and 1, got -0.1"),
        (Mating, {"usage_threshold": 1.5}, "usage_threshold must be between 0 and 1, got 1.5"),
        (Growth, {"mastery": 1.1}, "mastery must be between 0 and 1, got 1.1"),
        (Growth, {"min_gain": -0.1}, "min_gain must be at least 0, got -0.1"),
        (Growth, {"patience": 0}, "patience must be at least 1, got 0"),
        (Growth, {"warmup_rounds": -1}, "warmup_rounds must be at least 0, got -1"),
        (Growth, {"fill": "copy"}, "fill must be one of explore, preserve, random, got 'copy'"),
        (Growth, {"max_modules": 0}, "max_modules must be at least 1, got 0"),
    ],
)
def test_invalid_settings_are_refused_by_name(rule, settings, message):
    with pytest.raises(ValueError, match=message):
        rule(**settings)


# --- evaluation: score, usage, ties


@pytest.mark.parametrize(
    ("text", "modules"),
    [(INPUT_ALONE, 0), (MODULE_1_ALONE, 1), (MODULE_2_ALONE, 1), (BOTH_MODULES, 2), ("0" * 10, 2)],
)
def test_effective_modules_are_those_whose_share_of_the_output_exceeds_the_threshold(text, modules):
    assert with_population(community(stage=2, size=2), [text, text]).effective_modules().tolist() == [[modules] * 2]


@pytest.mark.parametrize(("threshold", "modules"), [(0.0, 2), (0.3, 2), (0.4, 1), (0.6, 0), (1.0, 0)])
def test_the_usage_threshold_is_the_share_that_a_module_must_exceed(threshold, modules):
    # All zeros: module 2 has a third of the output, module 1 another third and half of module 2's.
    one = community(stage=2, size=2, mating=Mating(usage_threshold=threshold))
    assert with_population(one, ["0" * 10] * 2).effective_modules().tolist() == [[modules] * 2]


def test_a_module_without_any_share_is_not_effective_even_at_threshold_0():
    # At 16 bits the weight of a 0 beside the highest code is below the smallest float64.
    one = Community(StagedLayout(16), ["a"], seed=1, size=2, stage=1, mating=Mating(usage_threshold=0))
    assert with_population(one, ["1" * 16 + "0" * 16, "1" * 32]).effective_modules().tolist() == [[0, 1]]


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(offset=0.0), Decoding(decimal_scale=1 / 3)])
def test_weights_are_decoded_as_the_settings_say(decoding):
    one = community(2, decoding=decoding)
    expected = decode_population(one.population, LAYOUT, decoding.offset, decoding.decimal_scale)
    np.testing.assert_array_equal(one.weights(), expected)


@pytest.mark.parametrize("kind", ["sparse", "gates"])
def test_the_kind_of_decoding_reaches_the_weights(kind):
    one = community(2, decoding=Decoding(kind=kind))
    expected = decode_population(one.population, LAYOUT, kind=kind)
    assert (one.weights() == expected).all()
    assert (expected != community(2).weights()).any()


def test_decoding_settings_reach_the_count_of_effective_modules():
    # Softmax at an eighth of the scale hardly tells a 3 from a 0.
    blunt = community(stage=2, size=2, decoding=Decoding(offset=0.0, decimal_scale=0.125))
    assert with_population(blunt, [INPUT_ALONE] * 2).effective_modules().tolist() == [[2, 2]]


def test_the_score_is_performance_less_the_cost_of_the_used_share_of_modules():
    one = community(2, stage=2, size=2, mating=Mating(usage_cost=0.1))
    with_population(one, [INPUT_ALONE, MODULE_1_ALONE, BOTH_MODULES, MODULE_2_ALONE])
    done = one.step([[0.5, 1.0], [0.0, 0.25]])
    assert done.effective_modules.tolist() == [[0, 1], [2, 1]]
    np.testing.assert_allclose(done.scores, [[0.5, 0.95], [0.0, 0.2375]], rtol=1e-12)


def test_the_cost_is_relative_to_each_tasks_own_stage():
    one = community(2, size=2, stage=2, mating=Mating(usage_cost=0.1))
    first = Population.from_genotypes([Genotype(BOTH_MODULES, weights=(1, 1))] * 2)
    grown = grow(first, LAYOUT, np.random.default_rng(1))
    one.population = Population.concatenate([first, grown])
    done = one.step(np.full((2, 2), 0.5))
    assert done.effective_modules.tolist() == [[2, 2], [2, 2]]
    np.testing.assert_allclose(done.scores, [[0.5 * 0.9] * 2, [0.5 * (1 - 0.1 * 2 / 3)] * 2], rtol=1e-12)


def test_of_equal_performance_the_one_with_fewer_modules_is_the_elite():
    one = with_population(community(stage=2), [BOTH_MODULES, INPUT_ALONE, MODULE_1_ALONE])
    assert one.step([[0.5, 0.5, 0.5]], [[9, 1, 9]]).elites.tolist() == [1]


def test_without_success_the_mean_return_decides_whatever_is_used():
    dear = community(stage=2, mating=Mating(usage_cost=1.0))
    one = with_population(dear, [INPUT_ALONE, BOTH_MODULES, MODULE_1_ALONE])
    assert one.step([[0, 0, 0]], [[1, 9, 2]]).elites.tolist() == [1]


def test_equal_scores_are_decided_by_the_mean_return():
    one = community(2, mating=Mating(usage_cost=0))
    done = one.step([[0.5, 0.5, 0.5], [0.5, 0.6, 0.6]], [[-3, -1, -2], [9, 4, 5]])
    assert done.elites.tolist() == [1, 2]


def test_the_score_goes_before_the_mean_return():
    one = community(mating=Mating(usage_cost=0))
    assert one.step([[0.2, 0.1, 0.1]], [[0, 50, 100]]).elites.tolist() == [0]


def test_of_complete_equals_the_first_is_the_elite():
    one = with_population(community(stage=2), [BOTH_MODULES] * 3)
    assert one.step([[0.5] * 3]).elites.tolist() == [0]


# --- other codes from outside


def of_two_stages():
    mixed = community(2, size=2, stage=2)
    mixed.population = Population.from_genotypes(
        [Genotype(text, weights=(1, 1)) for text in (INPUT_ALONE, BOTH_MODULES, "01" * 9, "11" * 9)]
    )
    mixed.population.fitness = np.arange(8.0).reshape(4, 2)
    return mixed


def test_rewritten_genotypes_have_the_codes_given_and_lose_their_fitness_alone():
    mixed = of_two_stages()
    genes = mixed.genes()
    genes[1, :5] = [3, 2, 1, 0, 3]
    genes[2, 8] = 2
    assert mixed.rewrite(genes).tolist() == [False, True, True, False]
    assert strings(mixed.population) == [INPUT_ALONE, "1110010011", "01" * 8 + "10", "11" * 9]
    assert mixed.population.evaluated.tolist() == [True, False, False, True]
    assert mixed.population.fitness[3].tolist() == [6, 7]
    assert mixed.stages.tolist() == [2, 3]


def test_the_codes_that_there_are_change_nothing_and_what_is_past_a_genotype_is_ignored():
    mixed, before = of_two_stages(), strings(of_two_stages().population)
    genes = mixed.genes()
    genes[0, 5:] = 99
    assert not mixed.rewrite(genes).any()
    assert strings(mixed.population) == before
    assert mixed.population.evaluated.all()


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        (np.zeros((4, 8), np.int64), r"whole numbers of shape \(4, 9\), got int64\(4, 8\)"),
        (np.zeros((4, 9)), r"whole numbers of shape \(4, 9\), got float64"),
        (np.full((4, 9), 4), "from 0 to 3, got 4 to 4"),
        (np.full((4, 9), -1), "from 0 to 3, got -1 to -1"),
    ],
)
def test_codes_that_do_not_fit_are_refused_and_change_nothing(genes, message):
    mixed, before = of_two_stages(), strings(of_two_stages().population)
    with pytest.raises(ValueError, match=message):
        mixed.rewrite(genes)
    assert strings(mixed.population) == before


def test_a_round_after_codes_were_rewritten_judges_the_new_ones():
    one = with_population(community(size=2, stage=2, reproduction=CLONING), [INPUT_ALONE, BOTH_MODULES])
    genes = one.genes()
    genes[0] = [0, 0, 0, 3, 0]
    one.rewrite(genes)
    done = one.step([[1.0, 0.0]])
    assert strings(one.population)[0] == MODULE_1_ALONE
    assert done.effective_modules.tolist() == [[1, 2]]
