"""Rounds of a community whose genotypes keep a record: who stays, who comes, where from."""

import numpy as np
import pytest

from genoevo.community import Candidates, Growth, RecordCommunity, Selection
from genoevo.operators import Reproduction
from genoevo.operators.reproduction import Origin
from tests.engine.communities import BOTH_MODULES, INPUT_ALONE, LAYOUT, MODULE_1_ALONE, with_population
from tests.engine.records import CHANGING, KEEPING, add, community, play
from tests.engine.texts import strings

COPYING = Reproduction(crossover_threshold=0.5, mutation_threshold=0.8, crossover="uniform", mutation_rate=0.0)


def by_number(population, tasks):
    return population.bits().sum(axis=1).astype(float)


# --- the start


@pytest.mark.parametrize("start", ["random", "sparse", "disjoint"])
def test_the_first_genotypes_are_of_the_start_stage_and_drawn_from_the_seed(start, check_well_formed):
    one, other = (community(4, start=start, seed=3) for _ in range(2))
    check_well_formed(one.population)
    assert strings(one.population) == strings(other.population)
    assert one.stages.tolist() == [3] * 4
    assert not one.population.evaluated.any()


def test_sparse_genotypes_begin_on_different_modules_from_task_to_task():
    one = community(4, start="sparse", stage=4)
    read_by_output = one.genes()[:, LAYOUT.segments(4)[-1].start // 2 :].argmax(axis=1)
    assert read_by_output.reshape(4, 3).tolist() == [[1] * 3, [2] * 3, [3] * 3, [4] * 3]


def test_disjoint_genotypes_are_alike_within_a_task_and_share_no_module_between_tasks():
    one = community(3, start="disjoint")
    assert one.usage().argmax(axis=2).tolist() == [[1] * 3, [2] * 3, [3] * 3]


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="start must be one of disjoint, random, sparse, got 'dense'"):
        community(start="dense")


def test_a_community_keeps_records_whatever_its_selection_is_called():
    assert RecordCommunity(LAYOUT, ["a"], seed=1).selection == Selection(rule="record")


# --- elites and rejected genotypes


def test_the_elite_comes_first_with_its_record_and_fitness():
    one = community(2, candidates=KEEPING)
    before = strings(one.population)
    add(one, [[0, 1, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 0]], times=5)
    done = one.step(breed=False)
    assert done.elites.tolist() == [2, 2]
    assert done.survived.tolist() == [False, False]
    assert strings(one.population) == [before[i] for i in (2, 0, 1, 5, 3, 4)]
    assert one.record.successes[:, 0].tolist() == pytest.approx([5 * 0.95] * 2)
    assert one.population.fitness[0].tolist() == [done.success.mean[0, 2], done.relative_return.mean[0, 2]]


def test_a_round_tells_the_record_as_it_was_when_it_judged():
    one = community(candidates=KEEPING)
    add(one, [[0, 1, 0.5]], times=4)
    done = one.step()
    np.testing.assert_allclose(done.success.mean, [[1 / 6, 5 / 6, 3 / 6]])
    np.testing.assert_array_equal(done.scores, done.success.mean)
    assert done.age.tolist() == [[1, 1, 1]]
    assert np.isnan(done.surrogate).all()


def test_rejected_genotypes_are_replaced_by_children_and_the_others_stay():
    one = community(2, candidates=KEEPING)
    before = strings(one.population)
    add(one, [[1, 0, 1], [1, 1, 0]], times=8)
    done = one.step()
    assert done.rejected.tolist() == [[False, True, False], [False, False, True]]
    assert done.kept.tolist() == [2, 2]
    after = strings(one.population)
    assert [text in before for text in after] == [True, False, True, True, True, False]
    assert one.record.age.tolist() == [[1, 0, 1], [1, 1, 0]]
    assert one.population.evaluated.tolist() == [True, False, True, True, True, False]


def test_rejected_genotypes_are_named_by_their_place_before_the_round():
    one = community(candidates=KEEPING)
    add(one, [[0, 0, 1]], times=8)
    done = one.step()
    assert done.elites.tolist() == [2]
    assert done.rejected.tolist() == [[True, True, False]]


