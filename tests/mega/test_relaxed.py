"""Relaxed codes: the weights that they give, and the gradient steps that train them."""

import numpy as np
import pytest
import torch

from genoevo import half_softmax as engines
from genoevo_mega.agents.distribution import tanh_gaussian
from genoevo_mega.agents.losses import q_values
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.relaxed_codes import half_softmax
from genoevo_mega.networks import Routing
from genoevo_mega.training.build import make_agent
from tests.mega.relaxed import codes_of, configured, fresh_evolver, move_codes, play_round

TASKS, BATCH = 2, 64


def _agent(**sac):
    config = configured(sac={"batch_size": BATCH, **sac})
    return make_agent(config, make_suite(config))


def _batch(agent, seed=0):
    rng = torch.Generator().manual_seed(seed)
    size = agent.actor.core.tensors()[1].shape[1]
    actions = torch.rand(TASKS, BATCH, agent.action_size, generator=rng) * 2 - 1
    first, following = torch.randn(2, TASKS, BATCH, size, generator=rng)
    rewards = torch.rand(TASKS, BATCH, generator=rng)
    return Batch(first, actions, rewards, following, torch.full((TASKS, BATCH), 0.9), torch.zeros(TASKS, BATCH))


# ------------------------------------------------------------------------------------------------- codes to weights


@pytest.mark.parametrize(("precision", "scale"), [(1, 1.0), (2, 1.0), (4, 0.5), (16, 1.0), (2, 0.0)])
def test_relaxed_weights_of_untrained_codes_are_those_the_engine_decodes(precision, scale):
    evolver = fresh_evolver(genotypes={"precision": precision, "start_stage": 2}, decoding={"decimal_scale": scale})
    evolver.community.growth = evolver.community.growth.__class__(max_modules=5, patience=1, warmup_rounds=0)
    play_round(evolver, ((1, 0), (1, 0), (1, 0)))
    assert evolver.stages.tolist() == [2, 2]
    play_round(evolver, ((1, 0), (1, 0), (1, 0)))
    assert evolver.stages.tolist() == [2, 3]
    relaxed, archive = evolver._relaxed.routing(np.array([1, 5])), evolver._store.routing(np.array([[1], [5]]))
    assert relaxed.stages == archive.stages
    for mine, theirs in zip(relaxed[:2], archive[:2], strict=True):
        assert mine.shape == theirs.shape
        torch.testing.assert_close(mine.detach(), theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.99])
def test_between_codes_weights_follow_the_engines_formula(offset):
    values = np.random.default_rng(0).uniform(0, 15, (20, 4))
    inside = torch.tensor([True, True, True, True, False])
    padded = torch.from_numpy(np.pad(values, ((0, 0), (0, 1)), constant_values=700.0))
    found = half_softmax(padded, inside, offset)
    np.testing.assert_allclose(found[:, :4].numpy(), engines(values, offset), rtol=1e-12)
    assert (found[:, 4] == 0).all()


def test_the_formulas_derivative_is_right_at_the_codes_themselves_too():
    values = torch.tensor(
        [[0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.5, 3.0, 0.2]], dtype=torch.float64, requires_grad=True
    )
    inside = torch.ones(3, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda v: half_softmax(v + 1e-3, inside, 0.99), values)
    half_softmax(values, inside, 0.99)[:, 0].sum().backward()
    assert torch.isfinite(values.grad).all()
    assert values.grad[0, 0] > 0


# ------------------------------------------------------------------------------------------ what trains them, and how


def _actor_loss(agent, batch, of_actor, of_critics):
    """The actor's loss of an update that follows at once, with weights of their own for either."""
    rng = torch.Generator()
    rng.set_state(agent.rng.get_state())
    _, noise = torch.randn(2, *batch.actions.shape, generator=rng)
    action, log_prob = tanh_gaussian(agent.actor(batch.observations, of_actor)[0], noise)
    value = q_values(agent.critics, batch.observations, action, of_critics).amin(0)
    return (agent.log_temperature.detach().exp()[:, None] * log_prob - value).mean()


@pytest.mark.parametrize("shards", [1, 2])
def test_codes_get_the_gradient_of_the_actors_loss_through_the_actor_alone(shards):
    evolver, agent = fresh_evolver(), _agent(learning_rate=1e-12)  # the critics' step comes first and is none
    agent.executor.pool = ShardPool(shards)
    batch, rows = _batch(agent), np.array([1, 5])
    move_codes(evolver, 0.3)
    routing = evolver._relaxed.routing(rows)
    constant = Routing(*(weights.detach() for weights in routing[:2]), routing.stages)
    trained = [evolver._relaxed._codes[row] for row in rows]
    expected = torch.autograd.grad(_actor_loss(agent, batch, routing, constant), trained, retain_graph=True)
    agent.update(batch, routing, routing)
    for code, gradient in zip(trained, expected, strict=True):
        assert gradient.abs().max() > 0
        torch.testing.assert_close(code.grad, gradient, rtol=1e-4, atol=1e-8)
    others = [code for row, code in enumerate(evolver._relaxed._codes) if row not in rows]
    assert all(code.grad is None for code in others)


