"""Episodes and goals of runs whose genotypes keep a record."""

import numpy as np
import pytest

from genoevo_mega.envs.episodes import Episodes, FinishedEpisodes
from genoevo_mega.evolution.evolver import Evolver
from tests.mega.records import TASKS, configured, train

pytestmark = pytest.mark.usefixtures("quick_runs")


def _evolver(**genotypes):
    return Evolver.fresh(configured({"genotypes": genotypes}).evolution, list(TASKS), seed=2)


def _end(evolver, success, tasks=(0, 1)):
    finished = FinishedEpisodes(
        np.isin(np.arange(2), tasks), np.array(tasks), np.arange(len(tasks), dtype=float), np.array(success)
    )
    evolver.record_episodes(finished)
    return evolver.start_episodes(np.array(tasks)).tolist()


def test_episodes_are_recorded_for_the_genotypes_that_acted_in_them():
    evolver = _evolver()
    for success in ([True, False], [False, False], [True, True]):
        _end(evolver, success)
    record = evolver.community.record
    assert record.successes.tolist() == [[1, 0, 1], [0, 0, 1]]
    evolver.end_round()
    assert evolver.community.record.age.max() == 1


def test_an_episode_that_a_round_cut_in_two_is_not_recorded():
    evolver = _evolver()
    for _ in range(3):
        _end(evolver, [True, True])
    evolver.end_round(np.array([False, True]))
    before = evolver.community.record.episodes.copy()
    _end(evolver, [True, True])
    assert (evolver.community.record.episodes - before).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_the_genotypes_of_a_task_meet_the_same_goal():
    evolver = _evolver()
    same = [_end(evolver, [True, True]) for _ in range(7)]
    assert same == [[True] * 2, [True] * 2, [False] * 2] * 2 + [[True] * 2]


def test_without_shared_goals_every_episode_draws_its_own():
    evolver = _evolver(shared_goals=False)
    assert [_end(evolver, [True, True]) for _ in range(4)] == [[False] * 2] * 4


def test_after_a_round_a_new_goal_is_drawn_also_by_a_task_whose_episode_it_cut():
    evolver = _evolver()
    for tasks in ((0, 1), (0, 1), (0, 1), (0,)):
        _end(evolver, [True] * len(tasks), tasks)
    evolver.end_round(np.array([True, True]))
    assert _end(evolver, [True, True]) == [False, False]
    assert _end(evolver, [True, True]) == [True, True]


@pytest.mark.parametrize("shared", [True, False])
def test_goals_change_once_for_every_genotype_of_the_population(tmp_path, monkeypatch, shared):
    goals, start = [], Episodes.start

    def watched(self, tasks, *given):
        start(self, tasks, *given)
        goals.append(self.goals.tolist())

    monkeypatch.setattr(Episodes, "start", watched)
    train(tmp_path / "run", {"genotypes": {"shared_goals": shared}}, until=620)
    # Both tasks end their episodes together, of 10 steps; genotypes act from the second episode on.
    first = [one[0] for one in goals]
    in_threes = [len(set(first[at : at + 3])) == 1 for at in range(0, 27, 3)]
    assert all(in_threes) == shared
    assert len(set(first)) > 4