def test_without_noise_enough_everybody_stays():
    one = community(2, candidates=KEEPING, selection=Selection(rule="record", confidence=10))
    before = strings(one.population)
    for _ in range(5):
        add(one, [[0, 1, 1], [1, 0, 0]])
        assert one.step().kept.tolist() == [3, 3]
    assert strings(one.population) == before


def test_a_candidate_without_inertia_to_beat_takes_the_place_of_a_worse_one():
    one = community(candidates=CHANGING)
    add(one, 1.0, times=8)
    before = strings(one.population)
    done = one.step(judge=by_number)
    assert done.kept.item() < 3
    assert strings(one.population)[0] == before[0]
    assert one.record.surrogate[0, 1] == by_number(one.population, None)[1]


def test_the_surrogate_scores_of_a_round_are_told_when_its_genotypes_have_been_judged():
    one = community(candidates=CHANGING)
    add(one, 1.0)
    for drift in (0.0, 100.0):
        one.step(judge=lambda population, tasks, drift=drift: drift + by_number(population, tasks))
        expected = drift + by_number(one.population, None)
        assert one.record.surrogate.tolist() == [expected.tolist()]
        add(one, 1.0)
    assert one.step(judge=by_number).surrogate.tolist() == [expected.tolist()]


def test_a_score_is_forgotten_when_there_is_no_judge_or_the_stage_changes():
    one = community(2, candidates=CHANGING, growth=Growth(patience=1, warmup_rounds=0))
    play(one, [0.0], judge=by_number, module_budget=7)
    assert not np.isnan(one.record.surrogate).any()
    play(one, [0.0], judge=by_number, module_budget=7)
    assert one.stages.tolist() == [4, 3]
    assert np.isnan(one.record.surrogate).tolist() == [[True] * 3, [False] * 3]
    play(one, [0.0])
    assert np.isnan(one.record.surrogate).all()


def test_without_children_only_the_order_changes():
    one = community(2, candidates=Candidates(children=0))
    before = strings(one.population)
    for success in ([[0, 1, 0]] * 2, [[0, 0, 1]] * 2):
        add(one, success, times=9)
        one.step()
    assert sorted(strings(one.population)) == sorted(before)


def test_without_breeding_nothing_is_drawn_and_the_genotypes_stay():
    one = community(2, candidates=CHANGING)
    before, drawn = sorted(strings(one.population)), one.rng.bit_generator.state
    play(one, [[[0, 1, 0], [0, 0, 1]]] * 5, breed=False)
    assert sorted(strings(one.population)) == before
    assert one.rng.bit_generator.state == drawn


def test_genotypes_without_an_episode_neither_lead_nor_are_rejected():
    one = community(candidates=KEEPING)
    for _ in range(9):
        one.record.add(np.array([0]), np.array([0]), np.array([0.0]), np.array([0.0]))
    done = one.step()
    assert (done.elites.tolist(), done.rejected.any(), done.kept.tolist()) == ([0], False, [3])
    assert done.age.tolist() == [[1, 0, 0]]


def test_a_round_without_any_episode_changes_nothing_but_its_number():
    one = community(2, candidates=KEEPING)
    before = strings(one.population)
    one.step()
    assert (one.rounds, strings(one.population)) == (1, before)


def test_older_episodes_count_less_after_each_round():
    one = community(candidates=Candidates(), selection=Selection(rule="record", memory=0.5))
    play(one, [1.0] * 3)
    assert one.record.episodes.tolist() == [[0.5 + 0.25 + 0.125] * 3]


def test_of_two_that_cannot_be_told_apart_the_thriftier_leads():
    rule = Selection(rule="record", memory=1.0)
    one = community(stage=2, size=2, selection=rule, candidates=Candidates())
    with_population(one, [BOTH_MODULES, MODULE_1_ALONE])
    add(one, 1.0, times=15)  # an error of 0.055
    assert one.step().elites.tolist() == [0]
    add(one, 1.0, times=15)
    assert one.step().elites.tolist() == [1]


