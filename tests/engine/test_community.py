import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Community, Evolution, Genotype, Population, StagedLayout
from genoevo.community import Decoding, Growth, Mating
from genoevo.decode import decode_population
from genoevo.operators import Reproduction
from genoevo.operators.growth import grow
from genoevo.operators.reproduction import Origin
from genoevo.state import load, save

LAYOUT = StagedLayout(2)
CLONING = Reproduction(crossover_threshold=0, mutation_rate=0)  # a child is its first parent
CROSSING = Reproduction(crossover_threshold=1, crossover="uniform", mutation_rate=0)
IMPATIENT = Growth(patience=3, warmup_rounds=0)

# Stage 2 at precision 2: two weights of module 2's inputs, then three of the output's; 3 feeds and 0 suppresses.
INPUT_ALONE = "0000" + "110000"
MODULE_1_ALONE = "0000" + "001100"
MODULE_2_ALONE = "1100" + "000011"
BOTH_MODULES = "0011" + "000011"


def community(tasks=1, **settings):
    return Community(LAYOUT, [f"task {i}" for i in range(tasks)], **{"seed": 1, **settings})


def with_population(community, texts):
    community.population = Population.from_genotypes([Genotype(text, weights=(1, 1)) for text in texts])
    return community


def strings(population):
    return [str(genotype) for genotype in population]


def play(community, performance, mean_return=()):
    """One round per element; each is anything that broadcasts to (tasks, size). The shorter is padded by its last."""
    rounds = max(len(performance), len(mean_return))
    shape = len(community.tasks), community.size
    done = []
    for i in range(rounds):
        p, r = (values[min(i, len(values) - 1)] if len(values) else 0.0 for values in (performance, mean_return))
        done.append(community.step(np.broadcast_to(p, shape), np.broadcast_to(r, shape)))
    return done


def growths(community, performance, mean_return=()):
    """The rounds, counted from 1, in which task 0 grew."""
    rounds = play(community, performance, mean_return)
    return [number for number, done in enumerate(rounds, 1) if 0 in done.grown]


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
        ({"stage": 0}, "a stage is at least 1, got 0"),
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
        (Mating, {"tournament_size": 0}, "tournament_size must be at least 1, got 0"),
        (Mating, {"community_rate": 1.1}, "community_rate must be between 0 and 1, got 1.1"),
        (Mating, {"usage_cost": -0.1}, "usage_cost must be at least 0, got -0.1"),
        (Mating, {"usage_threshold": 1.5}, "usage_threshold must be between 0 and 1, got 1.5"),
        (Growth, {"mastery": 1.1}, "mastery must be between 0 and 1, got 1.1"),
        (Growth, {"min_gain": -0.1}, "min_gain must be at least 0, got -0.1"),
        (Growth, {"patience": 0}, "patience must be at least 1, got 0"),
        (Growth, {"warmup_rounds": -1}, "warmup_rounds must be at least 0, got -1"),
        (Growth, {"fill": "copy"}, "fill must be one of preserve, random, got 'copy'"),
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


def test_decoding_settings_reach_the_count_of_effective_modules():
    # Softmax at an eighth of the scale hardly tells a 3 from a 0.
    blunt = community(stage=2, size=2, decoding=Decoding(offset=0.0, decimal_scale=0.125))
    assert with_population(blunt, [INPUT_ALONE] * 2).effective_modules().tolist() == [[2, 2]]


def test_the_score_is_performance_minus_the_cost_of_the_used_share_of_modules():
    one = community(2, stage=2, size=2, mating=Mating(usage_cost=0.1))
    with_population(one, [INPUT_ALONE, MODULE_1_ALONE, BOTH_MODULES, MODULE_2_ALONE])
    done = one.step([[0.5, 1.0], [0.0, 0.25]])
    assert done.effective_modules.tolist() == [[0, 1], [2, 1]]
    np.testing.assert_allclose(done.scores, [[0.5, 0.95], [-0.1, 0.2]], rtol=1e-12)


