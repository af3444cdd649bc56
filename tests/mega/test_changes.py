"""Settings that change while a run goes on, and those that cannot."""

import json
import re
import shlex
import shutil

import pytest
import yaml

from genoevo_cli.main import cli
from genoevo_mega.config.changes import MAY_CHANGE
from genoevo_mega.config.run import Config, build_config, preset, setting_names
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_mega.policies.policy import Trained
from genoevo_runs.errors import ConfigError, CorruptFileError, UserError
from genoevo_runs.lock import locked

SMALL = {
    "suite": "point",
    "steps": 40,
    "environment": {"episode_length": 10},
    "network": {"width": 8, "hidden": 4},
    "sac": {"random_steps": 10, "batch_size": 4, "buffer_size": 500, "updates_per_step": 1},
    "evaluation": {"at_end": False, "episodes": 1},
    "checkpoints": {"every": 20, "keep": 9},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("changes") / "run"
    config = build_config(preset("synthetic"), SMALL)
    runs.create(directory, config, ["train"], lambda status: None).run(40)
    return directory


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


def _origin(run):
    return json.loads((run / "run.json").read_text())


def test_the_command_that_resumes_reaches_the_steps_that_were_asked_for(run, capsys):
    arguments = ("resume", run, "--steps", 60, "--set")
    assert _genoevo(*arguments, "schedule.time_limit_minutes=1e-9") == 0
    command = shlex.split(capsys.readouterr().err.partition("Resume with: ")[2])
    assert command == ["genoevo", "mega", "resume", str(run), "--steps", "60"]
    assert _genoevo(*command[2:], "--set", "schedule.time_limit_minutes=null") == 0
    assert runs.info(run)["steps"] == 60


def test_a_fault_names_the_steps_that_were_asked_for_too(run, monkeypatch):
    trainer = runs.resume(run)

    def fails():
        raise RolloutError("too many faults")

    monkeypatch.setattr(trainer, "_vector_step", fails)
    with pytest.raises(RolloutError, match=f"genoevo mega resume {run} --steps 50 continues from the last"):
        trainer.run(50)


def test_a_setting_that_is_changed_holds_from_there_on_and_is_noted(run, monkeypatch):
    monkeypatch.setattr("sys.argv", ["genoevo", "mega", "resume"])
    words = ("--set", "sac.learning_rate=1e-4", "--set", "steps=60", "--set", "evaluation.every=30")
    assert _genoevo("resume", run, *words) == 0
    config = runs.open_config(run)
    assert (config.sac.learning_rate, config.steps, config.evaluation.every) == (1e-4, 60, 30)
    [entry] = _origin(run)["history"]
    assert entry["settings"]["sac.learning_rate"] == [1e-3, 1e-4]
    assert set(entry["settings"]) == {"sac.learning_rate", "steps", "evaluation.every"}
    assert (entry["step"], entry["checkpoint"]) == (40, "000000000040")
    assert entry["command"] == ["genoevo", "mega", "resume"]
    assert (runs.info(run)["steps"], runs.info(run)["history"]) == (60, [entry])
    again = runs.resume(run)
    assert [group["lr"] for group in again.state.agent.optimizers.actor.param_groups] == [1e-4]


def test_a_change_takes_effect(run, tmp_path):
    digests = set()
    for rate in (None, 1e-5):
        copied = shutil.copytree(run, tmp_path / str(rate))
        runs.resume(copied, settings={} if rate is None else {"sac": {"learning_rate": rate}}).run(60)
        digests.add(runs.info(copied)["digest"])
    assert len(digests) == 2


def test_a_change_that_is_noted_resumes_exactly(run, tmp_path):
    settings = {"sac": {"learning_rate": 1e-4}}
    whole, parts = (shutil.copytree(run, tmp_path / name) for name in ("whole", "parts"))
    runs.resume(whole, settings=settings).run(80)
    runs.resume(parts, settings=settings).run(57)
    runs.resume(parts).run(80)
    assert runs.info(whole)["digest"] == runs.info(parts)["digest"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "network.width=16",
            r"network\.width = 16: it was 8 when the run began, and cannot change",
        ),
        ("suite=car", r"suite = 'car': it was 'point'"),
        ("seed=2", "seed = 2: it was 1"),
        ("growth.max_modules=9", r"growth\.max_modules = 9"),
        ("sac.learning_rat=1", r"sac\.learning_rat is not a setting \(did you mean sac\.learning_rate\?\)"),
        ("sac.learning_rate=-1", r"sac\.learning_rate = -1"),
    ],
)
def test_a_setting_that_cannot_change_is_named_and_nothing_is_written(run, capsys, word, message):
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert _genoevo("resume", run, "--steps", 60, "--set", word) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(message, said)
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def _edit(run, group, name, value):
    content = yaml.safe_load((run / "config.yaml").read_text())
    content[group][name] = value
    (run / "config.yaml").write_text(yaml.safe_dump(content))


