"""Critics of their own kind, values of many genotypes, and modules that are removed again."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genoevo_mega.agents.distribution import mean_action
from genoevo_mega.agents.losses import q_values
from genoevo_mega.agents.sizing import sizes
from genoevo_mega.config.critic import Critic
from genoevo_mega.config.networks import ARCHITECTURES
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_mega.networks import ModularNetwork, ResidualNetwork, Routing
from genoevo_mega.training import agent_state, checkpoint
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_mega.training.checkpoint_files import FORMAT, VERSION
from genoevo_runs.errors import CorruptFileError
from tests.mega.checkpoint.tiny import resumed_to, train
from tests.mega.updates import BATCH, SUITE, Products, drawn_batch, weights_of

RESIDUAL = {"critic": {"kind": "residual", "width": 12, "blocks": 2}}


def _made(*settings, **more):
    """An agent of the preset smoke, its structure, and a routing."""
    config = build_config(preset("smoke"), *settings, more)
    structure = make_structure(config, list(SUITE.names), 1)
    return make_agent(config, SUITE), structure, structure.acting_routing()


# ------------------------------------------------------------------------------------------------------- the network


def _normal(v):
    return (v - v.mean()) / np.sqrt(v.var() + 1e-5)


def _residual(tensors, x, task):
    scale, shift, *layers = tensors

    def linear(v):
        weight, bias = layers.pop(0), layers.pop(0)
        return v @ weight + bias[0]

    h = np.maximum(scale[task, 0] * _normal(linear(x)) + shift[task, 0], 0)
    while len(layers) > 2:
        h = h + _normal(linear(np.maximum(_normal(linear(h)), 0)))
    return linear(h)


def _network(**settings):
    rng = torch.Generator().manual_seed(0)
    network = ResidualNetwork(5, 2, tasks=3, ensemble=2, config=Critic(width=8, blocks=3), rng=rng, **settings)
    with torch.no_grad():  # no bias may be 0
        network.core.flat.add_(0.3 * torch.randn(network.core.flat.shape, generator=rng))
    return network, torch.randn(3, 4, 5, generator=rng)


def _routing(seed=0):
    return Routing(torch.rand(3, 1, 1, 2), torch.rand(3, 1, 3), (2, 1, 2))


def test_the_output_is_that_of_the_rules_row_by_row():
    network, x = _network()
    out = network(x, _routing()).detach().numpy()
    assert out.shape == (2, 3, 4, 2)
    for member in range(2):
        tensors = [tensor[member].detach().double().numpy() for tensor in network.core.tensors()]
        for task in range(3):
            for row in range(4):
                expected = _residual(tensors, x[task, row].double().numpy(), task)
                np.testing.assert_allclose(out[member, task, row], expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_finite_differences():
    network, x = _network()
    network, x = network.double(), x.double().requires_grad_()
    network.precision = torch.float64
    direction = torch.randn(network.core.flat.shape, generator=torch.Generator().manual_seed(7)).double()
    weights, of_x = torch.autograd.grad(network(x, _routing()).square().sum(), [network.core.flat, x])

    def at(step):
        with torch.no_grad():
            network.core.flat.add_(direction, alpha=step)
            value = network(x + step * torch.ones_like(x), _routing()).square().sum()
            network.core.flat.sub_(direction, alpha=step)
        return float(value)

    slope = (at(1e-6) - at(-1e-6)) / 2e-6
    assert float((weights * direction).sum() + of_x.sum()) == pytest.approx(slope, rel=1e-5)


def test_the_first_scales_are_near_one_and_the_first_shifts_near_zero_and_no_two_tasks_have_the_same():
    rng = torch.Generator().manual_seed(0)
    network = ResidualNetwork(5, 1, tasks=3, ensemble=2, config=Critic(), rng=rng)
    for vectors, centre in zip(network.core.tensors()[:2], (1.0, 0.0), strict=True):
        assert vectors.shape == (2, 3, 1, 128)
        assert (vectors - centre).abs().max() <= 0.1
        assert len({tuple(vector) for vector in vectors.flatten(0, 2).tolist()}) == 6


def test_bf16_agrees_with_fp32_within_its_rounding():
    (exact, x), (rounded, _) = _network(), _network(precision=torch.bfloat16)
    out, about = exact(x, _routing()), rounded(x, _routing())
    assert about.dtype == torch.float32
    assert not torch.equal(out, about)
    assert (out - about).abs().median() < 0.05 * out.abs().median()


# ------------------------------------------------------------------------------------------------ the agent's critics


def test_by_default_the_critics_are_of_the_actors_architecture():
    for architecture in ARCHITECTURES:
        agent, *_ = _made(architecture=architecture)
        assert type(agent.critics) is type(agent.actor)


def test_residual_critics_are_equal_for_every_architecture_and_size():
    shapes = set()
    for architecture in ARCHITECTURES:
        for size in (None, 6000):
            agent, *_ = _made(RESIDUAL, architecture=architecture, match_parameters=size)
            assert isinstance(agent.critics, ResidualNetwork)
            assert isinstance(agent.target_critics, ResidualNetwork)
            shapes.add(tuple(agent.critics.core.shapes))
    assert len(shapes) == 1


def test_a_size_is_met_by_the_actor_alone():
    config = build_config(preset("mt10"), {"architecture": "mtsac", "match_parameters": "mega:6"}, RESIDUAL)
    suite = make_suite(config)
    agent, found = make_agent(config, suite), sizes(config, suite)
    assert found.target[1] is None
    assert found.parameters == (agent.actor.parameter_count, agent.critics.parameter_count // 2)
    assert found.parameters[0] == pytest.approx(found.target[0], rel=0.02)
    assert runs.matched(config)["critic"] == {"target": None, "parameters": found.parameters[1]}


def test_a_residual_critics_value_depends_on_no_genotype():
    agent, _, routing = _made(RESIDUAL)
    other = make_structure(build_config(preset("smoke")), list(SUITE.names), 2).acting_routing()
    batch = drawn_batch()
    found = [q_values(agent.critics, batch.observations, batch.actions, each) for each in (routing, other)]
    assert not torch.equal(routing.output, other.output)
    assert torch.equal(*found)


@pytest.mark.parametrize("architecture", ["mega", "mtsac"])
def test_operations_are_those_of_the_products_that_an_update_takes(architecture):
    agent, _, routing = _made(RESIDUAL, architecture=architecture, sac={"batch_size": BATCH})
    with Products() as products:
        agent.update(drawn_batch(), routing, routing)
    assert products.operations == agent.operations(routing.stages)


def test_growth_leaves_residual_critics_as_they_are():
    agent, _, routing = _made(RESIDUAL)
    agent.update(drawn_batch(), routing, routing)
    before = {name: value.clone() for name, value in agent_state.tensors(agent).items() if "critics" in name}
    agent.grow()
    assert [len(network.pool) for network in (agent.actor, agent.actor_ema)] == [3, 3]
    after = agent_state.tensors(agent)
    assert before.keys() == {name for name in after if "critics" in name}
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_relaxed_codes_are_trained_under_residual_critics():
    agent, _, routing = _made(RESIDUAL)
    own = routing.map(lambda weights: weights.clone().requires_grad_())
    agent.update(drawn_batch(), own, routing)
    assert own.output.grad.abs().max() > 0


@pytest.mark.parametrize("kind", ["genotype", "residual"])
def test_a_run_in_parts_equals_the_run_in_one_through_growth(tmp_path, kind):
    settings = {"suite": "pendulum-4goals", "critic": {**RESIDUAL["critic"], "kind": kind}, "steps": 120}
    train(tmp_path / "whole", **settings)
    train(tmp_path / "parts", **settings | {"steps": 55})
    resumed_to(tmp_path / "parts", 120)
    whole, parts = (runs.info(tmp_path / name) for name in ("whole", "parts"))
    assert whole["pool_size"] == 3  # it grew
    assert parts["digest"] == whole["digest"]


def test_a_checkpoint_of_another_kind_of_critic_is_refused(tmp_path):
    trainer = train(tmp_path / "run", **RESIDUAL)
    path = checkpoint.find(tmp_path / "run")
    other = make_agent(build_config(trainer.config.model_dump(), {"critic": {"blocks": 1}}), trainer.suite)
    with pytest.raises(CorruptFileError, match="does not fit the run's config"):
        agent_state.load(path / "agent.safetensors", other)


# ----------------------------------------------------------------------------------------------- values of genotypes


@pytest.mark.parametrize("settings", [{}, RESIDUAL])
def test_values_are_the_smaller_of_both_critics_for_the_actors_greedy_action(settings):
    agent, _, routing = _made(settings, sac={"actor_ema_tau": 0.1})
    agent.update(drawn_batch(), routing, routing)
    rows, before = drawn_batch(seed=3).observations, agent.rng.get_state()
    with torch.no_grad():
        actions = torch.tanh(agent.actor(rows, routing)[0][..., :4])
        joined = torch.cat([rows, actions], -1)
        one, two = agent.critics(joined, routing)[..., 0]
    found = agent.values(rows, routing, routing)
    assert found.shape == rows.shape[:2]
    assert not found.requires_grad
    assert torch.equal(found, torch.minimum(one, two))
    assert torch.equal(agent.rng.get_state(), before)


def test_values_of_a_genotype_in_each_row_are_those_of_each_genotype_alone():
    agent, _, routing = _made()
    others = [routing.map(lambda weights, shift=shift: weights.roll(shift, 0)) for shift in range(2)]
    rows = drawn_batch().observations[:, :2]
    inputs, output = (torch.cat([getattr(each, name) for each in others], 1) for name in ("inputs", "output"))
    together = Routing(inputs, output, routing.stages)
    found = agent.values(rows, together, routing)
    for row, own in enumerate(others):
        torch.testing.assert_close(found[:, row], agent.values(rows, own, routing)[:, row])
    assert not torch.allclose(found[:, 1], agent.values(rows, others[0], routing)[:, 1])


def test_values_use_a_critic_routing_of_their_own():
    agent, _, routing = _made()
    swapped = routing.map(lambda weights: weights.flip(0))
    rows = drawn_batch().observations
    with torch.no_grad():
        actions = mean_action(agent.actor(rows, routing)[0])
        expected = q_values(agent.critics, rows, actions, swapped).amin(0)
    assert torch.equal(agent.values(rows, routing, swapped), expected)


# ------------------------------------------------------------------------------------------ modules that are removed


def test_removing_a_module_undoes_growth():
    agent, _, routing = _made()
    for seed in range(3):
        agent.update(drawn_batch(seed=seed), routing, routing)
    before = agent_state.tensors(agent)
    agent.grow()
    agent.shrink()
    after = agent_state.tensors(agent)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items() if name != agent_state.RNG)
    held = {id(p) for p in agent.actor.parameters()}
    assert {id(p) for group in agent.optimizers.actor.param_groups for p in group["params"]} == held


@pytest.mark.parametrize("settings", [{}, RESIDUAL])
def test_the_state_of_a_module_that_was_trained_goes_with_it(settings):
    agent, *_ = _made(settings)
    routing = Routing(torch.full((2, 1, 1, 2), 0.5), torch.full((2, 1, 3), 1 / 3), (2, 2))
    agent.update(drawn_batch(), routing, routing)
    assert "adam/actor/pool.1.flat/exp_avg" in agent_state.tensors(agent)
    agent.shrink()  # the last module of the start stage: it shares a group of the optimizer with the others
    names = agent_state.tensors(agent)
    assert not [name for name in names if "pool.1" in name]
    assert isinstance(agent.actor, ModularNetwork)
    assert [len(each.pool) for each in (agent.actor, agent.actor_ema)] == [1, 1]
    assert len(agent.optimizers.actor.state) == 2


def test_an_agent_that_lost_a_module_resumes_bit_for_bit(tmp_path):
    agent, *_ = _made()
    two = Routing(torch.full((2, 1, 1, 2), 0.5), torch.full((2, 1, 3), 1 / 3), (2, 2))
    one = Routing(torch.full((2, 1, 1, 2), 0.5), torch.full((2, 1, 3), 0.5), (1, 1))
    agent.update(drawn_batch(), two, two)
    agent.shrink()
    agent.update(drawn_batch(seed=1), one, one)
    path = tmp_path / "agent.safetensors"
    save_file(agent_state.tensors(agent), path, {"format": FORMAT, "version": str(VERSION)})
    twin, *_ = _made()
    twin.shrink()
    agent_state.load(path, twin)
    for each in (agent, twin):
        each.update(drawn_batch(seed=2), one, one)
        each.grow()
        each.update(drawn_batch(seed=3), two, two)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(agent), weights_of(twin), strict=True))
    mine, theirs = agent_state.tensors(agent), agent_state.tensors(twin)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