def test_the_cost_is_relative_to_each_tasks_own_stage():
    one = community(2, size=2, stage=2, mating=Mating(usage_cost=0.1))
    first = Population.from_genotypes([Genotype(BOTH_MODULES, weights=(1, 1))] * 2)
    grown = grow(first, LAYOUT, np.random.default_rng(1))
    one.population = Population.concatenate([first, grown])
    done = one.step(np.full((2, 2), 0.5))
    assert done.effective_modules.tolist() == [[2, 2], [2, 2]]
    np.testing.assert_allclose(done.scores, [[0.4] * 2, [0.5 - 0.1 * 2 / 3] * 2], rtol=1e-12)


def test_of_equal_performance_the_one_with_fewer_modules_is_the_elite():
    one = with_population(community(stage=2), [BOTH_MODULES, INPUT_ALONE, MODULE_1_ALONE])
    assert one.step([[0.5, 0.5, 0.5]], [[9, 1, 9]]).elites.tolist() == [1]


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


# --- the elite and the children


def test_the_elite_comes_first_unchanged_and_alone_keeps_its_fitness():
    wild = Reproduction(crossover_threshold=0.4, mutation_threshold=0.8, mutation_rate=0.5)
    one = community(4, size=3, reproduction=wild, mating=Mating(usage_cost=0), growth=Growth(warmup_rounds=999))
    rng = np.random.default_rng(1)
    for _ in range(10):
        before = [one.of(task) for task in range(4)]
        performance, mean_return = rng.random((4, 3)), rng.normal(size=(4, 3))
        done = one.step(performance, mean_return)
        assert done.elites.tolist() == performance.argmax(axis=1).tolist()
        for task, elite in enumerate(done.elites):
            assert one.of(task)[0] == before[task][int(elite)]
            assert one.of(task)[0].fitness.values == (performance[task, elite], mean_return[task, elite])
        assert one.population.evaluated.tolist() == [True, False, False] * 4
    assert one.rounds == 10


def test_the_first_parent_wins_a_tournament_in_its_own_task():
    one = community(3, size=5, reproduction=CLONING, mating=Mating(tournament_size=300, community_rate=1))
    performance = np.eye(3, 5, 1)
    best = [str(one.of(task)[task + 1]) for task in range(3)]
    one.step(performance)
    assert [strings(one.of(task)) for task in range(3)] == [[text] * 5 for text in best]


def test_a_tournament_of_one_picks_first_parents_at_random(check_frequencies):
    size = 1001
    one = community(stage=8, size=size, reproduction=CLONING, mating=Mating(tournament_size=1))
    texts = strings(one.population)
    best = np.zeros(size)
    best[0] = 1
    one.step(best[None])
    first_half = sum(child in set(texts[:500]) for child in strings(one.of(0))[1:])
    check_frequencies([first_half, size - 1 - first_half], [500 / size, 501 / size])


def test_children_have_their_own_tasks_stage_whatever_the_donor():
    one = community(3, reproduction=CROSSING, mating=Mating(community_rate=1), growth=IMPATIENT)
    play(one, [[[0.0], [1.0], [1.0]]] * 4)
    play(one, [[[1.0], [1.0], [1.0]]] * 10)
    assert one.stages.tolist() == [4, 3, 3]
    assert one.population.lengths.tolist() == [28] * 3 + [18] * 6


# --- who the second parent is


def marked(tasks, size, **mating):
    """Task t's genotypes have ones in their t-th stretch alone, so that a child shows who its parents were."""
    layout = StagedLayout(16)
    one = Community(
        layout, [str(i) for i in range(tasks)], seed=1, size=size, reproduction=CROSSING, mating=Mating(**mating)
    )
    stretch = layout.length(3) // tasks
    bits = np.repeat(np.eye(tasks, dtype=np.uint8), stretch, axis=1)
    one.population = Population.from_bits(np.repeat(bits, size, axis=0), weights=(1, 1))
    return one


