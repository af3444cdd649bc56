"""The choice of policies within a budget of compute."""

import pytest

from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.experiments.costs import Costed
from genoevo_mega.policies.choice import Limit, choose, listed
from genoevo_runs.errors import ConfigError, UserError

FULL = 1000


def _costed(multiply_adds, modules, success, *, elite=False):
    return Costed(Member(f"{multiply_adds}", elite, not elite, success=success), modules, multiply_adds)


CHEAP, MIDDLE, ELITE = _costed(200, 0, 0.1), _costed(400, 2, 0.6), _costed(800, 4, 0.5, elite=True)
FRONTIER = [CHEAP, _costed(300, 1, 0.3), MIDDLE, ELITE]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (Limit(), ELITE),
        (Limit(budget=0.8), ELITE),
        (Limit(budget=0.79), MIDDLE),
        (Limit(max_modules=4), ELITE),
        (Limit(max_modules=3), MIDDLE),
        (Limit(budget=0.2), CHEAP),
        (Limit(budget=0.9, max_modules=0), CHEAP),
    ],
    ids=str,
)
def test_a_task_gets_its_elite_or_else_the_best_settled_genotype_within_the_limit(limit, expected):
    assert choose({"reach": FRONTIER}, limit, FULL) == {"reach": expected}


def test_of_equal_estimates_the_cheaper_is_taken():
    frontier = [_costed(200, 1, 0.3), _costed(300, 1, 0.3), ELITE]
    assert choose({"reach": frontier}, Limit(budget=0.5), FULL)["reach"].multiply_adds == 200


def test_an_elite_without_a_record_is_a_policy_like_any_other():
    alone = [_costed(700, 3, None, elite=True)]
    assert choose({"reach": alone}, Limit(max_modules=3), FULL)["reach"] is alone[0]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["reach"], "budget = 0.1: no policy of reach is within it; the cheapest of reach takes 200 multiply-adds, "),
        (["reach", "push"], "no policy of reach is within it, nor any of 1 other task; the cheapest of reach takes"),
    ],
)
def test_a_task_without_a_policy_within_the_limit_is_named_with_its_cheapest(tasks, message):
    with pytest.raises(UserError) as refused:
        choose(dict.fromkeys(tasks, FRONTIER), Limit(budget=0.1), FULL)
    assert message in str(refused.value)
    assert "0.20 of the whole pool's, and 0 modules; every task has one within budget = 0.2" in str(refused.value)


@pytest.mark.parametrize(
    ("limit", "least"),
    [
        (Limit(budget=0.1), "budget = 0.58"),
        (Limit(max_modules=0), "max_modules = 1"),
        (Limit(budget=0.1, max_modules=0), "budget = 0.58, max_modules = 2"),
    ],
    ids=str,
)
def test_the_smallest_limit_that_all_tasks_meet_is_named(limit, least):
    tasks = {"reach": FRONTIER, "push": [_costed(571, 2, 0.1), _costed(600, 1, 0.3), ELITE]}
    with pytest.raises(UserError, match=f"; every task has one within {least}$"):
        choose(tasks, limit, FULL)


def test_every_task_has_a_policy_within_the_budget_that_is_named():
    for cost in range(1, 1001):
        task = {"reach": [_costed(cost, 1, 0.1)]}
        with pytest.raises(UserError) as refused:
            choose(task, Limit(budget=1e-6), FULL)
        named = float(str(refused.value).rpartition("budget = ")[2])
        assert choose(task, Limit(budget=named), FULL)
        assert named <= cost / FULL + 0.02


def test_a_run_without_frontiers_is_advised_to_have_them():
    with pytest.raises(UserError, match=r"frontier\.size = 0, so elites are all there is: train with frontier\.size"):
        choose({"reach": [ELITE]}, Limit(budget=0.1), FULL, frontiers=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 0.0}, r"budget = 0\.0: must be above 0 and at most 1"),
        ({"budget": 30}, "budget = 30: must be above 0"),
        ({"budget": float("nan")}, "budget = nan"),
        ({"max_modules": -1}, "max_modules = -1: must be at least 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Limit(**given)


def test_a_list_marks_the_exported_policy():
    assert [one["exported"] for one in listed(FRONTIER, MIDDLE)] == [False, False, True, False]
