import copy
import math

import numpy as np
import pytest
import torch

from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.sizing import scaled, sizes
from genoevo_mega.config.networks import ARCHITECTURES as NAMES
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.static import StaticStructure
from genoevo_mega.experiments import runs
from genoevo_mega.networks import ARCHITECTURES, Routing
from genoevo_mega.training import checkpoint
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_runs.errors import ConfigError, UserError

FIXED = [name for name in ARCHITECTURES if name != "mega"]
TASKS, BATCH, INPUTS, OUTPUTS = 3, 4, 5, 2
SMALL = {
    "mlp": {"layers": [7, 6]},
    "soft_modules": {"width": 8, "module_width": 6, "gating_width": 5, "layers": 3, "modules": 2},
    "paco": {"layers": [7, 6], "sets": 3},
    "moore": {"layers": [7, 6], "experts": 3},
    "d2r": {"width": 8, "module_width": 6, "gating_width": 5, "modules": 5, "sources": 2},
}
ROUTING = Routing(torch.zeros(TASKS, 1, 1, 1), torch.zeros(TASKS, 1, 1), (0,) * TASKS)


def _network(architecture, ensemble=2, seed=0, precision=torch.float32, layer_norm=False, **sizes):
    network, group = ARCHITECTURES[architecture]
    config = getattr(build_config({group: SMALL[group] | sizes}), group)
    rng = torch.Generator().manual_seed(seed)
    given = {"tasks": TASKS, "ensemble": ensemble, "config": config, "precision": precision, "layer_norm": layer_norm}
    made = network(INPUTS, OUTPUTS, rng=rng, **given)
    with torch.no_grad():  # nothing may be 0: biases count too, and the layers that give routes are drawn small
        made.core.flat.add_(0.3 * torch.randn(made.core.flat.shape, generator=rng))
    return made


def _x(rows=BATCH, seed=2):
    return torch.randn(TASKS, rows, INPUTS, generator=torch.Generator().manual_seed(seed))


def test_the_config_names_the_architectures_that_are_registered():
    assert tuple(ARCHITECTURES) == NAMES
    assert all(group in Config.model_fields for _, group in ARCHITECTURES.values())


# ------------------------------------------------------------------- every rule once more, row by row, in numpy


def _relu(v):
    return np.maximum(v, 0)


def _normal_relu(v):
    return _relu((v - v.mean()) / np.sqrt(v.var() + 1e-5))


def _softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def _mlp(tensors, x, task, relu, heads):
    of_task, *layers = tensors
    hidden, (head, bias) = layers[:-2], layers[-2:]
    x = relu(x @ hidden[0] + hidden[1][0] + of_task[task, 0])
    for weight, offset in zip(hidden[2::2], hidden[3::2], strict=True):
        x = relu(x @ weight + offset[0])
    return x @ head[task] + bias[task, 0] if heads else x @ head + bias[0]


def _mtsac(tensors, x, task, relu):
    return _mlp(tensors, x, task, relu, heads=False)


def _mtmhsac(tensors, x, task, relu):
    return _mlp(tensors, x, task, relu, heads=True)


def _paco(tensors, x, task, relu):
    mixture, *layers = tensors
    own = [sum(mixture[task, k] * layer[k] for k in range(len(layer))) for layer in layers]
    for weight, bias in zip(own[:-2:2], own[1:-2:2], strict=True):
        x = relu(x @ weight + bias[0])
    return x @ own[-2] + own[-1][0]


def _moore(tensors, x, task, relu):
    mixture, *layers, head, bias = tensors
    experts = []
    for k in range(len(layers[0])):
        h = x
        for i in range(0, len(layers), 2):
            h = h @ layers[i][k] + layers[i + 1][k, 0]
            h = h if i == len(layers) - 2 else relu(h)
        experts.append(h)
    # The Q of a QR decomposition is the Gram-Schmidt basis up to signs.
    q, r = np.linalg.qr(np.stack(experts, axis=1))
    basis = q * np.sign(np.diag(r))
    return np.tanh(basis @ mixture[task, 0]) @ head[task] + bias[task, 0]


