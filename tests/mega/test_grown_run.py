"""A run that grows: what becomes of its networks, what it writes, and what is told of it."""

import json

import numpy as np
import pytest
import torch

from genoevo.operators.reproduction import Origin
from genoevo_mega.experiments import runs
from tests.mega.eager import configured, records_of

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A run that is forced to grow, and its state just before the first growth and at the end."""
    directory = tmp_path_factory.mktemp("run") / "grown"
    trainer = runs.create(directory, configured(), ["test"], lambda status: None)
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
    community, rounds = trainer.state.evolver.community, records_of(trainer.directory, "round")
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
    records = records_of(trainer.directory, "round")
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
    expected = [(r["step"], r["return"]["reach-v3"]) for r in records_of(trainer.directory, "round")]
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
