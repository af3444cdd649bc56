import json

import numpy as np
import pytest
import torch
import yaml

from genoevo.operators.reproduction import Origin
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.errors import DivergedError
from genoevo_mega.training.losses import RunningMeans
from genoevo_runs.errors import ConfigError, UserError

pytestmark = pytest.mark.usefixtures("quick_runs")

# Growth after the first round, learning from the first steps on.
EAGER = {
    "steps": 400,
    "environment": {"episode_length": 10, "goals": 2},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 4, "max_modules": 3},
    "sac": {"random_steps": 10},
    "evaluation": {"at_end": False},
    "checkpoints": {"every": 0},
}


def _config(**settings):
    return build_config(preset("smoke"), EAGER, settings)


def _train(directory, config, **until):
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    trainer.run(until.get("steps", config.steps))
    return trainer


def _records(directory, kind):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A run that is forced to grow, and its state just before the first growth and at the end."""
    directory = tmp_path_factory.mktemp("run") / "grown"
    trainer = runs.create(directory, _config(), ["test"], lambda status: None)
    before = {}
    grow = trainer.state.agent.grow

    def watched():
        agent = trainer.state.agent
        for name in ("actor", "critics", "target_critics"):
            before[name] = {key: (value, value.clone()) for key, value in getattr(agent, name).named_parameters()}
        before["adam"] = {
            key: agent.optimizers.critics.state[value]["exp_avg"].clone()
            for key, value in agent.critics.named_parameters()
        }
        grow()
        before["kept"] = {
            key: torch.equal(agent.optimizers.critics.state[value]["exp_avg"], before["adam"][key])
            for key, value in agent.critics.named_parameters()
            if key in before["adam"]
        }
        before["same_values"] = all(
            torch.equal(value, copy)
            for name in ("actor", "critics", "target_critics")
            for value, copy in before[name].values()
        )
        before["new"] = {
            name: {key: value.detach().clone() for key, value in getattr(agent, name).pool[-1].named_parameters()}
            for name in ("actor", "critics", "target_critics")
        }

    trainer.state.agent.grow = watched
    trainer.run(trainer.config.steps)
    return trainer, before


def test_growth_gives_the_module_to_actor_both_critics_and_both_targets(grown):
    trainer, _ = grown
    agent = trainer.state.agent
    assert [len(network.pool) for network in (agent.actor, agent.critics, agent.target_critics)] == [3, 3, 3]
    assert all(
        len(weight) == 2 for network in (agent.critics, agent.target_critics) for weight in network.pool[2].tensors()
    )
    assert trainer.state.evolver.community.stages.max() == 3


def test_every_elite_and_where_it_comes_from_is_on_record(grown):
    trainer, _ = grown
    community, rounds = trainer.state.evolver.community, _records(trainer.directory, "round")
    elites = {}
    for record in rounds:
        elites |= record["elite"]
    assert elites == {name: str(community.of(task)[0]) for task, name in enumerate(community.tasks)}
    assert len(rounds[0]["elite"]) == len(community.tasks)
    for record in rounds:
        assert all(0 <= place < community.size for place in record["genealogy"]["survivors"])
        for task, children in enumerate(record["genealogy"]["children"]):
            own = range(task * community.size, (task + 1) * community.size)
            assert len(children) == community.size - 1
            assert all(first in own for origin, first, _ in children if origin != Origin.FRESH)


def test_growth_keeps_earlier_parameters_and_their_optimiser_state(grown):
    trainer, before = grown
    assert before["same_values"]
    assert before["kept"]
    assert all(before["kept"].values())
    for name in ("actor", "critics", "target_critics"):
        now = dict(getattr(trainer.state.agent, name).named_parameters())
        assert all(now[key] is value for key, (value, _) in before[name].items())


def test_the_optimizers_train_the_new_module(grown):
    trainer, before = grown
    for name in ("actor", "critics", "target_critics"):
        module = getattr(trainer.state.agent, name).pool[-1]
        for key, value in module.named_parameters():
            assert not torch.equal(value, before["new"][name][key]), (name, key)
            if name != "target_critics":
                assert getattr(trainer.state.agent.optimizers, name).state[value]["step"] > 0


def test_metrics_tell_success_stage_and_modules_of_every_task(grown):
    trainer, _ = grown
    records = _records(trainer.directory, "round")
    assert [record["round"] for record in records] == list(range(1, 10))
    assert records[-1]["step"] == 380
    assert records[-1]["stage"] == dict(
        zip(trainer.suite.names, trainer.state.evolver.community.stages.tolist(), strict=True)
    )
    assert records[-1]["pool_size"] == 3
    assert all(np.isfinite(list(record["losses"].values())).all() for record in records)


def test_tensorboard_has_the_same_numbers(grown):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer, _ = grown
    board = EventAccumulator(str(trainer.directory / "tensorboard"))
    board.Reload()
    written = [(e.step, e.value) for e in board.Scalars("return/reach-v3")]
    expected = [(r["step"], r["return"]["reach-v3"]) for r in _records(trainer.directory, "round")]
    assert written == [(step, pytest.approx(value, rel=1e-5)) for step, value in expected]


def test_replay_bootstraps_through_the_time_limit(grown):
    trainer, _ = grown
    assert not trainer.state.replay.terminated.any()
    assert len(trainer.state.replay) == 400


def test_the_clock_accounts_for_all_wall_time(grown):
    trainer, _ = grown
    seconds = trainer.state.clock.snapshot()
    assert sum(seconds.values()) == pytest.approx(trainer.state.clock.wall, rel=0.05)
    assert min(seconds["simulator"], seconds["learning"], seconds["acting"], seconds["evolving"]) > 0


@pytest.mark.parametrize(("update_with", "lag"), [("elite", 1), ("stored", 0)])
def test_a_run_in_two_parts_equals_the_run_in_one(tmp_path, update_with, lag):
    config = _config(
        steps=200,
        genotypes={"update_with": update_with},
        growth={"warmup_rounds": 1},
        evaluation={"every": 80},
        schedule={"update_lag": lag},
    )
    whole = tmp_path / "whole"
    _train(whole, config)
    for stop in (120, 126):  # at the beginning and in the middle of an episode
        parts = tmp_path / str(stop)
        _train(parts, config, steps=stop)
        runs.resume(parts).run(config.steps)
        assert runs.info(parts)["digest"] == runs.info(whole)["digest"]
        assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
        for name in ("rngs", "losses", "steps", "updates"):
            states = [checkpoint.read_state(checkpoint.find(directory))[name] for directory in (whole, parts)]
            assert states[0] == states[1]


@pytest.mark.parametrize("stop", [250, 266])
def test_a_run_with_gradient_steps_on_codes_and_masked_losses_is_resumed_exactly(tmp_path, stop):
    # The limit is in the midst of the losses, so that it masks in both parts of the run.
    config = _config(suite="point,car", steps=340, genotypes={"hybrid_rate": 0.05}, sac={"mask_loss_above": 0.5})
    whole = _train(tmp_path / "whole", config)
    _train(tmp_path / "parts", config, steps=stop)
    trainer = runs.resume(tmp_path / "parts")
    trainer.run(config.steps)
    infos = [runs.info(tmp_path / name) for name in ("whole", "parts")]
    assert infos[0]["digest"] == infos[1]["digest"]
    assert (tmp_path / "parts" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    found, again = (each.state.evolver.state_arrays() for each in (whole, trainer))
    assert found["relaxed_steps"].sum() > 0
    assert all(np.array_equal(found[name], array) for name, array in again.items())
    assert infos[0]["tasks"] == infos[1]["tasks"]


def test_masked_updates_are_told_by_round_and_in_all(tmp_path):
    config = _config(suite="point,car", steps=150, sac={"mask_loss_above": 0.5})
    trainer = _train(tmp_path / "run", config)
    rounds = [record["masked"] for record in _records(tmp_path / "run", "round")]
    pending = trainer.state.losses.masked
    assert len(rounds) > 1
    assert pending
    for task, (name, described) in enumerate(runs.info(tmp_path / "run")["tasks"].items()):
        assert described["masked"] == sum(record[name] for record in rounds) + pending[task]
        assert 0 < described["masked"] <= trainer.state.agent.updates
    assert all(np.isfinite(list(record["losses"].values())).all() for record in _records(tmp_path / "run", "round"))


def test_a_limit_to_losses_may_be_set_for_a_run_that_goes_on(tmp_path):
    _train(tmp_path / "run", _config(suite="point,car", steps=100))
    path = tmp_path / "run" / "config.yaml"
    content = yaml.safe_load(path.read_text())
    content["sac"]["mask_loss_above"] = 1e-6
    path.write_text(yaml.safe_dump(content))
    trainer = runs.resume(tmp_path / "run")
    before = trainer.state.agent.updates
    trainer.run(200)
    masked = [task["masked"] for task in runs.info(tmp_path / "run")["tasks"].values()]
    assert masked == [trainer.state.agent.updates - before] * 2


def test_the_digest_tells_relaxed_codes_apart(tmp_path):
    config = _config(suite="point,car", steps=40, genotypes={"hybrid_rate": 0.05})
    digests = set()
    for change in (0.0, 1e-9):
        trainer = runs.create(tmp_path / str(change), config, ["test"], lambda status: None)
        trainer.state.evolver._relaxed._codes[0].data.fill_(1 + change)
        trainer.run(4)  # before any update
        digests.add(runs.info(tmp_path / str(change))["digest"])
    assert len(digests) == 2


def test_a_run_with_two_threads_halves_and_a_longer_lag_is_resumed_exactly(tmp_path):
    config = _config(
        steps=120,
        sac={"batch_size": 64},
        compute={"threads": 2},
        schedule={"double_buffering": True, "update_lag": 3},
    )
    _train(tmp_path / "whole", config)
    assert _train(tmp_path / "parts", config, steps=76).state.agent.threads == 2
    runs.resume(tmp_path / "parts").run(config.steps)
    assert runs.info(tmp_path / "parts")["digest"] == runs.info(tmp_path / "whole")["digest"]


def test_metrics_written_after_the_checkpoint_are_written_once(tmp_path):
    config = _config(steps=200)
    _train(tmp_path / "run", config)
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "round", "step": 220')
    trainer = runs.resume(tmp_path / "run")
    trainer.run(240)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes().startswith(whole)
    assert [r["step"] for r in _records(tmp_path / "run", "round")][-1] == 220


def test_another_seed_gives_another_run(tmp_path):
    digests = set()
    for seed in (1, 2):
        directory = tmp_path / str(seed)
        _train(directory, _config(steps=60, seed=seed))
        digests.add(runs.info(directory)["digest"])
    assert len(digests) == 2


@pytest.mark.parametrize(("lag", "updates"), [(0, 10), (1, 9), (5, 8)])
def test_fewer_updates_than_steps(tmp_path, lag, updates):
    settings = {"sac": {"updates_per_step": 0.25, "random_steps": 10}, "schedule": {"update_lag": lag}}
    trainer = _train(tmp_path / "run", _config(steps=100, **settings))
    assert trainer.state.agent.updates == updates


@pytest.mark.parametrize("lag", [0, 1])
def test_the_number_of_workers_does_not_change_a_run(tmp_path, lag):
    digests = []
    for workers in (1, 2):
        directory = tmp_path / str(workers)
        _train(
            directory,
            _config(
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
        _train(directory / "fixed", _config(sac={"updates_per_step": 0}, **same))
        digests.append(runs.info(directory / "fixed")["digest"])
        updates.append(_train(directory / "learning", _config(**same)).state.agent.updates)
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
        trainer = _train(tmp_path / str(halves), _config(steps=40, **settings))
        replays.append(trainer.state.replay)
    # Actions are held from the first step on; each half takes them from a draw of its own.
    first, second = (replay.actions[0, 0].tolist() for replay in replays)
    assert first == second
    assert torch.equal(replays[0].observations[0], replays[1].observations[0])


def test_evaluation_leaves_training_as_it_was(tmp_path):
    digests = []
    for every in (0, 50):
        directory = tmp_path / str(every)
        _train(directory, _config(steps=120, evaluation={"every": every}))
        digests.append(runs.info(directory)["digest"])
    assert digests[0] == digests[1]
    assert len(_records(tmp_path / "50", "evaluation")) == 2


def test_a_stop_during_the_last_evaluation_leaves_it_due(tmp_path):
    config = _config(steps=40, evaluation={"at_end": True})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer._observe = lambda status: setattr(trainer, "stop_requested", status.steps == 40)
    assert not trainer.run(40)
    resumed = runs.resume(tmp_path / "run")
    assert resumed.run(40)
    assert len(_records(tmp_path / "run", "evaluation")) == 1


def test_a_run_ends_with_its_time_budget_evaluated_and_can_be_resumed(tmp_path):
    config = _config(steps=10**6, evaluation={"at_end": True}, schedule={"time_limit_minutes": 1e-9})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    assert trainer.run(config.steps)
    assert trainer.state.steps == 2
    assert len(_records(tmp_path / "run", "evaluation")) == 1
    assert runs.resume(tmp_path / "run").state.steps == 2


def test_gradients_that_stay_not_finite_stop_the_run_and_leave_the_checkpoint(tmp_path):
    _train(tmp_path / "run", _config(steps=100))
    digest = runs.info(tmp_path / "run")["digest"]
    trainer = runs.resume(tmp_path / "run")
    with torch.no_grad():
        trainer.state.agent.critics.core.flat.fill_(torch.nan)
    with pytest.raises(DivergedError, match="no longer finite at step"):
        trainer.run(300)
    assert runs.info(tmp_path / "run")["digest"] == digest


def test_info_has_every_field_that_scripts_rely_on(grown):
    trainer, _ = grown
    info = runs.info(trainer.directory)
    assert {"suite", "architecture", "steps", "updates", "pool_size", "parameters", "tasks", "time", "digest"} <= set(
        info
    )
    assert set(info["parameters"]) == {"actor", "critics"}
    assert set(info["tasks"]) == set(trainer.suite.names)
    assert all(set(task) == {"stage", "effective_modules", "success"} for task in info["tasks"].values())
    names = {"simulator", "transport", "acting", "replay", "learning", "evolving", "checkpointing", "idle"}
    assert set(info["time"]) == names


def test_the_budget_compares_the_run_with_its_machine(grown):
    trainer, _ = grown
    budget = runs.info(trainer.directory)["budget"]
    assert 0 < budget["steps_per_second"] < budget["simulator_steps_per_second"]
    assert 0 < budget["learner_of_matrix_products"] < 1
    agent = trainer.state.agent
    assert agent.operations((2, 2)) * agent.updates < budget["operations"] < agent.operations((3, 3)) * agent.updates


def test_the_simulators_rate_does_not_count_workers_without_a_task(tmp_path):
    _train(tmp_path / "run", _config(steps=100, compute={"workers": 64}))
    work = checkpoint.read_state(checkpoint.find(tmp_path / "run"))["work"]
    rate = runs.info(tmp_path / "run")["budget"]["simulator_steps_per_second"]
    assert rate == pytest.approx(100 * 2 / work["rollout_seconds"])


def test_the_run_directory_tells_where_the_run_came_from(grown):
    trainer, _ = grown
    origin = json.loads((trainer.directory / "run.json").read_text())
    assert origin["command"] == ["test"]
    assert origin["seed"] == 1
    assert (
        origin["versions"]["torch"] == torch.__version__.split("+")[0]
        or origin["versions"]["torch"] == torch.__version__
    )
    assert runs.open_config(trainer.directory) == trainer.config


def test_a_single_gradient_that_is_not_finite_is_counted_and_changes_no_weight(tmp_path):
    trainer = _train(tmp_path / "run", _config(steps=100))
    before = {name: value.clone() for name, value in trainer.state.agent.critics.state_dict().items()}
    batch = trainer.state.replay.sample(8, np.random.default_rng(0), gamma=0.9)
    batch.rewards[0, 0] = torch.inf
    routing = trainer.state.evolver.elite_routing()
    trainer.state.losses.add(trainer.state.agent.update(batch, routing, routing))
    assert all(torch.equal(value, before[name]) for name, value in trainer.state.agent.critics.state_dict().items())
    assert trainer.state.losses.skipped == 1
    assert all(np.isfinite(value) for value in trainer.state.losses.take().values())


def test_a_diverged_run_never_overwrites_its_checkpoint(tmp_path):
    _train(tmp_path / "run", _config(steps=100))
    trainer = runs.resume(tmp_path / "run")
    before = runs.info(tmp_path / "run")
    for _ in range(trainer.config.sac.max_skipped):
        trainer.state.losses.add({"critic_loss": torch.tensor(torch.nan), "skipped": torch.tensor(1.0)})
    with pytest.raises(DivergedError):
        trainer.save()
    assert runs.info(tmp_path / "run") == before


def test_episodes_of_random_actions_are_credited_to_no_genotype(tmp_path):
    trainer = _train(tmp_path / "run", _config(steps=100, sac={"random_steps": 25}))
    # Episodes of 10 steps: those that began at 0, 10 and 20 are random, those at 30 and 40 are not.
    assert trainer.state.evolver.community.rounds == 1


def test_random_actions_are_held(tmp_path):
    trainer = _train(tmp_path / "run", _config(steps=40, sac={"random_steps": 20, "random_action_repeat": 5}))
    actions = trainer.state.replay.actions[0, : trainer.state.replay.filled[0]][
        trainer.state.replay.valid[0, : trainer.state.replay.filled[0]]
    ]
    blocks = actions.reshape(4, 5, 4)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(blocks[:, 0], axis=0)) == 4


def test_the_time_of_a_checkpoint_is_in_its_own_account(tmp_path):
    _train(tmp_path / "run", _config(steps=40))
    assert runs.info(tmp_path / "run")["time"]["checkpointing"] > 0


def test_rules_that_are_not_what_the_run_began_with_are_refused(tmp_path):
    _train(tmp_path / "run", _config(steps=40))
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
    _train(tmp_path / "run", _config(steps=100))
    stale = runs.resume(tmp_path / "run")
    runs.resume(tmp_path / "run").run(200)
    written = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match="by another process in the meantime"):
        stale.run(300)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == written


def test_conflict_between_tasks_needs_two_of_them(tmp_path):
    config = _config(suite="reach-v3", sac={"conflict_every": 5})
    with pytest.raises(ConfigError, match=r"sac\.conflict_every = 5"):
        runs.create(tmp_path / "run", config, ["test"], lambda status: None)
