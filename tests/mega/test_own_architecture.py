import sys

import pytest
import torch
from torch import nn

from genoevo_cli.main import cli
from genoevo_mega.agents.sizing import sizes
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_mega.networks import Routing
from genoevo_mega.networks.custom import make_custom
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError, UserError

MODULE = """
import torch
from torch import nn

from genoevo_mega.networks import FixedNetwork, linear, shared, task_vectors

nothing = 3


class Plain(FixedNetwork):
    def __init__(self, inputs, outputs, *, tasks, ensemble, rng, precision):
        tensors = linear(ensemble, inputs, outputs, rng)
        products = inputs * outputs, inputs * outputs
        super().__init__(tensors, ensemble=ensemble, precision=precision, products=products)

    def compute(self, x, tensors):
        return shared(x, *tensors)


class PerTask(FixedNetwork):
    def __init__(self, inputs, outputs, *, tasks, ensemble, rng, precision, by_task=(0,)):
        tensors = [task_vectors(ensemble, tasks, inputs, rng), *linear(ensemble, inputs, outputs, rng)]
        products = inputs * outputs, inputs * outputs
        super().__init__(tensors, ensemble=ensemble, precision=precision, products=products, by_task=by_task)

    def compute(self, x, tensors):
        factor, *layer = tensors
        return shared(x * factor, *layer)


def forgetful(*shape, **given):
    return PerTask(*shape, **given, by_task=())


class Bare(nn.Module):
    def __init__(self, inputs, outputs, *, tasks, ensemble, rng, precision):
        super().__init__()
        self.layer, self.pool, self.ensemble = nn.Linear(inputs, outputs), nn.ModuleList(), ensemble

    @property
    def parameter_count(self):
        return sum(own.numel() for own in self.parameters())

    def operations(self, stages, *, first_layer=True):
        return 1.0

    def forward(self, x, routing):
        return self.layer(x).expand(self.ensemble, -1, -1, -1)


class Single(Plain):
    def compute(self, x, tensors):
        return shared(x, *tensors)[0]


class Pooled(Plain):
    def __init__(self, *shape, **given):
        super().__init__(*shape, **given)
        self.pool.append(nn.Linear(2, 2))


class Uncounted(Plain):
    parameter_count = 3


class Free(Plain):
    def operations(self, stages, *, first_layer=True):
        return 0


def failing(inputs, outputs, **given):
    raise RuntimeError("no such\\nnetwork")


def module(inputs, outputs, **given):
    return "a network"
"""
NAME = "mine.nets:Plain"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A working directory with the package mine, from which nothing was allowed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv(user_code.ALLOWED["architecture"], "")
    yield tmp_path
    for name in ("mine", "mine.nets"):
        sys.modules.pop(name, None)


def _config(**settings):
    return build_config(preset("smoke"), {"suite": "point,car", "architecture": NAME, **settings})


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


def test_a_network_of_ones_own_trains_and_goes_on_once_it_is_allowed(package, monkeypatch, capsys):
    small = ["--preset", "smoke", "--suite", "point,car", "--set", "evaluation.at_end=false"]
    assert _genoevo("train", *small, "--architecture", NAME, "--run-dir", "run", "--steps", 100) == 0
    assert runs.info(package / "run")["parameters"]["actor"] == 9 * 4 + 4
    monkeypatch.setenv(user_code.ALLOWED["architecture"], "")
    assert f"Continue with: genoevo mega resume run --architecture {NAME} --steps 200\n" in capsys.readouterr().err
    assert _genoevo("resume", "run", "--steps", 120) == 2
    refused = capsys.readouterr().err
    assert (
        f"names the architecture {NAME}, which is code; if you trust it, say so with --architecture {NAME}" in refused
    )
    assert refused.count("\n") == 1
    assert _genoevo("resume", "run", "--steps", 120, "--architecture", NAME) == 0