def donors(one):
    """(tasks, tasks): how many children of each row's task got bits of each column's, itself left out."""
    tasks = len(one.tasks)
    children = one.population.bits().reshape(tasks, one.size, tasks, -1)[:, 1:]
    return children.any(axis=3).sum(axis=1) * (1 - np.eye(tasks, dtype=int))


def test_at_community_rate_0_the_second_parent_is_of_the_own_task():
    one = marked(4, 50, community_rate=0)
    before = strings(one.population)
    one.step(np.zeros((4, 50)))
    assert strings(one.population) == before


def test_at_community_rate_1_the_second_parent_is_of_any_other_task_alike(check_frequencies):
    one = marked(4, 401, community_rate=1)
    one.step(np.zeros((4, 401)))
    found = donors(one)
    assert found.sum(axis=1).tolist() == [400] * 4
    for task in range(4):
        check_frequencies(np.delete(found[task], task), [1 / 3] * 3)


def test_the_community_rate_is_the_share_of_second_parents_from_other_tasks(check_frequencies):
    one = marked(3, 1001, community_rate=0.3)
    one.step(np.zeros((3, 1001)))
    abroad = donors(one).sum()
    check_frequencies([abroad, 3000 - abroad], [0.3, 0.7])


def test_the_second_parent_wins_a_tournament_where_it_comes_from():
    one = marked(2, 30, community_rate=1, tournament_size=400)
    half = np.zeros((60, 144), dtype=np.uint8)
    half[40] = 1  # the best of task 1; all others are zeros
    one.population = Population.from_bits(half, weights=(1, 1))
    performance = np.zeros((2, 30))
    performance[1, 10] = 1
    one.step(performance)
    assert all(0 < child.bits.sum() < 144 for child in list(one.of(0))[1:])


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_single_task_mates_with_itself(rate):
    one = community(size=20, reproduction=CROSSING, mating=Mating(community_rate=rate))
    pool = one.population.bits()
    play(one, [0.5] * 5)
    assert one.rounds == 5
    # Crossover alone makes no bit that no genotype had.
    assert ((one.population.bits() == 1) <= pool.any(axis=0)).all()
    assert ((one.population.bits() == 0) <= (~pool.all(axis=0))).all()


# --- growth


@pytest.mark.parametrize(("patience", "warmup", "expected"), [(1, 0, 2), (3, 0, 4), (3, 4, 4), (3, 9, 9), (1, 6, 6)])
@pytest.mark.parametrize("performance", [0.0, 0.3])
def test_a_task_grows_after_patience_rounds_without_gain_but_not_before_warmup(
    patience, warmup, expected, performance
):
    one = community(growth=Growth(patience=patience, warmup_rounds=warmup))
    assert growths(one, [performance] * expected) == [expected]
    assert one.stages.tolist() == [4]


def test_after_growth_a_task_has_its_patience_anew():
    assert growths(community(growth=IMPATIENT), [0.3] * 13) == [4, 8, 12]


def test_after_growth_a_lower_score_is_measured_by_itself():
    # 0.1 is no gain over the 0.5 before growth, but it is where the new stage starts; 0.2 then is a gain.
    assert growths(community(growth=IMPATIENT), [0.5] * 4 + [0.1] * 3 + [0.2] * 4) == [4, 11]


def test_no_task_grows_past_max_modules():
    one = community(2, growth=Growth(patience=1, warmup_rounds=0, max_modules=5))
    play(one, [0.0] * 20)
    assert one.stages.tolist() == [5, 5]


def test_a_start_stage_at_max_modules_is_legal_and_stays():
    one = community(stage=4, growth=Growth(patience=1, warmup_rounds=0, max_modules=4))
    play(one, [0.0] * 5)
    assert one.stages.tolist() == [4]


