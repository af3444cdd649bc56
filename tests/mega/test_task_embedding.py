"""Task vectors that the critics train and the actor reads, and what exported policies make of them."""

import numpy as np
import pytest
import torch

from genoevo_mega.agents.losses import actor_loss, critic_loss, q_values
from genoevo_mega.agents.sizing import sizes
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import sizes as policy_sizes
from genoevo_mega.networks.embedding import EmbeddedCritics
from genoevo_mega.networks.module_graph import THRESHOLD
from genoevo_mega.policies.export import export_tasks
from tests.mega.conftest import FIXED
from tests.mega.test_critic import RESIDUAL, _made
from tests.mega.test_export import _run_onnx
from tests.mega.updates import BATCH, SUITE, Products, drawn_batch, inputs_of, weights_of

KINDS = {
    "genotype": {"kind": "genotype"},
    "residual": RESIDUAL["critic"],
    "mlp": {"kind": "mlp", "width": 12, "layers": 2},
}
EVERYTHING = {
    "value": {"loss": "hl-gauss", "bins": 7, "range": 3.0, "twins": "mean"},
    "sac": {"weight_decay": 1e-2},
    "normalise": {"observations": True, "rewards": True},
}


def _embedded(kind="residual", **more):
    return _made(critic={**KINDS[kind], "task_embedding": 5}, **more)


def _vectors(agent):
    return agent.critics.vectors.detach()[:, 0] / agent.critics.vectors.detach()[:, 0].norm(dim=1, keepdim=True)


def _beside(rows, vectors):
    return torch.cat([rows, vectors[:, None].expand(-1, rows.shape[1], -1)], -1)


@pytest.mark.parametrize("kind", KINDS)
def test_critics_and_actor_read_unit_vectors_beside_their_inputs(kind):
    agent, _, routing = _embedded(kind)
    batch, vectors = drawn_batch(), _vectors(agent)
    joined = _beside(torch.cat([batch.observations, batch.actions], -1), vectors)
    expected = agent.critics.network(joined, routing)[..., 0]
    found = q_values(agent.critics, batch.observations, batch.actions, routing)
    torch.testing.assert_close(found, expected)
    output = agent.actor(_beside(batch.observations, vectors), routing)[0]
    torch.testing.assert_close(agent.nets.policy(batch.observations, routing), output)
    assert not torch.allclose(vectors[0], vectors[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_critics_loss_trains_the_vectors_along_its_slope(kind):
    agent, _, routing = _embedded(kind)
    inputs, terms, vectors = inputs_of(agent, drawn_batch(), routing), agent._terms(), agent.critics.vectors

    def loss():
        return critic_loss(agent.nets, *inputs, terms).per_transition().double().sum()

    [gradient] = torch.autograd.grad(loss(), vectors)
    direction = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(1))
    actor_reads = agent.nets.policy(inputs.batch.next_observations, routing).detach()
    agent.nets.actor.forward = lambda x, routing: actor_reads[None]  # the target is constant
    with torch.no_grad():
        vectors.add_(direction, alpha=1e-3)
        above = loss()
        vectors.sub_(direction, alpha=2e-3)
        below = loss()
    assert float((gradient * direction).sum()) == pytest.approx(float(above - below) / 2e-3, rel=0.05)


def test_the_actors_loss_trains_no_vector_though_the_actor_reads_them():
    agent, _, routing = _embedded()
    inputs = inputs_of(agent, drawn_batch(), routing)
    agent.critics.network.requires_grad_(False)
    before = agent.nets.policy(inputs.batch.observations, routing)
    output = agent.nets.policy(inputs.batch.observations, routing)
    assert torch.autograd.grad(output.sum(), agent.critics.vectors, allow_unused=True) == (None,)
    with torch.no_grad():
        agent.critics.vectors.neg_()
    assert not torch.allclose(agent.nets.policy(inputs.batch.observations, routing), before)
    assert {id(p) for group in agent.optimizers.actor.param_groups for p in group["params"]} == {
        id(p) for p in agent.actor.parameters()
    }
    loss = actor_loss(agent.nets, *inputs, agent._terms())
    assert loss.per_transition().requires_grad


def test_targets_have_a_moving_average_of_the_vectors():
    agent, _, routing = _embedded(sac={"tau": 0.25, "learning_rate": 1e-2})
    before = agent.target_critics.vectors.clone()
    agent.update(drawn_batch(), routing, routing)
    assert not torch.equal(agent.critics.vectors, before)
    torch.testing.assert_close(agent.target_critics.vectors, 0.75 * before + 0.25 * agent.critics.vectors)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["mega", "mtsac"])
def test_operations_are_those_of_the_products_that_an_update_takes(kind, architecture):
    agent, _, routing = _embedded(kind, architecture=architecture, sac={"batch_size": BATCH})
    with Products() as products:
        agent.update(drawn_batch(), routing, routing)
    assert products.operations == agent.operations(routing.stages)


