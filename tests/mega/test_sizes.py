"""What a run's networks and policies take, beside its results."""

import json
import shutil

import numpy as np
import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs, sizes
from genoevo_mega.experiments.compare import as_json, compare
from genoevo_mega.experiments.dry_run import estimate
from genoevo_mega.experiments.results import collect
from genoevo_mega.networks import ARCHITECTURES
from genoevo_mega.policies.export import export_tasks
from genoevo_mega.policies.policy import Trained
from genoevo_mega.training.build import make_state
from genoevo_runs.errors import CorruptFileError
from tests.mega.conftest import FIXED
from tests.mega.test_own_architecture import package  # noqa: F401

pytestmark = pytest.mark.usefixtures("quick_runs")
SHORT = {
    "suite": "pendulum-4goals,point-4goals",
    "steps": 120,
    "environment": {"episode_length": 10},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 10, "batch_size": 4},
    "evaluation": {"at_end": False},
    **{group: sizes for settings in FIXED.values() for group, sizes in settings.items()},
}


def _train(directory, *settings, **more):
    config = build_config(preset("smoke"), SHORT, *settings, more)
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    trainer.run(config.steps)
    return trainer


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "sparse"])
def run(request, quick_runs, tmp_path_factory):
    """A short run of every architecture, and of MEGA with genotypes that leave modules out."""
    directory = tmp_path_factory.mktemp("sizes") / "run"
    special = {"decoding": {"kind": "sparse"}} if request.param == "sparse" else {"architecture": request.param}
    return _train(directory, special)


def _of(trainer):
    return runs.info(trainer.directory)["sizes"]


def test_the_policys_size_is_the_mean_of_what_export_writes(run, tmp_path):
    exported = export_tasks(Trained.of_run(run.directory), tmp_path / "out", kind="torchscript")
    assert _of(run)["policy"] == {
        "parameters": np.mean([one.parameters for one in exported]),
        "multiply_adds": np.mean([one.multiply_adds for one in exported]),
    }