def test_a_task_at_mastery_does_not_grow():
    rule = Growth(patience=3, warmup_rounds=0, mastery=0.5)
    assert growths(community(growth=rule), [0.5] * 20) == []


def test_success_just_below_mastery_still_grows():
    assert growths(community(growth=IMPATIENT), [0.79] * 4) == [4]


def test_mastery_is_read_from_all_genotypes_of_the_task():
    assert growths(community(growth=IMPATIENT), [[[1.0, 0.2, 0.2]]] * 4) == [4]


def test_a_task_whose_best_score_keeps_rising_does_not_grow():
    assert growths(community(growth=IMPATIENT, mating=Mating(usage_cost=0)), np.arange(0.1, 0.75, 0.06)) == []


def test_small_steps_count_once_they_add_up_to_the_least_gain():
    flat = Mating(usage_cost=0)
    assert growths(community(growth=IMPATIENT, mating=flat), np.arange(0.1, 0.75, 0.02)) == []
    assert growths(community(growth=IMPATIENT, mating=flat), np.arange(0.1, 0.2, 0.01))[0] == 4


def test_a_gain_restarts_the_patience():
    assert growths(community(growth=IMPATIENT), [0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3]) == [7]


def test_a_fall_is_no_gain_and_neither_is_the_recovery():
    assert growths(community(growth=IMPATIENT), [0.5, 0.2, 0.5, 0.5]) == [4]


def test_once_a_task_succeeds_rising_returns_are_no_gain():
    assert growths(community(growth=IMPATIENT), [0.3] * 4, [0, 100, 200, 300]) == [4]


def test_one_genotype_that_succeeds_is_enough_to_read_the_score():
    assert growths(community(growth=IMPATIENT), [[[0.0, 0.3, 0.0]]] * 4, [0, 100, 200, 300]) == [4]


@pytest.mark.parametrize("slope", [1.0, 1e-6, 1e6])
def test_while_success_is_0_rising_returns_are_a_gain_in_any_unit(slope):
    assert growths(community(growth=IMPATIENT), [0.0], -1000 * slope + slope * np.arange(12)) == []


@pytest.mark.parametrize("returns", [[5.0] * 4, [3, 2, 1, 0], [3, -50, 2, 3]])
def test_while_success_is_0_flat_or_falling_returns_are_no_gain(returns):
    assert growths(community(growth=IMPATIENT), [0.0], returns) == [4]


@pytest.mark.parametrize(("step", "expected"), [(2, [5]), (6, [])])
def test_while_success_is_0_a_gain_is_measured_by_the_running_range_of_returns(step, expected):
    # The range is 100 and more, so 5 of it must be gained at the least.
    assert growths(community(growth=IMPATIENT), [0.0], [0, 100, 100 + step, 100 + step, 100 + step]) == expected


def test_the_running_range_remembers_the_lowest_return_of_long_ago():
    near, far = [[low, *range(10, 22), 21.5, 22, 22.5] for low in (9, -100)]
    assert growths(community(growth=IMPATIENT), [0.0], near) == []
    assert growths(community(growth=IMPATIENT), [0.0], far) != []


@given(
    seed=st.integers(0, 999), scale=st.sampled_from([2.0**-20, 0.5, 2.0**20]), shift=st.sampled_from([-4096, 4096])
)
def test_growth_does_not_depend_on_the_unit_of_returns(seed, scale, shift):
    walk = np.random.default_rng(seed).integers(-5, 6, 25).cumsum()
    rounds = [growths(community(growth=IMPATIENT), [0.0], returns) for returns in (walk, scale * (walk + shift))]
    assert rounds[0] == rounds[1]


