"""Training with several vector steps under way."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training import trainer as training
from genoevo_runs.errors import ConfigError
from tests.mega.suites import FaultySuite, StrictSuite

pytestmark = pytest.mark.usefixtures("quick_runs")

NAMES = ("reach-v3", "drawer-close-v3")  # the preset's
LAG = 2
SETTINGS = {
    "steps": 160,
    "environment": {"episode_length": 10, "goals": 2},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 10, "updates_per_step": 0.5},
    "evaluation": {"at_end": False, "episodes": 1},
    "checkpoints": {"every": 0},
    "schedule": {"action_lag": LAG},
    "loggers": [],
}


@pytest.fixture
def strict(monkeypatch):
    """Train on tasks that terminate and must not be stepped afterwards."""
    monkeypatch.setattr(training, "make_suite", lambda config: StrictSuite(NAMES))


def _begun(directory, observe=lambda status: None, **settings):
    return runs.create(directory, build_config(preset("smoke"), SETTINGS, settings), ["test"], observe)


def _train(directory, until=None, **settings):
    trainer = _begun(directory, **settings)
    trainer.run(until or trainer.config.steps)
    return trainer


def _faults(directory):
    records = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "fault"]


def _episodes(replay, task):
    """Return the whole and unfinished episodes of a task as (observations and the last one's next, actions)."""
    rows, found, begun = int(replay.filled[task]), [], 0
    for row in range(rows):
        if not replay.valid[task, row]:
            found.append((replay.observations[task, begun : row + 1], replay.actions[task, begun:row]))
            begun = row + 1
    return [episode for episode in found if len(episode[1])]


def test_the_number_of_workers_does_not_change_a_run(tmp_path, strict):
    digests = set()
    for workers in (1, 2):
        _train(tmp_path / str(workers), compute={"workers": workers}, genotypes={"update_with": "stored"})
        digests.add(runs.info(tmp_path / str(workers))["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize("update_lag", [0, 1])
def test_a_run_in_two_parts_equals_the_run_in_one(tmp_path, strict, update_lag):
    settings = {"schedule": {"update_lag": update_lag}, "evaluation": {"every": 60}}
    _train(tmp_path / "whole", **settings)
    trainer = _train(tmp_path / "parts", until=100, **settings)
    assert trainer.state.episodes.taken[0] == 2
    assert len(trainer.state.episodes.under_way) == LAG
    runs.resume(tmp_path / "parts").run(160)
    assert runs.info(tmp_path / "parts")["digest"] == runs.info(tmp_path / "whole")["digest"]
    assert (tmp_path / "parts/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


def test_evaluation_leaves_training_as_it_was(tmp_path, strict):
    digests = set()
    for every in (0, 50):
        _train(tmp_path / str(every), evaluation={"every": every})
        digests.add(runs.info(tmp_path / str(every))["digest"])
    assert len(digests) == 1


def test_the_digest_tells_steps_under_way_apart(tmp_path, strict):
    trainer = _train(tmp_path / "run", until=40)
    before = runs.info(tmp_path / "run")["digest"]
    (_, newest) = trainer.state.episodes.under_way
    newest.actions[0, 0] += 0.5
    trainer.run(40)
    assert runs.info(tmp_path / "run")["digest"] != before


def test_stored_transitions_are_those_of_an_episode_without_a_lag(tmp_path, strict):
    trainer = _train(tmp_path / "run")
    assert _faults(tmp_path / "run") == []
    for task in range(2):
        episodes = _episodes(trainer.state.replay, task)
        assert len(episodes) > 5
        for observations, actions in episodes:
            fresh = StrictSuite().make(task)
            seen = [fresh.reset(int(observations[0, 1]), evaluation=False)]
            seen += [fresh.step(action)[0] for action in actions.numpy()]
            assert torch.equal(observations, torch.tensor(np.array(seen), dtype=torch.float32))


def test_an_action_is_chosen_by_the_observation_of_so_many_steps_before(tmp_path, strict, monkeypatch):
    def choose(state, sac):
        return np.repeat(state.episodes.observations[:, 2:3] / 16, 4, axis=1)

    monkeypatch.setattr(training, "choose_actions", choose)
    replay = _train(tmp_path / "run", until=80).state.replay
    observations, actions = _episodes(replay, 0)[0]
    assert observations[:, 2].tolist() == [*range(11)]
    assert (16 * actions[:, 0]).tolist() == [0, 0, *range(8)]


def test_after_an_episode_a_task_misses_the_steps_that_were_under_way(tmp_path, strict):
    trainer = _train(tmp_path / "run", until=2 * 60)
    # Episodes of ten steps and two steps without one: five in sixty.
    assert trainer.state.vector_steps == 60
    assert int(trainer.state.replay.valid[0].sum()) == 50


def test_random_actions_are_held_as_they_are_sent(tmp_path):
    sac = {"random_steps": 20, "random_action_repeat": 5}
    trainer = _train(tmp_path / "run", until=40, suite="point,car", environment={"episode_length": 50}, sac=sac)
    blocks = trainer.state.replay.actions[0, :20].reshape(4, 5, -1)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(blocks[:, 0], axis=0)) == 4


@pytest.mark.parametrize("lag", [0, 1, 4])
def test_a_run_may_be_resumed_with_another_lag(tmp_path, strict, lag):
    _train(tmp_path / "run", until=94)
    trainer = runs.resume(tmp_path / "run", settings={"schedule": {"action_lag": lag}})
    trainer.run(140)
    assert len(trainer.state.episodes.under_way) == lag
    assert trainer.state.vector_steps == 70
    assert _faults(tmp_path / "run") == []


def test_a_lag_in_halves_is_refused():
    with pytest.raises(
        ConfigError, match=r"^schedule.action_lag = 2: must be 0 with schedule.double_buffering = true$"
    ):
        build_config(SETTINGS, {"schedule": {"double_buffering": True}})


# ------------------------------------------------------------------------------------------------------ faults


def test_a_run_survives_a_worker_that_is_killed_with_steps_under_way(tmp_path, strict):
    killed = []

    def observe(status):
        if status.steps == 60:
            killed.append(trainer.pool._workers[0].process.pid)
            os.kill(killed[0], signal.SIGKILL)

    trainer = _begun(tmp_path / "run", observe, compute={"workers": 2})
    assert trainer.run(160)
    assert len(killed) == 1
    (fault,) = _faults(tmp_path / "run")
    assert fault["reason"] == "died (exit code -9)"
    assert fault["tasks"] == [NAMES[trainer.pool._workers[0].tasks[0]]]
    assert 62 <= fault["step"] <= 62 + 2 * LAG
    _check_steps(trainer)


def test_a_simulator_that_fails_gives_the_same_run_with_any_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "make_suite", lambda config: FaultySuite("exception", step=4, names=NAMES))
    digests, faults = set(), []
    for workers in (1, 2):
        directory = tmp_path / str(workers)
        trainer = _train(directory, compute={"workers": workers}, faults={"limit": 1000})
        digests.add(runs.info(directory)["digest"])
        faults.append([(record["step"], record["tasks"]) for record in _faults(directory)])
        batch = trainer.state.replay.sample(1000, np.random.default_rng(0), gamma=0.99)
        before, after = batch.observations, batch.next_observations
        assert torch.equal(after[..., 3], before[..., 3] + 1)  # the steps of an episode
        assert torch.equal(after[..., :3], before[..., :3])  # its task and goal
    assert len(digests) == 1
    assert faults[0] == faults[1]
    assert len(faults[0]) > 2


def _check_steps(trainer):
    """Every stored transition is a true one."""
    batch = trainer.state.replay.sample(1000, np.random.default_rng(0), gamma=0.99)
    before, after = batch.observations, batch.next_observations
    assert torch.equal(after[..., 2], before[..., 2] + 1)
    assert torch.equal(after[..., :2], before[..., :2])
    assert torch.allclose(after[..., 3], before[..., 3] + batch.actions.sum(-1), atol=1e-5)