def test_codes_from_outside_begin_a_record_of_their_own():
    one = community(stage=2, size=2)
    with_population(one, [BOTH_MODULES, MODULE_1_ALONE])
    add(one, 1.0, times=3)
    genes = one.genes()
    genes[1, 4] = 1
    assert one.rewrite(genes).tolist() == [False, True]
    assert one.record.episodes.tolist() == [[3, 0]]
    one.step(breed=False)
    assert one.record.age.tolist() == [[1, 0]]


# --- overlap


def test_the_overlap_is_that_of_the_elites():
    one = community(2, stage=2, size=2, candidates=KEEPING)
    with_population(one, [MODULE_1_ALONE, INPUT_ALONE, INPUT_ALONE, MODULE_1_ALONE])
    add(one, [[1, 1], [1, 1]])
    assert one.step(breed=False).overlap == pytest.approx(0, abs=0.01)
    add(one, [[1, 1], [0, 1]], times=9)
    assert one.step(breed=False).overlap == pytest.approx(1, abs=0.02)


# --- where genotypes come from


@pytest.mark.parametrize("generations", [1, 3])
def test_a_round_tells_what_every_genotype_was_made_from(generations):
    rules = Candidates(children=20, generations=generations, first_generations=0, inertia=0, surrogate=1.0, fresh=0.2)
    one = community(3, size=8, candidates=rules, reproduction=COPYING)
    rng, seen = np.random.default_rng(2), set()
    for _ in range(6):
        before = strings(one.population)
        add(one, rng.random((3, 8)) < 0.5, rng.normal(size=(3, 8)))
        done = one.step(judge=lambda p, t: rng.random(len(p)))
        for task in range(3):
            after = strings(one.of(task))
            assert after[0] == before[task * 8 + done.elites[task]]
            stays = 1
            for text, (first, second), origin in zip(after[1:], done.parents[task], done.origins[task], strict=True):
                seen.add(int(origin))
                if origin == Origin.FRESH:
                    assert (first, second) == (-1, -1)
                    continue
                assert task * 8 <= first < (task + 1) * 8
                if origin == -1:
                    assert (text, second) == (before[first], -1)
                    stays += 1
                elif generations == 1 and origin == Origin.MUTATION:
                    assert (text, second) == (before[first], -1)
                elif generations == 1:
                    assert all(bit in (a, b) for bit, a, b in zip(text, before[first], before[second], strict=True))
            assert done.kept[task] == stays
    assert seen == {-1, 0, 1, 2}


def test_a_child_may_have_a_parent_of_another_task():
    one = community(3, size=4, candidates=CHANGING, reproduction=Reproduction(crossover_threshold=1))
    abroad = []
    for _ in range(20):
        add(one, 1.0)
        done = one.step(judge=by_number)
        task, child = np.nonzero(done.origins == Origin.CROSSOVER)
        abroad += (done.parents[task, child, 1] // 4 != task).tolist()
    assert set(abroad) == {True, False}


# --- does selection by record prefer what is better?

TASKS = 120
QUALITIES = np.clip(np.random.default_rng(7).normal(0.5, 0.125, 2**18), 0, 1)  # of all genotypes of 18 bits


def gain(*, mixed=False):
    """By how much elites exceed the mean quality after 40 rounds of one episode each, in standard errors, too.

    *mixed*: an episode shows the quality of another genotype of the task each time.
    """
    rule = Selection(rule="record", confidence=1.0, memory=0.95)
    one = community(TASKS, selection=rule, candidates=KEEPING, growth=Growth(warmup_rounds=999))
    rng = np.random.default_rng(1)
    for _ in range(40):
        rates = QUALITIES[one.population.words[:, 0].astype(int)].reshape(TASKS, 3)
        shown = rng.permuted(rates, axis=1) if mixed else rates
        add(one, rng.random(rates.shape) < shown, rng.normal(size=rates.shape))
        one.step()
    gains = QUALITIES[one.population.words[::3, 0].astype(int)] - QUALITIES.mean()
    return gains.mean(), gains.mean() / (gains.std() / np.sqrt(TASKS))


def test_after_40_rounds_elites_are_better_than_genotypes_are_on_average():
    difference, errors = gain()
    assert difference > 0.07
    assert errors > 5


def test_if_episodes_tell_nothing_elites_are_as_good_as_any():
    _, errors = gain(mixed=True)
    assert abs(errors) < 3
