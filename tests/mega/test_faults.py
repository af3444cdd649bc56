"""Training through faults of workers and simulators."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.experiments import runs
from genoevo_mega.training import trainer as training
from genoevo_runs.settings import nested
from tests.mega.suites import FaultySuite

NAMES = ("reach-v3", "drawer-close-v3")  # the preset's


def _config(**settings):
    return build_config(preset("smoke"), {"steps": 160, "evaluation": {"at_end": False}}, nested(settings))


def _faults(directory):
    records = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "fault"]


def _parameters(trainer):
    agent = trainer.state.agent
    return [value for network in (agent.actor, agent.critics, agent.target_critics) for value in network.parameters()]


@pytest.mark.parametrize(
    ("sent", "settings", "reason"),
    [
        (signal.SIGKILL, {"compute.workers": 2}, "died (exit code -9)"),
        (signal.SIGSTOP, {"faults.worker_timeout": 6}, "did not answer"),
    ],
)
def test_a_run_goes_on_when_a_worker_is_killed_or_stopped(tmp_path, sent, settings, reason):
    signalled = []

    def observe(status):
        if status.steps == 100:
            signalled.append(trainer.pool._workers[0].process.pid)
            os.kill(signalled[0], sent)

    trainer = runs.create(tmp_path / "run", _config(**settings), ["test"], observe)
    assert trainer.run(160)
    assert len(signalled) == 1
    (fault,) = _faults(tmp_path / "run")
    assert (fault["step"], fault["worker"]) == (102, 0)
    assert fault["reason"].startswith(reason)
    assert set(fault["tasks"]) <= set(NAMES)
    assert all(torch.isfinite(value).all() for value in _parameters(trainer))
    assert len(trainer.state.replay) == 160 - len(fault["tasks"])
    assert runs.info(tmp_path / "run")["steps"] == 160


@pytest.mark.parametrize("fault", ["exception", pytest.param("observation", marks=pytest.mark.slow)])
def test_a_simulator_that_fails_at_a_known_step_gives_the_same_run_twice(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(training, "make_suite", lambda config: FaultySuite(fault, step=4, names=NAMES))
    digests, faults = [], []
    for name in ("first", "second"):
        trainer = runs.create(tmp_path / name, _config(**{"faults.limit": 1000}), ["test"], lambda status: None)
        trainer.run(160)
        digests.append(runs.info(tmp_path / name)["digest"])
        faults.append(_faults(tmp_path / name))
        assert all(torch.isfinite(value).all() for value in _parameters(trainer))
        assert len(trainer.state.replay) == 160 - len(faults[-1])
        rows = trainer.state.replay
        assert torch.isfinite(rows.observations).all()
        assert np.isfinite(rows.rewards).all()
    assert digests[0] == digests[1]
    assert faults[0] == faults[1]
    assert len(faults[0]) > 2
    assert {tuple(record["tasks"]) for record in faults[0]} == {(NAMES[1],)}


def test_transitions_of_a_run_with_lost_episodes_are_all_true_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "make_suite", lambda config: FaultySuite("exception", step=4, names=NAMES))
    trainer = runs.create(tmp_path / "run", _config(**{"faults.limit": 1000}), ["test"], lambda status: None)
    trainer.run(160)
    batch = trainer.state.replay.sample(3000, np.random.default_rng(0), gamma=0.99)
    before, after = batch.observations, batch.next_observations
    assert torch.equal(after[..., 3], before[..., 3] + 1)  # the steps of an episode
    assert torch.equal(after[..., :3], before[..., :3])  # its task and goal
    assert (before[1][before[1][:, 1] == 0][:, 3] < 3).all()  # nothing of the step that failed


def test_a_task_that_fails_again_and_again_ends_the_run_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "make_suite", lambda config: FaultySuite("exception", step=4, names=NAMES))
    trainer = runs.create(
        tmp_path / "run", _config(**{"faults.limit": 3, "checkpoints.every": 20}), ["test"], lambda status: None
    )
    with pytest.raises(RolloutError) as failure:
        trainer.run(160)
    message = str(failure.value)
    assert message.startswith(
        "drawer-close-v3 has had 3 faults, which is the limit; the last one: rollout worker 0: Arith"
    )
    assert message.endswith(f"genoevo mega resume {tmp_path / 'run'} continues from the last checkpoint")
    assert "\n" not in message
    resumed = runs.resume(tmp_path / "run")
    assert resumed.state.steps > 0
