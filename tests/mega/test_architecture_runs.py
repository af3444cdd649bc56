"""Networks of every architecture in the learner's update and in real runs."""

import copy
import math

import numpy as np
import pytest
import torch

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.static import StaticStructure
from genoevo_mega.experiments import runs
from genoevo_mega.networks import ARCHITECTURES
from genoevo_mega.training import checkpoint
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_runs.errors import UserError
from tests.mega.architectures import FIXED, SMALL, random_batch

# ------------------------------------------------------------------------------------------ one update of the learner


def _agent(architecture):
    config = build_config(preset("smoke"), SMALL, {"architecture": architecture})
    suite = make_suite(config)
    return make_agent(config, suite), make_structure(config, list(suite.names), 1).acting_routing()


def _written_out_update(agent, batch, routing):
    """Soft actor-critic with twin critics and a temperature per task; the networks are all it takes from *agent*."""
    rng = torch.Generator()
    rng.set_state(agent.rng.get_state())
    alpha = agent.log_temperature.detach().exp()[:, None]

    def act(observations):
        mean, log_std = agent.actor(observations, routing)[0].chunk(2, -1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        raw = mean + normal.stddev * torch.randn(mean.shape, generator=rng)
        return raw.tanh(), (normal.log_prob(raw) - torch.log(1 - raw.tanh() ** 2 + 1e-9)).sum(-1)

    def value(network, observations, actions):
        return network(torch.cat([observations, actions], -1), routing)[..., 0]

    def step(network, loss):
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        shrink = min(1.0, 1.0 / (norm + 1e-6))
        with torch.no_grad():  # Adam's first step
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter -= 3e-4 * shrink * gradient / (shrink * gradient.abs() + 1e-8)

    with torch.no_grad():
        action, log_prob = act(batch.next_observations)
        soft = value(agent.target_critics, batch.next_observations, action).min(0).values - alpha * log_prob
        goal = batch.rewards + batch.discounts * soft
    first, second = value(agent.critics, batch.observations, batch.actions)
    step(agent.critics, sum(((q - goal) ** 2).mean() for q in (first, second)))
    action, log_prob = act(batch.observations)
    step(agent.actor, (alpha * log_prob - value(agent.critics, batch.observations, action).min(0).values).mean())
    with torch.no_grad():
        excess = (log_prob - 4).mean(1)
        agent.log_temperature += 3e-4 * excess / (excess.abs() + 1e-8)
        for target, source in zip(agent.target_critics.parameters(), agent.critics.parameters(), strict=True):
            target += 0.005 * (source - target)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_an_update_is_that_of_the_written_out_losses(architecture):
    agent, routing = _agent(architecture)
    twin = copy.copy(agent)
    for name in ("actor", "critics", "target_critics", "log_temperature"):
        setattr(twin, name, copy.deepcopy(getattr(agent, name)))
    before = agent.actor.core.flat.detach().clone()
    _written_out_update(twin, random_batch(), routing)
    agent.update(random_batch(), routing, routing)
    assert not torch.equal(agent.actor.core.flat, before)
    for name in ("actor", "critics", "target_critics"):
        for mine, theirs in zip(getattr(agent, name).parameters(), getattr(twin, name).parameters(), strict=True):
            # Adam's first step has the size of the learning rate wherever a gradient is more than rounding.
            close = (mine - theirs).abs() < 3e-6
            assert close.float().mean() > 0.995, name
    torch.testing.assert_close(agent.log_temperature, twin.log_temperature)


# ---------------------------------------------------------------------------------------------------------- real runs

RUN = {
    "steps": 160,
    "environment": {"episode_length": 10, "goals": 2},
    "sac": {"random_steps": 10, "batch_size": 4},
    "evaluation": {"every": 80, "episodes": 1, "at_end": False},
    "checkpoints": {"every": 0},
}


def _trained(directory, architecture, steps=160, **sac):
    config = build_config(preset("smoke"), SMALL, RUN, {"architecture": architecture, "steps": steps, "sac": sac})
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    assert trainer.run(steps)
    return trainer


@pytest.mark.usefixtures("quick_runs")
@pytest.mark.parametrize("architecture", FIXED)
def test_every_architecture_trains_on_the_real_tasks(tmp_path, architecture):
    trainer = _trained(tmp_path / "run", architecture)
    info = runs.info(tmp_path / "run")
    assert info["architecture"] == architecture
    assert info["updates"] == trainer.state.agent.updates > 60
    assert info["pool_size"] == 0
    assert info["parameters"]["actor"] == trainer.state.agent.actor.parameter_count
    assert {task["stage"] for task in info["tasks"].values()} == {0}
    # Eight episodes of a task, two of them random at first: rounds of two, as of a population of two.
    assert info["rounds"] == 3
    assert math.isfinite(trainer.state.losses.sums_as_floats()["critic_loss"])
    found = runs.evaluate_run(tmp_path / "run", 1, lambda done: None)
    assert [estimate.episodes for estimate in found.values()] == [1, 1]


@pytest.mark.usefixtures("quick_runs")
@pytest.mark.parametrize("architecture", ["moore"])
def test_a_run_in_two_parts_equals_the_run_in_one(tmp_path, architecture):
    _trained(tmp_path / "whole", architecture)
    trainer = runs.create(tmp_path / "parts", runs.open_config(tmp_path / "whole"), ["test"], lambda status: None)
    trainer.run(106)
    runs.resume(tmp_path / "parts").run(160)
    whole, parts = runs.info(tmp_path / "whole"), runs.info(tmp_path / "parts")
    assert parts["digest"] == whole["digest"]
    assert (tmp_path / "parts/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


@pytest.mark.usefixtures("quick_runs")
def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    trainer = _trained(tmp_path / "run", "mtsac", steps=20)
    path = checkpoint.find(tmp_path / "run")
    with pytest.raises(
        UserError, match=r"community\.npz is corrupt: this is the state of 'steady', not of 'community'"
    ):
        checkpoint.read_evolver(path, trainer.config.model_copy(update={"architecture": "mega"}), ["a"])


def test_rounds_without_evolution_average_the_episodes_since_the_last_one():
    config = build_config(preset("smoke"), {"genotypes": {"population_size": 2}})
    steady = StaticStructure(config.genotypes, ["a", "b"])
    for success in (True, False):
        assert not steady.due
        tasks = np.array([0, 1])
        steady.record_episodes(
            FinishedEpisodes(np.ones(2, bool), tasks, np.array([1.0, 3.0]), np.array([success, False]))
        )
    assert steady.due
    outcome = steady.end_round()
    assert outcome.success.tolist() == [0.5, 0.0]
    assert outcome.mean_return.tolist() == [1.0, 3.0]
    assert steady.rounds == 1
    assert not steady.due
