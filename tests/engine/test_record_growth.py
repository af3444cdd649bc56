"""Growth by record: when a task gains a module, tries it, and gives it back."""

import numpy as np
import pytest

from genoevo.community import Candidates, Decoding, Growth
from genoevo.decode import output_shares, stages_of
from tests.engine.communities import BOTH_MODULES, LAYOUT, MODULE_1_ALONE, MODULE_2_ALONE, with_population
from tests.engine.records import KEEPING, add, community, growths, play
from tests.engine.texts import strings


def impatient(**settings):
    return Growth(**{"patience": 3, "warmup_rounds": 0, **settings})


def newest_shares(one):
    """The share of the output that the newest module of each genotype's task carries, (tasks, size)."""
    stages = stages_of(one.population, LAYOUT)
    shares = output_shares(one.weights(), stages)
    return shares[np.arange(len(stages)), stages].reshape(-1, one.size)


# --- when


def test_a_task_without_success_or_a_better_return_grows_after_its_patience():
    assert growths(community(growth=impatient()), [0.0] * 5, [7.0]) == [4]


def test_rounds_without_an_episode_are_no_stagnation():
    one = community(growth=impatient(patience=2))
    play(one, [0.0] * 2)
    assert [done.grown for done in (one.step() for _ in range(5))] == [[]] * 5
    assert growths(one, [0.0] * 2)[:1] == [1]


def test_a_task_whose_success_rises_does_not_grow():
    rising = np.arange(0.05, 0.8, 0.02)
    assert growths(community(growth=impatient()), rising) == []


def test_a_task_whose_success_rises_again_below_its_best_does_not_grow_until_it_stays():
    success = [0.9] * 6 + [0.0] * 5 + [0.5] * 20
    falls_and_stays = [0.9] * 6 + [0.0] * 25
    assert growths(community(growth=impatient(patience=10)), falls_and_stays)[0] == 16
    assert 19 < growths(community(growth=impatient(patience=10)), success)[0] < 25


def test_what_rose_is_judged_by_episodes_and_not_by_rounds_without_any():
    one = community(growth=impatient(patience=4))
    play(one, [0.0, 0.0, 0.9])
    for _ in range(6):
        one.step()
    assert growths(one, [0.9] * 8) == []


def test_a_task_whose_success_stays_where_it_is_grows():
    assert growths(community(growth=impatient(patience=8)), [1 / 3] * 60) != []


def test_while_nothing_succeeds_a_rising_return_is_an_improvement():
    assert growths(community(growth=impatient()), [0.0], np.arange(40.0)) == []
    assert growths(community(growth=impatient()), [0.0], -np.arange(40.0))[:1] == [4]


def test_once_a_task_succeeds_a_rising_return_is_no_improvement():
    success = [0.4] * 60
    assert growths(community(growth=impatient(patience=8)), success, np.arange(60.0)) != []


def test_one_lucky_round_does_not_hide_what_a_task_learns_later():
    success = [1.0, 0, 0, 0, *np.linspace(0.1, 0.7, 36)]  # what it shows after the first round, it shows again later
    assert growths(community(growth=impatient(patience=35)), success) == []


def test_tasks_whose_noisy_success_rises_grow_much_less_than_others():
    one = community(60, growth=impatient(patience=20, warmup_rounds=10), candidates=Candidates())
    rng, grown = np.random.default_rng(3), np.zeros(60)
    for rate in np.linspace(0.2, 0.8, 80):
        rates = np.where(np.arange(60) < 30, rate, 0.4)[:, None]
        add(one, rng.random((60, 3)) < rates)
        grown[one.step(breed=False).grown] += 1
    rising, flat = grown[:30].mean(), grown[30:].mean()
    assert flat > 2
    assert rising < flat / 3


def test_a_mastered_task_does_not_grow_however_unlucky_now_and_then():
    one = community(8, growth=impatient(patience=5, mastery=0.8), candidates=Candidates())
    rng = np.random.default_rng(3)
    for _ in range(60):
        add(one, rng.random((8, 3)) < 0.97)
        one.step(breed=False)
    assert one.stages.tolist() == [3] * 8


