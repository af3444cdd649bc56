"""A run directory that somebody else has written: what its strings name is not imported without consent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import genoevo
from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, dump_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError, CorruptFileError, UserError

SUITE = "gymnasium:evil_module:X-v0"
EVIL = "from pathlib import Path\nPath(__file__).with_name('was_run').touch()\n"


@pytest.fixture(autouse=True)
def _no_permission(monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if "evil_module" in name]:
        del sys.modules[name]


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A run directory that is searched for modules, because it is the working directory."""
    directory = tmp_path / "runs" / "hostile"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text('{"format": "genoevo-mega-run", "version": 2}')
    (directory / "config.yaml").write_text(f"suite: '{SUITE}'\n")
    (directory / "evil_module.py").write_text(EVIL)
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend("")
    return directory


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


def _was_run(directory) -> bool:
    return (directory / "was_run").exists()


def test_a_run_that_names_a_module_of_gymnasiums_is_refused(hostile):
    with pytest.raises(UserError, match=rf"names the suite {SUITE}, which is code.* --suite {SUITE} or GENOEVO"):
        genoevo.load_policy(".")
    assert not _was_run(hostile)


@pytest.mark.parametrize("command", ["evaluate", "resume", "verify", "export"])
def test_no_command_imports_what_a_run_names_through_gymnasium(hostile, command):
    assert _genoevo(command, ".") == 2
    assert not _was_run(hostile)


def test_code_in_the_run_directory_is_refused_even_with_consent(hostile, capsys):
    assert _genoevo("evaluate", ".", "--suite", SUITE) == 2
    assert "evil_module lies in ., from which no code is run" in capsys.readouterr().err
    assert not _was_run(hostile)


def test_a_module_below_the_working_directory_is_found_inside_the_run_directory(hostile, monkeypatch):
    # Folders are namespace packages without a file of their own.
    monkeypatch.chdir(hostile.parent.parent)
    monkeypatch.setenv(user_code.ALLOWED["suite"], "runs.hostile.evil_module:make")
    with pytest.raises(UserError, match=r"runs\.hostile lies in .*hostile, from which no code is run"):
        user_code.check_allowed({"suite": "runs.hostile.evil_module:make"}, hostile)
    assert not _was_run(hostile)


@pytest.mark.parametrize("file", ["config", "sweep"])
def test_a_file_of_settings_is_no_consent(hostile, tmp_path, capsys, file):
    path = tmp_path / "file.yaml"
    if file == "config":
        path.write_text(f"suite: '{SUITE}'\n")
        assert _genoevo("train", "--preset", "smoke", "--config", path, "--run-dir", tmp_path / "new") == 2
    else:
        path.write_text(f"preset: smoke\nsettings: {{suite: '{SUITE}'}}\n")
        assert _genoevo("sweep", path, "--dir", tmp_path / "new", "--dry-run") == 2
    assert f"file.yaml names the suite {SUITE}, which is code" in capsys.readouterr().err
    assert not _was_run(hostile)


@pytest.mark.parametrize(
    ("group", "name"), [("genoevo", "load_policy"), ("genoevo.runs", "evil-run"), ("pydantic", "evil")]
)
def test_entry_points_in_the_run_directory_are_not_found(hostile, group, name):
    installed = hostile / "evil-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group}]\n{name} = evil_module:KIND\n")
    if group == "genoevo.runs":
        (hostile / "run.json").write_text('{"format": "evil-run", "version": 2}')
    # A process of its own, which has not imported pydantic yet; -c searches the working directory first.
    ended = subprocess.run(
        [sys.executable, "-c", "import genoevo; genoevo.load_policy('.')"], capture_output=True, text=True
    )
    assert ("which no installed package reads" if group == "genoevo.runs" else "which is code") in ended.stderr
    assert not _was_run(hostile)


def test_a_logger_that_lies_in_the_run_directory_is_not_imported(hostile, monkeypatch):
    (hostile / "evil_module.py").rename(hostile / "wandb.py")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    config = build_config(preset("smoke"), {"loggers": ["wandb"]})
    (hostile / "config.yaml").write_text(dump_config(config))
    with pytest.raises(UserError, match=r"loggers = 'wandb': wandb lies in .*, from which no code is run"):
        runs.resume(Path("."))
    assert not _was_run(hostile)


def test_a_module_of_gymnasiums_in_the_working_directory_is_imported_with_consent(tmp_path, monkeypatch):
    (tmp_path / "good_evil_module.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Upright-v0', 'gymnasium.envs.classic_control:PendulumEnv', reward_threshold=1.0)\n"
    )
    monkeypatch.chdir(tmp_path)
    suite = "gymnasium:Pendulum-v1,good_evil_module:Upright-v0"
    monkeypatch.setenv(user_code.ALLOWED["suite"], "gymnasium:good_evil_module:Upright-v0")
    user_code.check_allowed({"suite": suite}, tmp_path / "run")
    assert make_suite(build_config(preset("smoke"), {"suite": suite})).names[1] == "good_evil_module:Upright-v0"


def test_typing_a_suite_of_gymnasiums_allows_each_of_its_modules(monkeypatch, tmp_path):
    suite = "gymnasium:one_evil_module:A-v0, two_evil_module:B-v0,Pendulum-v1"
    user_code.allow("suite", suite)
    allowed = os.environ[user_code.ALLOWED["suite"]]
    assert allowed == "gymnasium:one_evil_module:A-v0,gymnasium:two_evil_module:B-v0"
    user_code.check_allowed({"suite": suite}, tmp_path)
    with pytest.raises(UserError, match="which is code"):
        user_code.check_allowed({"suite": "gymnasium:one_evil_module:Other-v0"}, tmp_path)


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("gymnasium:a:b:C-v0", r"'a:b:C-v0' must be an id of gymnasium, or module:id"),
        ("gymnasium:../evil_module:C-v0", "must be an id of gymnasium, or module:id"),
        ("gymnasium:no_evil_module:C-v0", r"importing no_evil_module failed: ModuleNotFoundError"),
        ("gymnasium:broken_evil_module:C-v0", r"importing broken_evil_module failed: SyntaxError"),
    ],
)
def test_a_module_of_gymnasiums_that_cannot_be_imported_is_named(tmp_path, monkeypatch, suite, message):
    (tmp_path / "broken_evil_module.py").write_text("def\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        make_suite(build_config(preset("smoke"), {"suite": suite}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["metrics.jsonl", "time.jsonl", "replay", "checkpoints", "tensorboard"])
def test_nothing_is_written_or_removed_through_a_link_that_leads_out_of_the_run(tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "weights.safetensors").write_text("precious")
    (outside / "notes").write_text("precious")
    config = build_config(preset("smoke"), {"suite": "point", "steps": 60, "loggers": ["tensorboard"]})
    trainer = runs.create(tmp_path / "run", config, [], lambda status: None)
    (tmp_path / "run" / name).symlink_to(outside / "notes" if "." in name else outside)
    with pytest.raises(CorruptFileError, match=rf"{name} is corrupt: leads out of"):
        trainer.run(60)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "weights.safetensors": "precious",
        "notes": "precious",
    }