def _soft_modules(tensors, x, task, relu, layers=3, n=2):
    of_task, of_all, *rest = tensors
    dense, modules = rest[: -2 * layers], rest[-2 * layers :]

    def linear(v):
        weight, bias = dense.pop(0), dense.pop(0)
        return v @ weight + bias[0]

    observation = linear(relu(linear(x)))
    embedding = linear(relu(linear(relu(observation * (of_task[task, 0] + of_all[0, 0])))))
    shares = []
    for layer in range(layers):
        gate = embedding if layer == 0 else linear(np.concatenate([s.ravel() for s in shares])) * embedding
        logits = linear(relu(gate)).reshape(-1, n)
        shares.append(np.stack([_softmax(row) for row in logits]))
    sources = [relu(observation)] * n
    for layer, share in enumerate(shares):
        weight, bias = modules[2 * layer : 2 * layer + 2]
        out = [sources[j] @ weight[j] + bias[j, 0] for j in range(n)]
        sources = [relu(sum(p * o for p, o in zip(row, out, strict=True))) for row in share]
    return linear(sources[0])


def _d2r(tensors, x, task, relu, modules=5, top=2):
    of_task, of_all, *rest = tensors
    layers = list(zip(rest[::2], rest[1::2], strict=True))

    def linear(v):
        weight, bias = layers.pop(0)
        return v @ weight + bias[0]

    observation = linear(relu(linear(x)))
    gate = observation * (of_task[task, 0] + of_all[0, 0])
    logits = linear(relu(linear(relu(linear(gate)))))
    outputs = [relu(linear(relu(observation)))]
    for candidates in range(1, modules + 1):
        own, logits = logits[:candidates], logits[candidates:]
        best = np.argsort(-own)[:top]
        mixed = sum(p * outputs[j] for p, j in zip(_softmax(own[best]), best, strict=True))
        if candidates < modules:
            outputs.append(relu(linear(mixed)) + mixed)
    return linear(mixed)


REFERENCES = {
    "mtsac": _mtsac,
    "mtmhsac": _mtmhsac,
    "paco": _paco,
    "moore": _moore,
    "soft-modules": _soft_modules,
    "d2r": _d2r,
}