def test_the_mean_over_a_tasks_genotypes_is_its_return():
    rising = [[[0, 0, i]] for i in range(8)]
    balanced = [[[-i, 0, i]] for i in range(8)]
    assert growths(community(growth=IMPATIENT), [0.0], rising) == []
    assert growths(community(growth=IMPATIENT), [0.0], balanced) == [4, 8]


def test_growth_grows_all_genotypes_of_the_task_and_no_other():
    one = community(3, growth=IMPATIENT)
    done = play(one, [[[1.0], [0.0], [0.5 + 0.1 * i]] for i in range(4)])
    assert [r.grown for r in done] == [[], [], [], [1]]
    assert one.stages.tolist() == [3, 4, 3]
    assert one.population.lengths.tolist() == [18] * 3 + [28] * 3 + [18] * 3


@pytest.mark.parametrize("fill", ["preserve", "random"])
def test_a_grown_elite_is_the_old_one_with_a_segment_more(fill):
    one = community(2, size=4, growth=Growth(patience=3, warmup_rounds=0, fill=fill))
    play(one, [0.0] * 3)
    before = one.of(1)
    elite = before[int(one.step(np.zeros((2, 4))).elites[1])]
    assert str(one.of(1)[0]).startswith(str(elite))
    output = LAYOUT.segments(3)[-1]
    copies = [text[18:] == text[output] + "00" for text in strings(one.population)]
    assert copies == [fill == "preserve"] * 8


def test_grown_genotypes_are_unevaluated_and_the_others_elites_are_not():
    one = community(2, growth=IMPATIENT)
    play(one, [[[1.0], [0.0]]] * 4)
    assert one.population.evaluated.tolist() == [True, False, False, False, False, False]


@given(
    seed=st.integers(0, 999),
    level=st.sampled_from([0.0, 0.3, 1.0]),
    patience=st.integers(1, 4),
    shrink=st.booleans(),
)
def test_whatever_happens_stages_move_by_one_and_stay_within_their_bounds(
    check_well_formed, seed, level, patience, shrink
):
    rng = np.random.default_rng(seed)
    rule = Growth(patience=patience, warmup_rounds=3, max_modules=4, shrink=shrink, mastery=0.5)
    one = community(3, stage=2, growth=rule, seed=seed)
    for _ in range(20):
        before = one.stages
        done = one.step(np.minimum(rng.random((3, 3)), level), rng.normal(size=(3, 3)))
        change = np.zeros(3, int)
        change[done.grown] += 1
        change[done.shrunk] -= 1
        assert (one.stages == before + change).all()
        assert ((one.stages >= 2) & (one.stages <= 4)).all()
        assert shrink or not done.shrunk
        check_well_formed(one.population)
        expected = [LAYOUT.length(int(stage)) for stage in one.stages for _ in range(3)]
        assert one.population.lengths.tolist() == expected


# --- shrinking


def grown_once(texts, shrink=True):
    """A community that started at stage 1 and now has these genotypes of stage 2."""
    one = community(stage=1, size=2, reproduction=CLONING, growth=Growth(patience=1, warmup_rounds=0, shrink=shrink))
    play(one, [0.0] * 2)
    assert one.stages.tolist() == [2]
    return with_population(one, texts)


def test_without_breeding_the_genotypes_stay_and_the_elite_comes_first():
    one = community(2)
    before = strings(one.population)
    drawn = one.rng.bit_generator.state
    one.step([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], breed=False)
    assert strings(one.population) == [before[i] for i in (2, 0, 1, 4, 3, 5)]
    assert one.population.evaluated.all()
    assert one.rng.bit_generator.state == drawn


def test_without_breeding_tasks_grow_all_the_same():
    one = community(growth=IMPATIENT)
    before = set(strings(one.population))
    for _ in range(4):
        one.step(np.zeros((1, 3)), breed=False)
    assert one.stages.tolist() == [4]
    assert {text[:18] for text in strings(one.population)} == before