def test_actor_and_critic_are_those_of_the_start_and_of_the_agent(run):
    agent, first = run.state.agent, make_state(run.config, run.suite).agent
    assert _of(run)["actor"] == {"at_start": first.actor.parameter_count, "now": agent.actor.parameter_count}
    each = {"at_start": first.critics.parameter_count // 2, "now": agent.critics.parameter_count // 2}
    assert _of(run)["critic"] == each


def test_a_run_sized_by_its_actor_alone_is_read_again(tmp_path):
    trainer = _train(tmp_path / "run", architecture="mtsac", critic={"kind": "residual"}, match_parameters=300)
    sized = json.loads((trainer.directory / "run.json").read_text())["match_parameters"]
    assert sized["critic"]["target"] is None
    assert _of(trainer)["actor"]["now"] == sized["actor"]["parameters"]
    assert runs.resume(trainer.directory).state.steps == trainer.state.steps


def test_a_run_that_grew_has_more_parameters_than_at_its_start(tmp_path):
    trainer = _train(tmp_path / "run", critic={"kind": "residual"}, steps=300)
    assert len(trainer.state.agent.actor.pool) == 3
    found = _of(trainer)
    assert found["actor"]["now"] > found["actor"]["at_start"]
    assert found["critic"]["now"] == found["critic"]["at_start"]


def test_a_run_by_earlier_code_has_the_same_sizes(run):
    before, origin = _of(run), json.loads((run.directory / "run.json").read_text())
    written = origin.pop("sizes")
    (run.directory / "run.json").write_text(json.dumps(origin))
    assert _of(run) == before
    (run.directory / "run.json").write_text(json.dumps(origin | {"sizes": written}))


def test_what_earlier_code_did_not_write_and_the_users_own_code_knows_is_unknown(tmp_path, package, monkeypatch):  # noqa: F811
    monkeypatch.setenv("GENOEVO_ALLOW_ARCHITECTURE", "mine.nets:Plain")
    trainer = _train(tmp_path / "run", architecture="mine.nets:Plain")
    assert _of(trainer)["policy"] == {"parameters": 9 * 4 + 4, "multiply_adds": 9 * 4}
    origin = json.loads((tmp_path / "run/run.json").read_text())
    del origin["sizes"]
    (tmp_path / "run/run.json").write_text(json.dumps(origin))
    assert _of(trainer)["policy"] is None
    assert _of(trainer)["actor"] == {"at_start": None, "now": 40}
    [method] = compare(collect([tmp_path / "run"])).methods
    assert (method.sizes.actor, method.sizes.multiply_adds) == (40, None)


@pytest.mark.parametrize("name", ["Bare", "forgetful"])
def test_a_network_that_one_task_cannot_be_taken_from_has_no_policys_size(tmp_path, package, monkeypatch, name):  # noqa: F811
    monkeypatch.setenv("GENOEVO_ALLOW_ARCHITECTURE", f"mine.nets:{name}")
    assert _of(_train(tmp_path / "run", architecture=f"mine.nets:{name}"))["policy"] is None


@pytest.mark.parametrize("value", [3, {"actor": 1}, {"observation_size": 10**30}])
def test_wrong_sizes_in_a_file_are_damage(run, value):
    path = run.directory / "run.json"
    good = path.read_text()
    path.write_text(json.dumps(json.loads(good) | {"sizes": value}))
    with pytest.raises(CorruptFileError, match=r"run\.json is corrupt"):
        runs.info(run.directory)
    path.write_text(good)


def test_networks_that_no_machine_holds_have_no_policys_size(run):
    huge = build_config(run.config.model_dump(), {"network": {"width": 10**8}, "architecture": "mega"})
    elites = make_state(build_config(preset("smoke"), SHORT), run.suite).evolver.elite_routing()
    assert sizes.of_elites(huge, run.suite, elites) is None


@pytest.mark.parametrize("architecture", ["mega", "mtsac"])
def test_an_estimate_has_the_policys_size(architecture):
    config = build_config(preset("smoke"), SHORT, {"architecture": architecture})
    state = make_state(config, runs.make_suite(config))
    found = estimate(config, 0.3)
    if architecture == "mtsac":
        assert found.policy.parameters == state.agent.actor.parameter_count - 9  # the other task's column
    else:
        assert found.policy == sizes.of_elites(config, runs.make_suite(config), state.evolver.elite_routing())
    assert found.critic_parameters == state.agent.critics.parameter_count


# ------------------------------------------------------------------------------------------------------- comparisons


@pytest.fixture(scope="module")
def compared(quick_runs, tmp_path_factory):
    place = tmp_path_factory.mktemp("compared")
    for seed in (1, 2):
        _train(place / "mega" / str(seed), seed=seed)
    _train(place / "large" / "1", architecture="mtsac", match_parameters=9_000)
    return compare(collect([place / "mega", place / "large"])), place


def test_a_comparison_has_the_mean_sizes_of_every_method(compared):
    comparison, place = compared
    infos = [runs.info(place / "mega" / seed)["sizes"] for seed in ("1", "2")]
    found = as_json(comparison)["methods"]["mega"]["sizes"]
    assert found == {
        "actor": np.mean([info["actor"]["now"] for info in infos]),
        "critic": np.mean([info["critic"]["now"] for info in infos]),
        "multiply_adds": np.mean([info["policy"]["multiply_adds"] for info in infos]),
    }


def test_methods_whose_trained_actors_differ_in_size_are_named(compared):
    comparison, _ = compared
    mega, large = (method.sizes.actor for method in comparison.methods)
    [line] = [line for line in comparison.warnings if "equal size" in line]
    assert f"the trained actor of mega has {mega:,.0f} parameters at the end" in line
    assert f"large {large:,.0f} ({large / mega - 1:+.0%})" in line


def test_methods_of_equal_size_are_not_warned_about(compared, tmp_path):
    _, place = compared
    shutil.copytree(place / "large", tmp_path / "again")
    comparison = compare(collect([place / "large", tmp_path / "again"]))
    assert len(comparison.methods) == 2
    assert not [line for line in comparison.warnings if "equal size" in line]
