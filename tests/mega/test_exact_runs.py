"""Runs that give the same bits: in parts, with other workers, threads, lags and halves."""

import numpy as np
import pytest
import torch

from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from tests.mega.eager import configured, records_of, train

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.mark.parametrize(("update_with", "lag"), [("elite", 1), ("stored", 0)])
def test_a_run_in_two_parts_equals_the_run_in_one(tmp_path, update_with, lag):
    config = configured(
        steps=200,
        genotypes={"update_with": update_with},
        growth={"warmup_rounds": 1},
        evaluation={"every": 80},
        schedule={"update_lag": lag},
    )
    whole = tmp_path / "whole"
    train(whole, config)
    for stop in (120, 126):  # at the beginning and in the middle of an episode
        parts = tmp_path / str(stop)
        train(parts, config, steps=stop)
        runs.resume(parts).run(config.steps)
        assert runs.info(parts)["digest"] == runs.info(whole)["digest"]
        assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
        for name in ("rngs", "losses", "steps", "updates"):
            states = [checkpoint.read_state(checkpoint.find(directory))[name] for directory in (whole, parts)]
            assert states[0] == states[1]


@pytest.mark.parametrize("stop", [250, 266])
def test_a_run_with_gradient_steps_on_codes_and_masked_losses_is_resumed_exactly(tmp_path, stop):
    # The limit is in the midst of the losses, so that it masks in both parts of the run.
    config = configured(suite="point,car", steps=340, genotypes={"hybrid_rate": 0.05}, sac={"mask_loss_above": 0.5})
    whole = train(tmp_path / "whole", config)
    train(tmp_path / "parts", config, steps=stop)
    trainer = runs.resume(tmp_path / "parts")
    trainer.run(config.steps)
    infos = [runs.info(tmp_path / name) for name in ("whole", "parts")]
    assert infos[0]["digest"] == infos[1]["digest"]
    assert (tmp_path / "parts" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    found, again = (each.state.evolver.state_arrays() for each in (whole, trainer))
    assert found["relaxed_steps"].sum() > 0
    assert all(np.array_equal(found[name], array) for name, array in again.items())
    assert infos[0]["tasks"] == infos[1]["tasks"]


def test_the_digest_tells_relaxed_codes_apart(tmp_path):
    config = configured(suite="point,car", steps=40, genotypes={"hybrid_rate": 0.05})
    digests = set()
    for change in (0.0, 1e-9):
        trainer = runs.create(tmp_path / str(change), config, ["test"], lambda status: None)
        trainer.state.evolver._relaxed._codes[0].data.fill_(1 + change)
        trainer.run(4)  # before any update
        digests.add(runs.info(tmp_path / str(change))["digest"])
    assert len(digests) == 2


def test_a_run_with_two_threads_halves_and_a_longer_lag_is_resumed_exactly(tmp_path):
    config = configured(
        steps=120,
        sac={"batch_size": 64},
        compute={"threads": 2},
        schedule={"double_buffering": True, "update_lag": 3},
    )
    train(tmp_path / "whole", config)
    assert train(tmp_path / "parts", config, steps=76).state.agent.threads == 2
    runs.resume(tmp_path / "parts").run(config.steps)
    assert runs.info(tmp_path / "parts")["digest"] == runs.info(tmp_path / "whole")["digest"]


def test_metrics_written_after_the_checkpoint_are_written_once(tmp_path):
    config = configured(steps=200)
    train(tmp_path / "run", config)
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "round", "step": 220')
    trainer = runs.resume(tmp_path / "run")
    trainer.run(240)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes().startswith(whole)
    assert [r["step"] for r in records_of(tmp_path / "run", "round")][-1] == 220


def test_another_seed_gives_another_run(tmp_path):
    digests = set()
    for seed in (1, 2):
        directory = tmp_path / str(seed)
        train(directory, configured(steps=60, seed=seed))
        digests.add(runs.info(directory)["digest"])
    assert len(digests) == 2


@pytest.mark.parametrize("lag", [0, 1])
def test_the_number_of_workers_does_not_change_a_run(tmp_path, lag):
    digests = []
    for workers in (1, 2):
        directory = tmp_path / str(workers)
        train(
            directory,
            configured(
                steps=160, growth={"warmup_rounds": 1}, schedule={"update_lag": lag}, compute={"workers": workers}
            ),
        )
        digests.append(runs.info(directory)["digest"])
    assert digests[0] == digests[1]


def test_the_lag_changes_nothing_but_when_updates_are_made(tmp_path):
    digests, updates = [], []
    for lag in (0, 1, 4):
        directory = tmp_path / str(lag)
        same = {"steps": 160, "growth": {"warmup_rounds": 1}, "schedule": {"update_lag": lag}}
        train(directory / "fixed", configured(sac={"updates_per_step": 0}, **same))
        digests.append(runs.info(directory / "fixed")["digest"])
        updates.append(train(directory / "learning", configured(**same)).state.agent.updates)
    assert len(set(digests)) == 1
    assert updates == [70, 69, 66]


def test_stepping_in_halves_changes_no_environment(tmp_path):
    replays = []
    for halves in (False, True):
        settings = {
            "sac": {"random_steps": 100, "random_action_repeat": 100},
            "schedule": {"double_buffering": halves},
            "compute": {"workers": 2},
        }
        trainer = train(tmp_path / str(halves), configured(steps=40, **settings))
        replays.append(trainer.state.replay)
    # Actions are held from the first step on; each half takes them from a draw of its own.
    first, second = (replay.actions[0, 0].tolist() for replay in replays)
    assert first == second
    assert torch.equal(replays[0].observations[0], replays[1].observations[0])


def test_evaluation_leaves_training_as_it_was(tmp_path):
    digests = []
    for every in (0, 50):
        directory = tmp_path / str(every)
        train(directory, configured(steps=120, evaluation={"every": every}))
        digests.append(runs.info(directory)["digest"])
    assert digests[0] == digests[1]
    assert len(records_of(tmp_path / "50", "evaluation")) == 2