def test_no_task_grows_before_warmup_past_max_modules_or_over_the_budget():
    rules = impatient(patience=1, warmup_rounds=7, max_modules=5)
    one = community(3, growth=rules, candidates=Candidates())
    done = play(one, [0.0] * 20, breed=False, module_budget=13)
    assert min(number for number, each in enumerate(done, 1) if each.grown) == 7
    assert one.stages.sum() == 13
    assert one.stages.max() <= 5


# --- the new module is tried


def test_the_elite_of_a_task_that_explores_keeps_its_output_and_the_others_use_the_module():
    one = community(3, size=4, growth=impatient(patience=1, fill="explore"), candidates=KEEPING)
    play(one, [0.0])
    add(one, 0.0)
    before, weights = strings(one.population), one.weights()
    assert one.step().grown == [0, 1, 2]
    segments = LAYOUT.segments(4)
    for task in range(3):
        texts = strings(one.of(task))
        assert texts[0] == before[4 * task] + before[4 * task][segments[2]] + "00"
        assert all(text.endswith("11") for text in texts[1:])
    # A code of 0 beside others takes a hundredth of what they have, so the elite's output stays nearly the same.
    output = one.weights()[::4, 9:13]
    np.testing.assert_allclose(output, weights[::4, 5:9], atol=0.005)
    shares = newest_shares(one)
    assert (shares[:, 0] < 0.005).all()
    assert (shares[:, 1:] > 0.2).all()


def test_with_sparse_decoding_the_output_of_an_elite_that_explores_is_unchanged():
    one = community(
        2, growth=impatient(patience=1, fill="explore"), candidates=KEEPING, decoding=Decoding(kind="sparse")
    )
    play(one, [0.0])
    add(one, 0.0)
    before = one.weights()
    assert one.step().grown == [0, 1]
    after = one.weights()
    assert (after[::3, :5] == before[::3, :5]).all()
    assert (after[::3, 9:13] == before[::3, 5:9]).all()
    assert not after[::3, 13].any()


def test_after_growth_the_elite_keeps_its_record_and_the_others_start_anew():
    one = community(2, growth=impatient(patience=2, fill="explore"), candidates=KEEPING)
    done = play(one, [0.0] * 3)
    assert done[-1].grown == [0, 1]
    assert one.record.age.tolist() == [[3, 0, 0]] * 2


def test_an_elite_whose_output_a_random_segment_changes_starts_anew():
    one = community(2, growth=impatient(patience=2, fill="random"), candidates=KEEPING)
    play(one, [0.0] * 3)
    assert one.stages.tolist() == [4, 4]
    assert one.record.age.tolist() == [[0, 0, 0]] * 2


def test_patience_counts_from_the_first_judged_use_of_the_new_module():
    # Nobody is bred, so nobody uses it, until codes from outside do.
    one = community(growth=impatient(), candidates=Candidates())
    assert growths(one, [0.0] * 4, [7.0]) == [4]
    assert growths(one, [0.0] * 10, [7.0]) == []
    genes = one.genes()
    genes[1, 13] = 3
    one.rewrite(genes)
    # In the first round it is judged; then come the rounds of patience.
    assert growths(one, [0.0] * 4, [7.0]) == [3]


def test_with_explore_the_new_module_is_judged_in_the_next_round():
    one = community(growth=impatient(fill="explore"), candidates=KEEPING)
    assert growths(one, [0.0] * 12, [7.0]) == [4, 7, 10]


def test_without_breeding_a_task_grows_again_although_nobody_tries_the_module():
    assert growths(community(growth=impatient()), [0.0] * 11, [7.0], breed=False) == [4, 7, 10]


# --- and given back


def grown_once(texts, **settings):
    """A community of one task that started at stage 1 and has these genotypes of stage 2."""
    rules = impatient(patience=50, **{"unused_patience": 4, **settings})
    one = community(stage=1, size=len(texts), growth=rules, candidates=Candidates())
    return with_population(one, texts)


def shrinks(one, success, rounds=12):
    done = play(one, [success] * rounds)
    return [number for number, each in enumerate(done, 1) if each.shrunk]


def test_a_module_that_the_elite_does_not_use_is_given_back_after_its_patience():
    assert shrinks(grown_once([MODULE_1_ALONE] * 2), 0.5) == [4]