def test_a_budget_of_modules_serves_those_first_that_stagnate_longest():
    one = community(4, growth=Growth(patience=2, warmup_rounds=6))
    for i in range(6):  # task 2 stagnates from the beginning, 0 and 3 from the second round, 1 never
        late = min(0.1 * i, 0.1)
        one.step([[late] * 3, [0.1 * i] * 3, [0.0] * 3, [late] * 3], module_budget=14)
    assert one.stages.tolist() == [4, 3, 4, 3]


def test_a_generation_worse_than_the_one_it_replaced_gives_way_to_it():
    one = community(2)
    before = strings(one.population)
    done = [one.step([[0.5, 1.0, 0.5]] * 2, rollback=0.2)]
    done.append(one.step([[0.2] * 3, [0.5] * 3], rollback=0.2))
    assert [r.restored for r in done] == [[], [0]]
    assert strings(one.of(0)) == [before[i] for i in (1, 0, 2)]  # its elite first
    assert not one.of(0).evaluated.any()
    assert strings(one.of(1)) != [before[i] for i in (4, 3, 5)]


def test_a_restored_generation_is_judged_by_itself():
    one = community()
    for performance in (0.9, 0.1, 0.1):
        done = one.step([[performance] * 3], rollback=0.5)
    assert done.restored == []


def test_a_growth_that_costs_success_is_taken_back():
    one = community(growth=Growth(patience=1, warmup_rounds=0))
    one.step([[0.6] * 3], rollback=0.3)
    assert one.step([[0.6] * 3], rollback=0.3).grown == [0]
    done = one.step([[0.1] * 3], rollback=0.3)
    assert (done.grown, done.restored, one.stages.tolist()) == ([], [0], [3])


def test_a_rollback_goes_on_bit_for_bit_after_a_save(tmp_path):
    one = community(2)
    one.step([[0.5, 1.0, 0.5]] * 2, rollback=0.2)
    save(tmp_path / "state.npz", one.state_dict())
    other = Community.from_state(load(tmp_path / "state.npz"))
    for each in (one, other):
        each.step(np.zeros((2, 3)), rollback=0.2)
    assert strings(one.population) == strings(other.population)


def test_by_default_no_generation_comes_back():
    one = community()
    assert [one.step([[p] * 3]).restored for p in (1.0, 0.0, 1.0)] == [[], [], []]


def test_no_task_grows_past_the_budget_of_modules():
    one = community(3, growth=IMPATIENT)
    for _ in range(20):
        one.step(np.zeros((3, 3)), module_budget=11)
    assert one.stages.sum() == 11


def test_a_grown_task_mastered_with_fewer_modules_gives_one_back():
    one = grown_once([MODULE_1_ALONE, BOTH_MODULES])
    assert one.step([[1.0, 1.0]]).shrunk == [0]
    assert one.stages.tolist() == [1]
    assert str(one.of(0)[0]) == MODULE_1_ALONE[:4]
    assert not one.population.evaluated.any()


@pytest.mark.parametrize(
    ("texts", "performance", "shrink"),
    [
        ([MODULE_1_ALONE] * 2, [[1.0, 1.0]], False),
        ([MODULE_1_ALONE] * 2, [[0.7, 0.7]], True),
        ([BOTH_MODULES] * 2, [[1.0, 1.0]], True),
        ([BOTH_MODULES, MODULE_1_ALONE], [[1.0, 0.9]], True),
    ],
    ids=["setting off", "not mastered", "all modules used", "elite uses all modules"],
)
def test_otherwise_it_keeps_its_modules(texts, performance, shrink):
    one = grown_once(texts, shrink)
    assert one.step(performance).shrunk == []
    assert one.stages.tolist() == [2]


def test_shrinking_is_off_by_default():
    assert not Growth().shrink


def test_no_task_shrinks_below_its_start_stage():
    one = community(stage=2, size=2, growth=Growth(shrink=True))
    with_population(one, [INPUT_ALONE] * 2)
    play(one, [1.0] * 5)
    assert one.stages.tolist() == [2]


