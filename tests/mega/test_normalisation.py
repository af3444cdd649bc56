"""The scale of observations and rewards, against definitions written out, and through resume."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genoevo_mega.agents.distribution import tanh_gaussian
from genoevo_mega.agents.normalisation import Moments, Normaliser, Returns
from genoevo_mega.config.run import build_config
from genoevo_mega.envs.transition import Transition
from genoevo_mega.experiments import runs
from genoevo_mega.training import agent_state, checkpoint
from genoevo_mega.training import state as training_state
from genoevo_mega.training.checkpoint_files import FORMAT, VERSION
from genoevo_runs.errors import ConfigError, CorruptFileError
from tests.mega.checkpoint.tiny import resealed, resumed_to, train
from tests.mega.test_critic import _made
from tests.mega.updates import drawn_batch, inputs_of

pytestmark = pytest.mark.usefixtures("quick_runs")
GAMMA, LENGTH = 0.9, 4
BOTH = {"normalise": {"observations": True, "rewards": True}}


def _step(rewards, *, terminated=(), lost=(), observations=None):
    tasks = np.arange(len(rewards))
    given = np.zeros((len(rewards), 2), np.float32) if observations is None else observations
    rewards = np.array(rewards, np.float32)
    return Transition(given, rewards, np.isin(tasks, terminated), rewards > 1e9, np.isin(tasks, lost))


def _largest_return(episode, terminated):
    """The largest absolute discounted return from any step of an episode, by its definition."""
    tail = 0.0 if terminated else float(np.mean(episode)) / (1 - GAMMA)
    found = []
    for begin in range(len(episode)):
        rest = [*episode[begin:], tail]
        found.append(sum(GAMMA**k * reward for k, reward in enumerate(rest)))
    return max(map(abs, found))


def _scaled(returns, alpha=0.0, entropy=0.0, tasks=2, value_range=10.0):
    normaliser = Normaliser(None, returns, value_range)
    return normaliser.reward_scale(torch.full((tasks, 1), alpha), torch.full((tasks,), entropy))[:, 0]


def test_returns_are_those_of_every_step_of_every_episode_so_far():
    returns = Returns(2, LENGTH, GAMMA)
    normaliser = Normaliser(None, returns, 10.0)
    episodes = [([1.0, -3.0, 0.5, 2.0], False), ([4.0, 1.0], True), ([-9.0, 0.0, 0.0, 1.0], False)]
    expected = 0.0
    assert _scaled(returns).tolist() == [1, 1]  # nothing is known
    for rewards, terminated in episodes:
        for step, reward in enumerate(rewards):
            ended = step == len(rewards) - 1
            mask = np.array([ended, False])
            normaliser.observe(_step([reward, 5.0], terminated=[0] if ended and terminated else []), mask)
            if step == LENGTH - 1 or ended:
                normaliser.cut(np.array([1]))  # the other task never ends an episode
        expected = max(expected, _largest_return(rewards, terminated))
        assert returns.largest[0] == pytest.approx(expected)
        assert _scaled(returns)[0] == pytest.approx(10 / expected)
    assert _scaled(returns)[1] == 1


def test_a_return_after_termination_is_of_the_rewards_alone():
    returns = Returns(1, LENGTH, GAMMA)
    returns.add(np.ones(1, np.float32), np.ones(1, bool), np.ones(1, bool), np.ones(1, bool))
    assert returns.largest.tolist() == [1.0]
    returns.add(np.ones(1, np.float32), np.ones(1, bool), np.zeros(1, bool), np.ones(1, bool))
    assert returns.largest[0] == pytest.approx(1 / (1 - GAMMA))


def test_the_bonus_of_entropy_counts_towards_the_range():
    returns = Returns(2, LENGTH, GAMMA)
    returns.largest[:] = 5.0
    assert _scaled(returns, alpha=0.3, entropy=-2.0).tolist() == pytest.approx([10 / (5 + 0.3 * 10 * 2 / 2)] * 2)
    assert _scaled(returns, alpha=0.3, entropy=1.0).tolist() == [2, 2]


def test_rewards_of_a_lost_episode_count_in_no_return():
    returns = Returns(2, LENGTH, GAMMA)
    normaliser = Normaliser(None, returns, 10.0)
    running = np.zeros(2, bool)
    normaliser.observe(_step([100.0, 1.0]), running)
    normaliser.observe(_step([7.0, 1.0], lost=[0]), running)  # its reward means nothing
    normaliser.cut(np.array([0]))
    normaliser.observe(_step([1.0, 1.0], terminated=[0]), np.array([True, False]))
    assert returns.largest.tolist() == [1.0, 0.0]
    assert returns.taken.tolist() == [0, 3]


def test_moments_are_mean_and_variance_of_all_observations_of_a_task():
    moments, rng = Moments(2, 3), np.random.default_rng(1)
    given = (5 + [1, 0.1, 0] * rng.standard_normal((40, 2, 3))).astype(np.float32)
    seen = rng.random((40, 2)) < 0.8
    normaliser = Normaliser(moments)
    assert moments.scale().tolist() == [[1, 1, 1]] * 2
    for observations, of in zip(given, seen, strict=True):
        lost = np.flatnonzero(~of)
        normaliser.observe(_step([0.0, 0.0], observations=observations, lost=lost), np.zeros(2, bool))
    rows = torch.from_numpy(given).movedim(0, 1)
    found = normaliser.observations(rows).numpy()
    for task in range(2):
        own = given[seen[:, task], task].astype(np.float64)
        expected = (given[:, task] - own.mean(0)) / np.sqrt(own.var(0) + 1e-4)
        np.testing.assert_allclose(found[task], expected, rtol=1e-3, atol=1e-3)


def test_an_update_sees_scaled_rewards_and_observations():
    agent, _, routing = _made(BOTH)
    moments, returns = agent.normaliser._moments, agent.normaliser._returns
    rng = np.random.default_rng(2)
    for _ in range(30):
        moments.add(rng.normal(3, 2, (2, 39)).astype(np.float32), np.ones(2, bool))
    returns.largest[:] = (4.0, 25.0)
    agent.normaliser._publish()
    batch, alpha = drawn_batch(), agent.log_temperature.detach().exp()[:, None]
    mean, std = map(torch.from_numpy, (moments.mean[:, None], np.sqrt(moments.squares / 30 + 1e-4)[:, None]))
    now, after = (((rows - mean) / std).float() for rows in (batch.observations, batch.next_observations))
    scale = torch.tensor([[10 / (most + 1.0 * 100 * 4 / 2)] for most in (4.0, 25.0)])
    noise = inputs_of(agent, batch, routing).batch.next_noise
    with torch.no_grad():
        action, log_prob = tanh_gaussian(agent.actor(after, routing)[0], noise)
        future = agent.target_critics(torch.cat([after, action], -1), routing)[..., 0].amin(0)
        goal = scale * batch.rewards + 0.99 * (future - alpha * log_prob)
        own = agent.critics(torch.cat([now, batch.actions], -1), routing)[..., 0]
    acted = agent.act(batch.observations[:, 0], routing, greedy=True)
    torch.testing.assert_close(acted, torch.tanh(agent.actor(now, routing)[0, :, 0, :4]).detach())
    found = agent.update(batch, routing, routing)["critic_loss"]
    torch.testing.assert_close(found, (own - goal).square().mean((1, 2)).sum(), rtol=1e-4, atol=1e-6)


def test_nothing_is_scaled_by_default():
    agent, *_ = _made()
    rows = drawn_batch().observations
    assert agent._observations(rows) is rows
    assert agent._terms().reward_scale == 1.0
    assert not [name for name in agent_state.tensors(agent) if name.startswith("normalise")]


def test_an_infinite_sum_of_rewards_is_refused():
    with pytest.raises(ConfigError, match=r"normalise.rewards = true: needs sac.gamma below 1"):
        build_config({"normalise": {"rewards": True}, "sac": {"gamma": 1.0}})


# ------------------------------------------------------------------------------------------------------- whole runs

ALL = {
    "suite": "pendulum-4goals,point-4goals",
    "steps": 150,
    "critic": {"kind": "residual", "width": 12, "blocks": 1, "task_embedding": 3},
    "value": {"loss": "hl-gauss", "bins": 11, "twins": "mean"},
    "sac": {"random_steps": 10, "batch_size": 4, "buffer_size": 500, "n_step": 3, "weight_decay": 1e-2},
    **BOTH,
}


def test_a_run_counts_every_transition_once_and_every_finished_episode(tmp_path, monkeypatch):
    seen = []
    remember = training_state.TrainingState.remember

    def watched(self, observations, actions, transition, ended, genotypes):
        seen.append((transition, ended.copy()))
        remember(self, observations, actions, transition, ended, genotypes)

    monkeypatch.setattr(training_state.TrainingState, "remember", watched)
    normaliser = train(tmp_path / "run", **ALL).state.agent.normaliser
    observations = np.array([step.observations for step, _ in seen])
    assert normaliser._moments.count.tolist() == [75, 75]
    np.testing.assert_allclose(normaliser._moments.mean, observations.mean(0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    rewards = np.array([step.rewards for step, _ in seen])
    for task in range(2):
        last = [i for i, (_, ended) in enumerate(seen) if ended[task]]
        assert len(last) == 7
        found, gamma = 0.0, 0.99
        for begin, end in zip([0, *(i + 1 for i in last[:-1])], last, strict=True):
            value = float(rewards[begin : end + 1, task].mean(dtype=np.float64)) / (1 - gamma)
            for reward in rewards[begin : end + 1, task][::-1]:
                value = float(reward) + gamma * value
                found = max(found, abs(value))
        assert normaliser._returns.largest[task] == pytest.approx(found)
        assert normaliser._returns.taken[task] == 5


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"critic": {"kind": "mlp", "width": 12, "layers": 2, "task_embedding": 2}, "value": {"loss": "two-hot"}},
        {"critic": {"kind": "genotype", "task_embedding": 2}},
    ],
    ids=["residual", "mlp", "genotype"],
)
def test_a_run_in_parts_equals_the_run_in_one(tmp_path, more):
    settings = {**ALL, **more}
    train(tmp_path / "whole", **settings)
    train(tmp_path / "parts", **settings | {"steps": 86})  # in the middle of an episode
    resumed_to(tmp_path / "parts", 150)
    whole, parts = (runs.info(tmp_path / name) for name in ("whole", "parts"))
    assert whole["pool_size"] == 3  # it grew
    assert parts["digest"] == whole["digest"]


def test_two_workers_give_the_same_bits_as_one(tmp_path):
    found = []
    for workers in (1, 2):
        train(tmp_path / f"{workers}", **ALL, compute={"workers": workers, "threads": 1})
        found.append(runs.info(tmp_path / f"{workers}")["digest"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rewards/taken", np.array([10, 0])),
        ("rewards/largest", np.array([-1.0, 0.0])),
        ("rewards/rewards", np.full((2, 10), np.nan, np.float32)),
        ("observations/count", np.array([-1, 0])),
        ("observations/mean", np.zeros((2, 1))),
    ],
)
def test_statistics_that_cannot_be_are_refused(name, value):
    agent, *_ = _made(BOTH, environment={"episode_length": 10})
    arrays = agent.normaliser.state_arrays()
    assert arrays[name] is not value
    with pytest.raises(ValueError, match=name.partition("/")[0]):
        agent.normaliser.load_arrays({**arrays, name: value})


def test_a_checkpoint_with_impossible_statistics_is_corrupt(tmp_path):
    trainer = train(tmp_path / "run", **ALL)
    path = checkpoint.find(tmp_path / "run")
    trainer.state.agent.normaliser._returns.taken[0] = -1
    tensors = agent_state.tensors(trainer.state.agent)
    save_file(tensors, path / "agent.safetensors", {"format": FORMAT, "version": str(VERSION)})
    resealed(path)
    with pytest.raises(CorruptFileError, match="rewards/taken must be from 0 to 9"):
        agent_state.load(path / "agent.safetensors", trainer.state.agent)
