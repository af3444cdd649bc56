"""Training: tasks that are left out, gradients that are not finite, budgets, and what is counted."""

import numpy as np
import pytest
import torch
import yaml

from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.errors import DivergedError
from genoevo_mega.training.losses import RunningMeans
from genoevo_runs.errors import ConfigError, UserError
from tests.mega.eager import configured, records_of, train

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_masked_updates_are_told_by_round_and_in_all(tmp_path):
    config = configured(suite="point,car", steps=150, sac={"mask_loss_above": 0.5})
    trainer = train(tmp_path / "run", config)
    rounds = [record["masked"] for record in records_of(tmp_path / "run", "round")]
    pending = trainer.state.losses.masked
    assert len(rounds) > 1
    assert pending
    for task, (name, described) in enumerate(runs.info(tmp_path / "run")["tasks"].items()):
        assert described["masked"] == sum(record[name] for record in rounds) + pending[task]
        assert 0 < described["masked"] <= trainer.state.agent.updates
    assert all(np.isfinite(list(record["losses"].values())).all() for record in records_of(tmp_path / "run", "round"))


def test_a_limit_to_losses_may_be_set_for_a_run_that_goes_on(tmp_path):
    train(tmp_path / "run", configured(suite="point,car", steps=100))
    path = tmp_path / "run" / "config.yaml"
    content = yaml.safe_load(path.read_text())
    content["sac"]["mask_loss_above"] = 1e-6
    path.write_text(yaml.safe_dump(content))
    trainer = runs.resume(tmp_path / "run")
    before = trainer.state.agent.updates
    trainer.run(200)
    masked = [task["masked"] for task in runs.info(tmp_path / "run")["tasks"].values()]
    assert masked == [trainer.state.agent.updates - before] * 2


@pytest.mark.parametrize(("lag", "updates"), [(0, 10), (1, 9), (5, 8)])
def test_fewer_updates_than_steps(tmp_path, lag, updates):
    settings = {"sac": {"updates_per_step": 0.25, "random_steps": 10}, "schedule": {"update_lag": lag}}
    trainer = train(tmp_path / "run", configured(steps=100, **settings))
    assert trainer.state.agent.updates == updates


def test_a_stop_during_the_last_evaluation_leaves_it_due(tmp_path):
    config = configured(steps=40, evaluation={"at_end": True})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer._observe = lambda status: setattr(trainer, "stop_requested", status.steps == 40)
    assert not trainer.run(40)
    resumed = runs.resume(tmp_path / "run")
    assert resumed.run(40)
    assert len(records_of(tmp_path / "run", "evaluation")) == 1


def test_a_run_ends_with_its_time_budget_evaluated_and_can_be_resumed(tmp_path):
    config = configured(steps=10**6, evaluation={"at_end": True}, schedule={"time_limit_minutes": 1e-9})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    assert trainer.run(config.steps)
    assert trainer.state.steps == 2
    assert len(records_of(tmp_path / "run", "evaluation")) == 1
    assert runs.resume(tmp_path / "run").state.steps == 2


def test_gradients_that_stay_not_finite_stop_the_run_and_leave_the_checkpoint(tmp_path):
    train(tmp_path / "run", configured(steps=100))
    digest = runs.info(tmp_path / "run")["digest"]
    trainer = runs.resume(tmp_path / "run")
    with torch.no_grad():
        trainer.state.agent.critics.core.flat.fill_(torch.nan)
    with pytest.raises(DivergedError, match="no longer finite at step"):
        trainer.run(300)
    assert runs.info(tmp_path / "run")["digest"] == digest


def test_the_simulators_rate_does_not_count_workers_without_a_task(tmp_path):
    train(tmp_path / "run", configured(steps=100, compute={"workers": 64}))
    work = checkpoint.read_state(checkpoint.find(tmp_path / "run"))["work"]
    rate = runs.info(tmp_path / "run")["budget"]["simulator_steps_per_second"]
    assert rate == pytest.approx(100 * 2 / work["rollout_seconds"])


def test_a_single_gradient_that_is_not_finite_is_counted_and_changes_no_weight(tmp_path):
    trainer = train(tmp_path / "run", configured(steps=100))
    before = {name: value.clone() for name, value in trainer.state.agent.critics.state_dict().items()}
    batch = trainer.state.replay.sample(8, np.random.default_rng(0), gamma=0.9)
    batch.rewards[0, 0] = torch.inf
    routing = trainer.state.evolver.elite_routing()
    trainer.state.losses.add(trainer.state.agent.update(batch, routing, routing))
    assert all(torch.equal(value, before[name]) for name, value in trainer.state.agent.critics.state_dict().items())
    assert trainer.state.losses.skipped == 1
    assert all(np.isfinite(value) for value in trainer.state.losses.take().values())


def test_a_diverged_run_never_overwrites_its_checkpoint(tmp_path):
    train(tmp_path / "run", configured(steps=100))
    trainer = runs.resume(tmp_path / "run")
    before = runs.info(tmp_path / "run")
    for _ in range(trainer.config.sac.max_skipped):
        trainer.state.losses.add({"critic_loss": torch.tensor(torch.nan), "skipped": torch.tensor(1.0)})
    with pytest.raises(DivergedError):
        trainer.save()
    assert runs.info(tmp_path / "run") == before


def test_episodes_of_random_actions_are_credited_to_no_genotype(tmp_path):
    trainer = train(tmp_path / "run", configured(steps=100, sac={"random_steps": 25}))
    # Episodes of 10 steps: those that began at 0, 10 and 20 are random, those at 30 and 40 are not.
    assert trainer.state.evolver.community.rounds == 1


def test_random_actions_are_held(tmp_path):
    trainer = train(tmp_path / "run", configured(steps=40, sac={"random_steps": 20, "random_action_repeat": 5}))
    actions = trainer.state.replay.actions[0, : trainer.state.replay.filled[0]][
        trainer.state.replay.valid[0, : trainer.state.replay.filled[0]]
    ]
    blocks = actions.reshape(4, 5, 4)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(blocks[:, 0], axis=0)) == 4


def test_the_time_of_a_checkpoint_is_in_its_own_account(tmp_path):
    train(tmp_path / "run", configured(steps=40))
    assert runs.info(tmp_path / "run")["time"]["checkpointing"] > 0


def test_rules_that_are_not_what_the_run_began_with_are_refused(tmp_path):
    train(tmp_path / "run", configured(steps=40))
    path = tmp_path / "run" / "config.yaml"
    content = yaml.safe_load(path.read_text())
    content["growth"]["patience"] = 99
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"growth\.patience = 99: it was 1 when the run began, and cannot change"):
        runs.resume(tmp_path / "run")


def test_means_of_losses_leave_skipped_updates_out():
    losses = RunningMeans()
    for skipped in (1.0, 1.0, 0.0, 1.0):
        losses.add({"critic_loss": torch.tensor(2.0 + skipped), "skipped": torch.tensor(skipped)})
    assert losses.take() == {"critic_loss": 2.0, "skipped": 3}


def test_going_on_from_a_state_that_is_no_longer_the_newest_leaves_the_metrics(tmp_path):
    train(tmp_path / "run", configured(steps=100))
    stale = runs.resume(tmp_path / "run")
    runs.resume(tmp_path / "run").run(200)
    written = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match="by another process in the meantime"):
        stale.run(300)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == written


def test_conflict_between_tasks_needs_two_of_them(tmp_path):
    config = configured(suite="reach-v3", sac={"conflict_every": 5})
    with pytest.raises(ConfigError, match=r"sac\.conflict_every = 5"):
        runs.create(tmp_path / "run", config, ["test"], lambda status: None)