# --- bad input and states


@pytest.mark.parametrize(
    ("performance", "mean_return", "message"),
    [
        (np.zeros(3), None, r"performance must have shape \(2, 3\), got \(3,\)"),
        (np.zeros((3, 2)), None, r"performance must have shape \(2, 3\), got \(3, 2\)"),
        (np.full((2, 3), 1.01), None, "performance must be between 0 and 1"),
        (np.full((2, 3), -0.01), None, "performance must be between 0 and 1"),
        ([[0, 0, 0], [0, np.nan, 0]], None, "performance of genotype 1 of task 1 is nan, must be finite"),
        (np.zeros((2, 3)), np.zeros((2, 2)), r"mean_return must have shape \(2, 3\), got \(2, 2\)"),
        (np.zeros((2, 3)), [[0, 0, np.inf], [0, 0, 0]], "mean_return of genotype 2 of task 0 is inf, must be finite"),
        (np.zeros((2, 3)), [[np.nan, 0, 0], [0, 0, 0]], "mean_return of genotype 0 of task 0 is nan, must be finite"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(frozen, performance, mean_return, message):
    one = community(2)
    play(one, [0.5] * 2)
    before = frozen(one.state_dict())
    with pytest.raises(ValueError, match=message):
        one.step(performance, mean_return)
    assert frozen(one.state_dict()) == before


def test_without_a_mean_return_it_is_zero(frozen):
    one, other = community(2), community(2)
    one.step(np.full((2, 3), 0.5))
    other.step(np.full((2, 3), 0.5), np.zeros((2, 3)))
    assert frozen(one.state_dict()) == frozen(other.state_dict())


SETTINGS = {
    "reproduction": Reproduction(crossover="segments", crossover_threshold=0.6, mutation_threshold=0.9),
    "mating": Mating(community_rate=0.5, usage_cost=0.03),
    "growth": Growth(patience=2, warmup_rounds=1, fill="random", shrink=True, mastery=0.6),
    "decoding": Decoding(offset=0.9),
}


def play_on(one, rounds):
    """Rounds whose input depends on the round's number alone."""
    for _ in range(rounds):
        rng = np.random.default_rng(one.rounds)
        level = [[0.0], [0.4], [1.0]]
        one.step(np.minimum(rng.random((3, 3)), level), rng.normal(size=(3, 3)))
    return one


@pytest.mark.parametrize("through_a_file", [False, True])
@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_a_resumed_community_goes_on_bit_for_bit(tmp_path, frozen, rounds, through_a_file):
    straight = play_on(community(3, **SETTINGS), rounds + 12)
    state = play_on(community(3, **SETTINGS), rounds).state_dict()
    if through_a_file:
        save(tmp_path / "state", state)
        state = load(tmp_path / "state")
    resumed = Community.from_state(state)
    assert frozen(resumed.state_dict()) == frozen(state)
    assert frozen(play_on(resumed, 12).state_dict()) == frozen(straight.state_dict())
    assert straight.stages.max() > 3


@pytest.mark.parametrize("settings", [{"crossover": "cut_and_splice"}, {"resize_rate": 0.1}])
def test_reproduction_that_changes_lengths_is_refused(settings):
    with pytest.raises(ValueError, match="reproduction must not change lengths"):
        community(2, reproduction=Reproduction(**settings))


def test_a_resumed_community_has_all_settings():
    resumed = Community.from_state(community(3, size=4, stage=2, **SETTINGS).state_dict())
    assert {name: getattr(resumed, name) for name in SETTINGS} == SETTINGS
    assert (resumed.layout, resumed.size, resumed.start_stage) == (LAYOUT, 4, 2)
    assert resumed.tasks == ["task 0", "task 1", "task 2"]


def test_a_state_is_a_snapshot_that_later_rounds_do_not_change(frozen):
    one = play_on(community(3, **SETTINGS), 2)
    state = one.state_dict()
    before = frozen(state)
    play_on(one, 6)
    play_on(Community.from_state(state), 6)
    assert frozen(state) == before


def test_the_state_of_something_else_is_refused(rng):
    state = Evolution(None, Population.random(4, 18, rng), seed=1).state_dict()
    with pytest.raises(ValueError, match="this is the state of 'evolution', not of 'community'"):
        Community.from_state(state)


@pytest.mark.parametrize("part", sorted(community().state_dict()))
def test_a_state_that_lacks_a_part_is_refused_by_name(part):
    state = community().state_dict()
    del state[part]
    with pytest.raises(ValueError, match="not of 'community'" if part == "kind" else f"has no '{part}'"):
        Community.from_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 10**9}, "tasks of 1000000000 genotypes .* cannot have Population"),
        ({"start_stage": 10**6}, "start_stage must be a whole number from 1 to 3, got 1000000"),
        ({"precision": "2"}, "precision must be a whole number from 1 to 16, got '2'"),
        ({"precision": 5}, "no stage has 18 bits at precision 5"),
        ({"tasks": "ab"}, "tasks must be a list of names, got 'ab'"),
        ({"tasks": ["a", "a"]}, "each once"),
        ({"rounds": -1}, "rounds must be a whole number of at least 0, got -1"),
        ({"memory": {}}, "a community's memory has no 'stagnant'"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Community.from_state({**community(2).state_dict(), **change})


@pytest.mark.parametrize("rule", ["reproduction", "mating", "growth", "decoding"])
def test_an_unknown_setting_in_a_state_is_refused(rule):
    state = community().state_dict()
    state[rule] = {**state[rule], "speed": 9}
    with pytest.raises(ValueError, match=f"{rule.capitalize()} has no setting 'speed'"):
        Community.from_state(state)


@pytest.mark.parametrize("rule", [Decoding, Mating, Growth])
def test_settings_cannot_be_changed(rule):
    settings = rule()
    name = dataclasses.fields(settings)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, 0)


def test_a_mastered_task_that_is_unlucky_now_and_then_stays_where_it_is():
    noisy, rng = community(tasks=8, growth=Growth(patience=5, warmup_rounds=0)), np.random.default_rng(3)
    for _ in range(200):
        noisy.step(rng.random((8, 3)) < 0.97)
    assert noisy.stages.tolist() == [3] * 8


def test_the_best_return_is_not_forgotten_when_a_success_comes_with_a_lower_one():
    rule = Growth(patience=4, warmup_rounds=0)
    successes, returns = [0, 0.5, 0, 0, 0, 0], [100, 20, 40, 40, 40, 40]
    assert growths(community(growth=rule), successes, returns) == [6]


def test_a_round_tells_what_every_new_genotype_was_made_from():
    layout = StagedLayout(2)
    copying = Reproduction(crossover_threshold=0.5, mutation_threshold=0.8, crossover="uniform", mutation_rate=0.0)
    community = Community(layout, ["a", "b", "c"], seed=5, size=30, reproduction=copying)
    before = [str(genotype) for genotype in community.population]
    done = community.step(np.random.default_rng(2).random((3, 30)))
    for task in range(3):
        after = [str(genotype) for genotype in community.of(task)]
        assert after[0] == before[task * 30 + done.elites[task]]
        for child, (first, second), origin in zip(after[1:], done.parents[task], done.origins[task], strict=True):
            if origin == Origin.FRESH:
                assert (first, second) == (-1, -1)
                continue
            assert task * 30 <= first < (task + 1) * 30
            if origin == Origin.MUTATION:
                assert second == -1
                assert child == before[first]
            else:
                assert all(bit in (a, b) for bit, a, b in zip(child, before[first], before[second], strict=True))
    assert set(done.origins.ravel()) == {0, 1, 2}


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