def test_a_module_that_the_elite_uses_stays():
    assert shrinks(grown_once([MODULE_2_ALONE] * 2), 0.5) == []
    assert shrinks(grown_once([BOTH_MODULES, MODULE_1_ALONE]), 0.5) == []


def test_a_module_that_only_others_use_is_given_back():
    assert shrinks(grown_once([MODULE_1_ALONE, MODULE_2_ALONE]), 0.5) == [4]


def test_without_an_unused_patience_an_unused_module_stays():
    assert shrinks(grown_once([MODULE_1_ALONE] * 2, unused_patience=None), 0.5, 40) == []


def test_no_module_of_the_start_stage_is_given_back():
    one = community(stage=2, size=2, growth=impatient(patience=99, unused_patience=1), candidates=Candidates())
    with_population(one, [MODULE_1_ALONE] * 2)
    assert shrinks(one, 0.5) == []


def test_rounds_without_use_count_in_a_row():
    one = grown_once([MODULE_1_ALONE] * 2)
    assert shrinks(one, 0.5, 3) == []
    text = strings(one.population)
    with_population(one, [MODULE_2_ALONE] * 2)
    assert shrinks(one, 0.5, 1) == []
    with_population(one, text)
    assert shrinks(one, 0.5, 6) == [4]


def test_a_new_module_that_nobody_tries_is_given_back():
    one = community(growth=impatient(unused_patience=5, max_modules=4), candidates=Candidates())
    done = play(one, [0.0] * 12, [7.0])
    assert [number for number, each in enumerate(done, 1) if each.grown] == [4, 12]
    assert [number for number, each in enumerate(done, 1) if each.shrunk] == [9]


def test_giving_a_module_back_leaves_the_elites_output_and_record_as_they_are():
    # Module 1 is the output; the inputs of module 2 say something else.
    one = grown_once(["1100" + "001101"[:4] + "00", MODULE_2_ALONE])
    before = one.weights()[0]
    done = play(one, [0.5] * 4)
    assert done[-1].shrunk == [0]
    np.testing.assert_allclose(one.weights()[0, :2], before[2:4], atol=0.002)
    assert one.record.age.tolist() == [[4, 0]]


@pytest.mark.parametrize(
    ("text", "shrunk"), [(MODULE_1_ALONE, [0]), (MODULE_2_ALONE, []), (BOTH_MODULES, [])], ids=["1", "2", "both"]
)
def test_a_mastered_task_gives_its_newest_module_back_only_if_the_elite_does_not_use_it(text, shrunk):
    one = grown_once([text] * 2, unused_patience=None, shrink=True, mastery=0.7)
    add(one, 1.0, times=9)
    assert one.step().shrunk == shrunk
    assert one.record.age[:, 0].tolist() == [1]


@pytest.mark.parametrize(
    ("first_succeeds", "budget", "changes"),
    [(1.0, 4, ([1], [0])), (0.0, 4, ([1], [0])), (0.0, 5, ([0], [])), (0.0, None, ([0, 1], []))],
    ids=["mastered", "no room for either", "room for one", "no budget"],
)
def test_a_module_given_back_makes_room_in_the_same_round(first_succeeds, budget, changes):
    rules = impatient(patience=2, unused_patience=3, mastery=0.5)
    one = community(2, stage=1, size=2, growth=rules, candidates=Candidates())
    with_population(one, [MODULE_1_ALONE] * 2 + [MODULE_2_ALONE] * 2)
    done = play(one, [[[first_succeeds], [0.0]]] * 3, [7.0], module_budget=budget)
    assert [(each.grown, each.shrunk) for each in done] == [([], []), ([], []), changes]


def test_after_giving_back_a_task_has_its_patience_to_grow_anew():
    one = community(growth=impatient(unused_patience=2, patience=4), candidates=Candidates())
    done = play(one, [0.0] * 14, [7.0])
    assert [number for number, each in enumerate(done, 1) if each.grown] == [5, 11]
    assert [number for number, each in enumerate(done, 1) if each.shrunk] == [7, 13]


def test_an_unused_patience_below_1_is_refused():
    with pytest.raises(ValueError, match="unused_patience must be at least 1, got 0"):
        Growth(unused_patience=0)