@pytest.mark.parametrize(("layer_norm", "relu"), [(False, _relu), (True, _normal_relu)])
@pytest.mark.parametrize("architecture", FIXED)
def test_the_output_is_that_of_the_rules_row_by_row(architecture, layer_norm, relu):
    network, x = _network(architecture, layer_norm=layer_norm), _x()
    out = network(x, ROUTING).detach().numpy()
    assert out.shape == (2, TASKS, BATCH, OUTPUTS)
    for member in range(2):
        tensors = [tensor[member].detach().double().numpy() for tensor in network.core.tensors()]
        for task in range(TASKS):
            for row in range(BATCH):
                expected = REFERENCES[architecture](tensors, x[task, row].double().numpy(), task, relu)
                np.testing.assert_allclose(out[member, task, row], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_a_batch_in_parts_has_the_outputs_and_summed_gradients_of_the_whole(architecture, layer_norm):
    network, x = _network(architecture, layer_norm=layer_norm).double(), _x().double()
    network.precision = torch.float64
    whole = network(x, ROUTING)
    parts = [network(part, ROUTING) for part in x.split([1, 3], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)
    expected = torch.autograd.grad(whole.square().sum(), list(network.parameters()))
    found = [torch.autograd.grad(part.square().sum(), list(network.parameters())) for part in parts]
    for mine, *theirs in zip(expected, *found, strict=True):
        torch.testing.assert_close(sum(theirs), mine)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_gradients_are_those_of_finite_differences(architecture, layer_norm):
    made = _network(architecture, ensemble=1, layer_norm=layer_norm)
    network, x = made.double(), _x().double().requires_grad_()
    network.precision = torch.float64
    if architecture == "d2r":  # ResRouting bends gradients on purpose; with every source likely it does not
        network._sources = 1
    direction = torch.randn(network.core.flat.shape, generator=torch.Generator().manual_seed(7)).double()
    of_x = torch.randn(x.shape, generator=torch.Generator().manual_seed(8)).double()
    loss = network(x, ROUTING).square().sum()
    weights, inputs = torch.autograd.grad(loss, [network.core.flat, x])

    def at(step):
        with torch.no_grad():
            network.core.flat.add_(direction, alpha=step)
            value = network(x + step * of_x, ROUTING).square().sum()
            network.core.flat.sub_(direction, alpha=step)
        return float(value)

    slope = (at(1e-6) - at(-1e-6)) / 2e-6
    assert float((weights * direction).sum() + (inputs * of_x).sum()) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(("logit", "trained"), [(-5.0, False), (4.9, True)])
def test_a_source_below_its_share_is_not_trained_and_passes_gradients_through_its_shortcut_alone(logit, trained):
    network = _network("d2r", modules=2, sources=2)
    tensors = network.core.tensors()
    with torch.no_grad():
        tensors[10].zero_()
        tensors[11].copy_(torch.tensor([0.0, 5.0, logit]).expand_as(tensors[11]))  # module 2 reads 1; the head both
    network(_x(), ROUTING).square().sum().backward()
    gradients = network.core.tensors(network.core.flat.grad)
    assert gradients[12].abs().max() > 0
    assert bool(gradients[14].abs().max() > 0) == trained


@pytest.mark.parametrize("architecture", FIXED)
def test_tasks_are_told_apart_and_members_are_independent(architecture):
    network = _network(architecture)
    out = network(_x()[:1].expand(TASKS, -1, -1), ROUTING)
    assert not torch.allclose(out[:, 0], out[:, 1])
    out[0].sum().backward()
    assert all(gradient[1].abs().max() == 0 for gradient in network.core.tensors(network.core.flat.grad))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("architecture", FIXED)
def test_bf16_agrees_with_fp32_within_its_rounding(architecture, layer_norm):
    exact, rounded = (
        _network(architecture, precision=kind, layer_norm=layer_norm)(_x(50), ROUTING)
        for kind in (torch.float32, torch.bfloat16)
    )
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    # The median: near a tie of two routes bf16 may take the other one.
    assert (exact - rounded).abs().median() < 0.05 * exact.abs().median()


def test_operations_are_two_for_every_weight_that_a_row_meets():
    expected = {
        "mtsac": 5 * 7 + 7 * 6 + 6 * 2,
        "mtmhsac": 5 * 7 + 7 * 6 + 6 * 2,
        "paco": 5 * 7 + 7 * 6 + 6 * 2,
        "moore": 3 * (5 * 7 + 7 * 6) + 6 * 2,
        "soft-modules": 5 * 8
        + 8 * 8
        + 8 * 5
        + 5 * 5
        + 3 * (5 * 4)
        - 5 * 2
        + 4 * 5
        + 8 * 5
        + 2 * (8 * 6 + 2 * 36)
        + 12,
        "d2r": 5 * 8 + 8 * 8 + 8 * 5 + 5 * 5 + 5 * 15 + 8 * 6 + 4 * 36 + 12,
    }
    first = {"moore": 3 * 5 * 7, "soft-modules": 5 * 8, "d2r": 5 * 8}
    for architecture in FIXED:
        network = _network(architecture)
        assert network.operations((0, 0, 0)) == 2 * 2 * 3 * expected[architecture]
        rest = expected[architecture] - first.get(architecture, 5 * 7)
        assert network.operations((0, 0, 0), first_layer=False) == 2 * 2 * 3 * rest


# ---------------------------------------------------------------------------------------------- numbers of parameters


@pytest.mark.parametrize(
    ("architecture", "actor"),
    [
        ("mtsac", 344_008),
        ("mtmhsac", 372_880),
        ("soft-modules", 691_022),
        ("paco", 1_700_090),
        ("moore", 1_379_320),
        ("d2r", 684_240),
    ],
)
def test_the_actor_for_mt10_has_the_published_number_of_parameters(architecture, actor):
    config = build_config(preset("mt10"), {"architecture": architecture})
    suite = make_suite(config)
    assert sizes(config, suite).parameters[0] == actor
    assert make_agent(config, suite).actor.parameter_count == actor


@pytest.mark.parametrize(("base", "target"), [("mt10", "mega"), ("demo", "mega:6"), ("mt50", 60_000)])
@pytest.mark.parametrize("architecture", FIXED)
def test_networks_are_sized_to_the_target_within_two_percent(architecture, target, base):
    config = build_config(preset(base), {"architecture": architecture, "match_parameters": target})
    suite = make_suite(config)
    found = sizes(config, suite)
    for parameters, wanted in zip(found.parameters, found.target, strict=True):
        assert parameters == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("stage", [3, 6])
def test_the_target_is_megas_own_number_of_parameters(stage):
    config = build_config(preset("mt10"), {"architecture": "mtsac", "match_parameters": f"mega:{stage}"})
    mega = build_config(preset("mt10"), {"genotypes": {"start_stage": stage}})
    agent = make_agent(mega, make_suite(mega))
    target = sizes(config, make_suite(config)).target
    assert target == (agent.actor.parameter_count, agent.critics.parameter_count // 2)


def test_the_agents_networks_have_the_sizes_found():
    config = build_config(preset("mt10"), {"architecture": "paco", "match_parameters": "mega"})
    suite = make_suite(config)
    agent, found = make_agent(config, suite), sizes(config, suite)
    counts = agent.actor.parameter_count, agent.critics.parameter_count // 2
    assert counts == found.parameters
    assert [agent.actor_ema.parameter_count, agent.target_critics.parameter_count // 2] == list(counts)


def test_mega_is_sized_to_a_number_and_otherwise_left_as_it_is():
    config = build_config(preset("mt10"), {"match_parameters": 300_000})
    assert sizes(config, make_suite(config)).parameters == pytest.approx((300_000, 300_000), rel=0.02)
    config = build_config(preset("mt10"), {"match_parameters": "mega:6"})
    found, start = sizes(config, make_suite(config)), build_config(preset("mt10"))
    assert found.settings[0] == config.network
    assert found.parameters == sizes(start, make_suite(start)).parameters
    grown = build_config(preset("mt10"), {"genotypes": {"start_stage": 6}})
    assert found.target == sizes(grown, make_suite(grown)).parameters


def test_a_size_out_of_reach_names_the_nearest():
    config = build_config(preset("smoke"), {"architecture": "d2r", "match_parameters": 300})
    with pytest.raises(ConfigError, match=r"no widths of d2r come within 2% of 300 .* the nearest have \d+ \(width"):
        sizes(config, make_suite(config))


@pytest.mark.parametrize("size", ["mega:0", "mtsac", 0, -5, "5 modules"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigError, match=r"match_parameters = .* must be mega, mega:STAGE or a number"):
        build_config({"match_parameters": size})


@pytest.mark.parametrize("group", ["network", "mlp", "soft_modules", "paco", "moore", "d2r"])
def test_a_factor_of_one_changes_no_width(group):
    settings = getattr(Config(), group)
    assert scaled(settings, 1.0) == settings


def test_equal_widths_step_up_one_after_the_other():
    settings = Config().mlp
    values = []
    for factor in np.linspace(0.1, 0.3, 4000):
        found = scaled(settings, factor)
        values.append(sum(found.layers))
    assert set(np.diff(values)) == {0, 1}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layer_norm_is_in_actor_and_critics_and_adds_no_parameter(architecture):
    settings = {"architecture": architecture, "network": {"width": 32}}
    plain, normal = (build_config(preset("smoke"), settings, {"layer_norm": on}) for on in (False, True))
    suite = make_suite(plain)
    assert sizes(plain, suite).parameters == sizes(normal, suite).parameters
    routing = make_structure(plain, list(suite.names), 1).acting_routing()
    one, other = make_agent(plain, suite), make_agent(normal, suite)
    for network, features in (("actor", 39), ("critics", 43)):
        x = torch.ones(2, 1, features)
        assert not torch.equal(getattr(one, network)(x, routing), getattr(other, network)(x, routing))


# ------------------------------------------------------------------------------------------ one update of the learner


def _agent(architecture):
    config = build_config(preset("smoke"), SMALL, {"architecture": architecture})
    suite = make_suite(config)
    return make_agent(config, suite), make_structure(config, list(suite.names), 1).acting_routing()


def _batch():
    rng = torch.Generator().manual_seed(0)
    shape = 2, 16
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng) * 2 - 1,
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, 0.99),
        torch.zeros(shape, dtype=torch.int64),
    )


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
    _written_out_update(twin, _batch(), routing)
    agent.update(_batch(), routing, routing)
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