def test_asking_for_codes_gradients_changes_no_bit_of_the_update():
    evolver, agents = fresh_evolver(), (_agent(), _agent())
    routing = evolver._relaxed.routing(np.array([0, 3]))
    constant = Routing(*(weights.detach() for weights in routing[:2]), routing.stages)
    batch = _batch(agents[0])
    assert agents[0].update(batch, routing, routing) == agents[1].update(batch, constant, constant)
    for name in ("actor", "critics"):
        pairs = zip(*(getattr(agent, name).parameters() for agent in agents), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("steps", [0, 8])
def test_where_weights_alone_can_learn_gradient_steps_lower_the_actors_loss(steps):
    settings = {"learning_rate": 1e-30, "tau": 0.0}
    evolver, agent = fresh_evolver(genotypes={"update_with": "elite"}), _agent(**settings)
    batch, rng = _batch(agent), np.random.default_rng(0)
    noise, before = agent.rng.get_state(), [parameter.clone() for parameter in agent.actor.parameters()]

    def loss():
        # The same noise, and critics that know of the first weights alone: what only the actor's weights can lower.
        agent.rng.set_state(noise)
        return float(
            _actor_loss(agent, batch, evolver.update_routing(batch.genotypes, rng), evolver.elite_routing()).detach()
        )

    first = loss()
    for _ in range(steps):
        agent.rng.set_state(noise)
        routing = evolver.update_routing(batch.genotypes, rng)
        agent.update(batch, routing, routing)
        evolver.step_relaxed_codes()
    assert all((a - b).abs().max() < 1e-20 for a, b in zip(agent.actor.parameters(), before, strict=True))
    assert loss() == first if not steps else loss() < first - 0.01


def test_a_step_moves_the_codes_it_used_by_adams_rate_and_leaves_the_others():
    evolver = fresh_evolver(genotypes={"hybrid_rate": 0.25})
    before = codes_of(evolver)
    routing = evolver._relaxed.routing(np.array([2, 3]))
    routing.output[:, 0, 0].sum().backward()
    evolver.step_relaxed_codes()
    moved = codes_of(evolver) - before
    assert (moved[[0, 1, 4, 5]] == 0).all()
    steps = evolver.state_arrays()["relaxed_steps"]
    assert steps.tolist() == [0, 0, 1, 1, 0, 0]
    # Against the gradient: the first weight of the output falls where its code may, by the whole rate.
    first = 5  # of the output's segment at stage 3
    for row in (2, 3):
        assert moved[row, first] == pytest.approx(-0.25 if before[row, first] else 0.0, rel=1e-3)
        assert (moved[row, :first] == 0).all()


def test_codes_stay_between_those_that_bits_can_say():
    evolver = fresh_evolver(genotypes={"hybrid_rate": 5.0})
    for sign in (1, -1):
        routing = evolver._relaxed.routing(np.array([0, 3]))
        (sign * routing.output[:, 0, 0].sum()).backward()
        evolver.step_relaxed_codes()
        assert codes_of(evolver).min() >= 0
        assert codes_of(evolver).max() <= 3


def test_a_gradient_that_is_not_finite_makes_no_step():
    evolver = fresh_evolver()
    before = evolver.state_arrays()
    evolver._relaxed.routing(np.array([0, 3])).output.backward(torch.full((2, 1, 6), torch.nan))
    evolver.step_relaxed_codes()
    assert all(np.array_equal(before[name], array) for name, array in evolver.state_arrays().items())
    assert all(code.grad is None for code in evolver._relaxed._codes)


def test_without_the_setting_weights_ask_for_no_gradient_and_nothing_is_kept():
    evolver = fresh_evolver(genotypes={"hybrid_rate": None})
    routing = evolver.update_routing(torch.zeros(2, 4, dtype=torch.int64), np.random.default_rng(0))
    assert not routing.output.requires_grad
    assert not any(name.startswith("relaxed") for name in evolver.state_arrays())
    assert "rewritten" not in play_round(evolver).descent


@pytest.mark.parametrize("update_with", ["sample", "elite"])
def test_the_same_genotypes_are_used_as_without_gradient_steps(update_with):
    stored, found = torch.zeros(2, 4, dtype=torch.int64), []
    for rate in (0.1, None):
        evolver = fresh_evolver(genotypes={"hybrid_rate": rate, "update_with": update_with})
        rng = np.random.default_rng(7)
        found.append(torch.stack([evolver.update_routing(stored, rng).output.detach() for _ in range(9)]))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)