def test_growth_reaches_the_critics_beside_the_vectors():
    agent, _, routing = _embedded("genotype")
    agent.update(drawn_batch(), routing, routing)
    vectors = agent.critics.vectors.clone()
    agent.grow()
    assert [len(each.network.pool) for each in (agent.critics, agent.target_critics)] == [3, 3]
    agent.shrink()
    assert torch.equal(agent.critics.vectors, vectors)
    agent.update(drawn_batch(seed=1), routing, routing)


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_count_the_inputs_but_not_the_vectors(kind):
    settings = {"critic": {**KINDS[kind], "task_embedding": 5}, "match_parameters": 6000, "architecture": "mtsac"}
    agent, *_ = _made(settings)
    found = sizes(build_config(preset("smoke"), settings), SUITE)
    assert found.parameters == (agent.actor.parameter_count, agent.critics.parameter_count // 2)
    assert found.parameters[0] == pytest.approx(6000, rel=0.02)
    assert found.target[1] == (6000 if kind == "genotype" else None)
    assert isinstance(agent.critics, EmbeddedCritics)


def test_threads_share_an_update_of_every_new_part_and_repeat_its_bits():
    ends = []
    for shards in (1, 2, 2):
        agent, _, routing = _embedded(**EVERYTHING)
        agent.normaliser._returns.largest[:] = 5.0
        agent.executor.pool = ShardPool(shards)
        for seed in range(3):
            agent.update(drawn_batch(seed=seed), routing, routing)
        ends.append([*weights_of(agent), agent.critics.vectors])
    assert all(torch.equal(a, b) for a, b in zip(*ends[1:], strict=True))
    for one, two in zip(*ends[:2], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-2, atol=1e-3)


# ---------------------------------------------------------------------------------------------------------- optimizer


def test_weights_decay_apart_from_their_gradient():
    agents = [_made(sac={"gradient_clip": 1e9, "weight_decay": decay}) for decay in (0.0, 0.5)]
    routing = agents[0][2]
    before = [parameter.clone() for parameter in agents[0][0].critics.parameters()]
    for agent, *_ in agents:
        agent.update(drawn_batch(), routing, routing)
    (plain, *_), (decayed, *_) = agents
    for start, one, two in zip(before, plain.critics.parameters(), decayed.critics.parameters(), strict=True):
        torch.testing.assert_close(one - two, 3e-4 * 0.5 * start, rtol=1e-2, atol=1e-7)
    assert torch.equal(plain.log_temperature, decayed.log_temperature)


def test_a_step_that_is_left_out_decays_nothing():
    agent, _, routing = _made(sac={"weight_decay": 0.5})
    before = [weight.clone() for weight in agent.critics.parameters()]
    batch = drawn_batch()
    batch.rewards[0, 0] = torch.nan
    assert agent.update(batch, routing, routing)["skipped"] == 1
    assert all(torch.equal(a, b) for a, b in zip(before, agent.critics.parameters(), strict=True))


# ------------------------------------------------------------------------------------------------------------- export


@pytest.fixture(scope="module", params=["mega", *FIXED])
def seen(request, untrained):
    """A policy whose actor reads scaled observations and a task vector."""
    own = FIXED.get(request.param, {})
    more = {"critic": {**RESIDUAL["critic"], "task_embedding": 5}, **EVERYTHING, **own}
    made = untrained("smoke", 0 if own else 3, architecture=request.param, **more)
    rng, moments = np.random.default_rng(1), made.agent.normaliser._moments
    for _ in range(20):
        moments.add(rng.normal([[1.0], [-2.0]], 0.5, (2, 39)).astype(np.float32), np.ones(2, bool))
    made.agent.normaliser._publish()
    with torch.no_grad():
        for parameter in made.agent.actor_ema.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_files_hold_what_the_actor_sees_of_an_observation(seen, kind, tmp_path):
    exported = export_tasks(seen, tmp_path / "out", kind=kind)
    observations = torch.randn(2, 50, 39, generator=torch.Generator().manual_seed(7)) * 0.5 - 1
    expected = seen.greedy(observations).numpy()
    routing, agent = seen.routing, seen.agent
    rows = _beside(agent.normaliser.observations(observations), _vectors(agent))
    by_hand = torch.tanh(agent.actor_ema(rows, routing)[0][..., :4]).detach().numpy()
    np.testing.assert_allclose(expected, by_hand, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    for task, one in enumerate(exported):
        assert one.difference < 1e-4
        path = tmp_path / "out" / one.file
        own = observations[task]
        actions = _run_onnx(path, own.numpy()) if kind == "onnx" else torch.jit.load(path)(own).numpy()
        np.testing.assert_allclose(actions, expected[task], atol=1e-4)


def test_the_size_of_a_policy_is_known_from_its_config(seen, tmp_path):
    config, suite = seen.config, make_suite(seen.config)
    if config.architecture == "mega":
        found = policy_sizes.of_elites(config, suite, seen.routing)
    else:
        found = policy_sizes.at_start(config, suite).policy
    policies = [seen.policy(task, threshold=THRESHOLD) for task in range(2)]
    assert found.parameters == np.mean([policy.parameter_count for policy in policies])
    assert found.multiply_adds == np.mean([policy.multiply_adds for policy in policies])
