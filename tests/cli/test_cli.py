"""The command line as a whole: its help, how it starts, and what it says where a package is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from genoevo_cli import missing
from genoevo_cli.main import cli


@pytest.mark.parametrize(
    "command",
    [[], ["evolve"], ["mega"], *[["mega", name] for name in ("train", "resume", "evaluate", "info", "verify")]],
)
def test_every_help_page_shows_an_example(command):
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "genoevo " in result.stdout


def test_the_command_line_starts_without_the_packages_of_the_adapters():
    code = "import sys; from genoevo_cli.main import cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "genoevo_cli" in loaded
    assert not {"torch", "pydantic", "yaml", "safetensors", "scipy", "gymnasium", "genoevo_mega"} & set(loaded)


def test_without_click_the_command_says_what_to_install():
    code = "import sys; sys.modules['rich_click'] = None; from genoevo_cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "pip install 'genoevo[mega]'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch", "this command needs torch: pip install 'genoevo[mega]'"),
        ("my_robot", "this command needs my_robot, which is not installed"),
        ("torch.not_there", "this command needs torch.not_there, which is not installed"),
    ],
)
def test_a_missing_module_is_named_and_its_extra_only_if_it_has_one(monkeypatch, capsys, name, message):
    from genoevo_mega.experiments import runs

    def create(*given):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(runs, "create", create)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--suite", "point", "--run-dir", "new"])
    assert stop.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"genoevo: {message}"


def test_the_modules_of_the_extras_are_those_that_pyproject_asks_for():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    asked = {extra: {re.match(r"[\w-]+", one)[0] for one in project[extra]} for extra in ("cli", "mega")}
    modules = {"rich-click": "rich_click", "pyyaml": "yaml"}
    assert {modules.get(name, name) for name in asked["cli"]} == missing.CLI
    assert {modules.get(name, name) for name in asked["mega"]} - {"genoevo"} == missing.MEGA


def test_without_a_package_of_the_engine_that_package_is_named():
    code = "import sys; sys.modules['deap'] = None; from genoevo_cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "the command line needs deap" in result.stderr
    assert "mega" not in result.stderr