def test_a_run_that_stops_and_goes_on_ends_with_the_same_weights(package, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["architecture"], NAME)
    config = _config(evaluation={"at_end": False})
    runs.create(package / "whole", config, [], print).run(200)
    runs.create(package / "parts", config, [], print).run(120)
    runs.resume(package / "parts").run(200)
    assert runs.info(package / "whole")["digest"] == runs.info(package / "parts")["digest"]


@pytest.mark.parametrize("name", ["Plain", "PerTask"])
def test_one_tasks_policy_computes_what_the_network_of_all_tasks_does(package, untrained, name):
    trained = untrained("smoke", 0, suite="point,car", architecture=f"mine.nets:{name}")
    observations = torch.rand(2, 3, trained.suite.observation_size)
    for task in range(2):
        assert torch.allclose(trained.policy(task)(observations[task]), trained.greedy(observations)[task], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forgetful", "PerTask: by_task must name every tensor whose second axis is the tasks"),
        ("Bare", r"architecture = 'mine\.nets:Bare': .*only from a genoevo_mega\.networks\.FixedNetwork"),
    ],
)
def test_a_network_that_one_task_cannot_be_taken_from_is_refused(package, untrained, name, message):
    trained = untrained("smoke", 0, suite="point,car", architecture=f"mine.nets:{name}")
    with pytest.raises(UserError, match=message):
        trained.policy(1)


def test_it_is_not_imported_from_the_run_directory(package, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["architecture"], NAME)
    with pytest.raises(UserError, match=r"architecture mine\.nets:Plain: mine lies in .*, from which no code is run"):
        user_code.check_allowed({"suite": "mt10", "architecture": NAME}, package)


def test_its_critics_may_be_residual(package, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["architecture"], NAME)
    config = _config(critic={"kind": "residual", "width": 8}, evaluation={"at_end": False}, layer_norm=True)
    trainer = runs.create(package / "run", config, [], print)
    trainer.run(100)
    agent = trainer.state.agent
    assert (type(agent.actor).__name__, type(agent.critics).__name__) == ("Plain", "ResidualNetwork")
    assert agent.updates > 0
    assert sizes(config, trainer.suite).parameters == (9 * 4 + 4, agent.critics.parameter_count // 2)


def test_it_gets_the_shapes_of_actor_and_critic_and_the_arithmetic(package):
    network = make_custom(NAME, 5, 3, tasks=2, ensemble=2, rng=torch.Generator(), precision=torch.bfloat16)
    out = network(torch.ones(2, 4, 5), Routing(torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1), (0, 0)))
    assert out.shape == (2, 2, 4, 3)
    assert network.precision == torch.bfloat16
    assert isinstance(network.pool, nn.ModuleList)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.net:Plain", r"importing mine\.net failed: ModuleNotFoundError"),
        ("mine.nets:Plane", r"mine\.nets has no Plane"),
        ("mine.nets:nothing", r"holds no callable under the name nothing"),
        ("mine.nets:failing", r"making or trying it failed: RuntimeError: no such network"),
        ("mine.nets:module", r"must be a torch\.nn\.Module, and is str"),
        (
            "mine.nets:Single",
            r"must give float32 \(1, 2, 2, 4\) for \(2, 2, 9\), and gives .*float32 \(2, 2, 4\)",
        ),
        ("mine.nets:Pooled", r"must have pool, an empty torch\.nn\.ModuleList"),
        ("mine.nets:Uncounted", r"must have parameter_count, the number of its parameters"),
        ("mine.nets:Free", r"must have operations\(stages, \*, first_layer=True\), a number above 0"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(package, name, message):
    config = _config(architecture=name)
    with pytest.raises(ConfigError, match=message) as caught:
        sizes(config, make_suite(config))
    assert "\n" not in str(caught.value)


def test_it_is_not_sized_to_a_number_of_parameters(package):
    config = _config(match_parameters=5000)
    with pytest.raises(ConfigError, match=r"match_parameters = 5000: must be null; mine\.nets:Plain"):
        sizes(config, make_suite(config))
