"""Stages without breeding, within a budget of modules, and taken or given back."""

import numpy as np
import pytest

from genoevo import Community
from genoevo.community import Growth
from genoevo.state import load, save
from tests.engine.communities import (
    BOTH_MODULES,
    CLONING,
    IMPATIENT,
    INPUT_ALONE,
    MODULE_1_ALONE,
    community,
    play,
    with_population,
)
from tests.engine.texts import strings


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


@pytest.mark.parametrize(("budget", "restored", "stages"), [(3, [], [1, 2]), (4, [0], [2, 2])])
def test_a_stage_comes_back_only_where_the_budget_has_room_for_it(budget, restored, stages):
    one = community(2, stage=1, size=2, growth=Growth(patience=1, warmup_rounds=0, shrink=True))
    with_population(one, [MODULE_1_ALONE] * 2 + ["0000"] * 2)
    rule = {"breed": False, "module_budget": budget, "rollback": 0.2}
    one.step([[0.5] * 2, [0.0] * 2], **rule)
    done = one.step([[1.0] * 2, [0.0] * 2], **rule)
    assert (done.shrunk, done.grown) == ([0], [1])
    done = one.step([[0.1] * 2, [0.0] * 2], **rule)
    assert (done.restored, one.stages.tolist()) == (restored, stages)


def test_of_two_generations_to_come_back_the_budget_takes_that_which_lost_most():
    one = community(3, stage=1, size=2, growth=Growth(patience=1, warmup_rounds=0, shrink=True))
    with_population(one, [MODULE_1_ALONE] * 4 + ["0000"] * 2)
    rule = {"breed": False, "module_budget": 5, "rollback": 0.2}
    one.step([[0.5] * 2, [0.5] * 2, [0.0] * 2], **rule)
    one.step([[1.0] * 2, [1.0] * 2, [0.0] * 2], **rule)
    assert one.stages.tolist() == [1, 1, 2]
    done = one.step([[0.3] * 2, [0.1] * 2, [0.0] * 2], **rule)
    assert (done.restored, one.stages.tolist()) == ([1], [1, 2, 2])


def test_a_generation_that_gives_way_gives_no_module_back():
    one = community(stage=1, size=2, growth=Growth(patience=9, shrink=True))
    with_population(one, [BOTH_MODULES] * 2)
    one.step([[1.0] * 2], breed=False, rollback=0.1)
    with_population(one, [MODULE_1_ALONE] * 2)
    done = one.step([[0.85] * 2], breed=False, rollback=0.1)
    assert (done.shrunk, done.restored, one.stages.tolist()) == ([], [0], [2])


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