def test_an_edited_file_is_noted_like_an_option(run):
    _edit(run, "sac", "learning_rate", 0.002)
    runs.resume(run).run(60)
    assert _origin(run)["history"][0]["settings"] == {"sac.learning_rate": [0.001, 0.002]}


@pytest.mark.parametrize("read", [runs.resume, Trained.of_run, lambda run: runs.evaluate_run(run, 1, print)])
def test_an_edit_that_cannot_be_is_named_and_not_called_damage(run, read):
    _edit(run, "network", "width", 16)
    with pytest.raises(ConfigError, match=r"config\.yaml: network\.width = 16: it was 8 when the run began"):
        read(run)


def test_verify_names_an_edit_and_calls_no_checkpoint_corrupt(run):
    _edit(run, "network", "width", 16)
    assert verify(run)["damaged"] == [
        {"place": "config.yaml", "problem": "network.width = 16: it was 8 when the run began"}
    ]


def test_a_corrupt_checkpoint_is_still_called_corrupt(run):
    _edit(run, "sac", "learning_rate", 0.002)
    for path in (run / "checkpoints").iterdir():
        (path / "agent.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="has no intact checkpoint"):
        Trained.of_run(run)
    with pytest.raises(UserError, match="is corrupt"):
        runs.resume(run)


def test_a_run_of_an_earlier_version_can_be_changed_and_is_noted_from_then_on(run):
    origin = _origin(run)
    del origin["settings"]
    (run / "run.json").write_text(json.dumps(origin))
    runs.resume(run, settings={"sac": {"learning_rate": 1e-4}}).run(60)
    assert _origin(run)["history"][0]["settings"] == {"sac.learning_rate": [0.001, 0.0001]}
    _edit(run, "network", "width", 16)
    with pytest.raises(ConfigError, match=r"network\.width = 16"):
        runs.resume(run)


def _without(run, group, name):
    """Make the run as an earlier version began it, which did not have that setting."""
    origin = _origin(run)
    content = yaml.safe_load((run / "config.yaml").read_text())
    for settings in (origin["settings"], content):
        del settings[group][name]
    (run / "run.json").write_text(json.dumps(origin))
    (run / "config.yaml").write_text(yaml.safe_dump(content))


def test_a_setting_younger_than_the_run_had_its_default_when_the_run_began(run):
    _without(run, "network", "modules")
    with pytest.raises(ConfigError, match=r"network\.modules = 'residual': it was 'plain' when the run began"):
        runs.resume(run, settings={"network": {"modules": "residual"}})
    _edit(run, "network", "modules", "residual")
    with pytest.raises(ConfigError, match=r"config\.yaml: network\.modules = 'residual': it was 'plain'"):
        runs.resume(run)


def test_a_change_of_a_setting_younger_than_the_run_is_noted(run):
    _without(run, "sac", "mask_loss_above")
    runs.resume(run, settings={"sac": {"mask_loss_above": 10.0}}).run(60)
    assert _origin(run)["history"][0]["settings"] == {"sac.mask_loss_above": [None, 10.0]}


def test_another_checkpoint_than_the_latest_is_noted(run):
    runs.resume(run, which=20).run(40)
    [entry] = _origin(run)["history"]
    assert (entry["step"], entry["checkpoint"], entry["settings"]) == (20, "000000000020", {})


def test_a_run_that_is_not_continued_is_not_changed(run):
    before = (run / "config.yaml").read_bytes(), (run / "run.json").read_bytes()
    trainer = runs.resume(run, settings={"sac": {"learning_rate": 1e-4}})
    with locked(run), pytest.raises(UserError, match="is being trained"):
        trainer.run(60)
    assert ((run / "config.yaml").read_bytes(), (run / "run.json").read_bytes()) == before


def test_settings_that_go_back_to_null_can_be_resumed(tmp_path):
    config = build_config(
        preset("synthetic"), SMALL, {"sac": {"mask_loss_above": 10.0}, "genotypes": {"hybrid_rate": 0.1}}
    )
    runs.create(tmp_path / "run", config, [], lambda status: None).run(40)
    settings = {"sac": {"mask_loss_above": None}, "genotypes": {"hybrid_rate": None}}
    runs.resume(tmp_path / "run", settings=settings).run(60)
    runs.resume(tmp_path / "run").run(70)
    assert runs.info(tmp_path / "run")["steps"] == 70


@pytest.mark.parametrize(
    "entry",
    [{"history": 3}, {"history": [{"step": -1}]}, {"nondeterministic": ["a"]}, {"settings": []}, {"command": 1}],
)
def test_a_wrong_entry_of_the_origin_is_corrupt(run, entry):
    (run / "run.json").write_text(json.dumps({**_origin(run), **entry}))
    with pytest.raises(CorruptFileError, match=r"run\.json is corrupt: (history|nondeterministic|settings|command)"):
        runs.resume(run)


def test_what_may_change_are_settings_or_groups_of_them():
    known = {*setting_names(), *Config.model_fields}
    assert set(MAY_CHANGE) <= known
