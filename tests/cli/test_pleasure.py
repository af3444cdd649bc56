import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from genoevo_cli.main import cli
from genoevo_cli.terminal import console
from genoevo_mega.config.presets import PRESETS

STUDY = Path(__file__).parents[2] / "studies" / "start_stage.yaml"


def _invoke(*arguments):
    return CliRunner().invoke(cli, list(map(str, arguments)))


def _fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return stop.value.code, capsys.readouterr().err


def _complete(*words):
    environment = {
        **os.environ,
        "_GENOEVO_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["genoevo", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = subprocess.run(
        [sys.executable, "-m", "genoevo_cli"], capture_output=True, text=True, env=environment, timeout=60
    )
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["meag"], "Did you mean 'mega'?"),
        (["mega", "tran"], "Did you mean 'train'?"),
        (["mega", "train", "--prest", "demo"], "'--preset'"),
        (["mega", "presets", "dmeo"], "did you mean demo"),
        (["mega", "tasks", "--suite", "reech-v3"], "did you mean reach-v3"),
        (["mega", "train", "--architecture", "sof-modules"], "did you mean soft-modules"),
        (["mega", "train", "--logger", "wnadb"], "did you mean wandb"),
        (["mega", "sweep", str(STUDY), "--scale", "latop"], "did you mean laptop"),
        (["evolve", "--problem", "onmax"], "did you mean onemax"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(arguments, message, capsys):
    code, error = _fails(capsys, *arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


def test_commands_are_grouped_and_every_one_is_in_a_group():
    text = _invoke("mega", "--help").stdout
    assert [name for name in ("Catalogue", "Train", "Inspect", "Export") if f"─ {name} ─" in text] == [
        "Catalogue",
        "Train",
        "Inspect",
        "Export",
    ]
    assert "─ Commands ─" not in text


def test_train_groups_its_options():
    text = _invoke("mega", "train", "--help").stdout
    assert all(f"─ {name} ─" in text for name in ("What to train", "Settings", "This machine"))


def _commands(group, path=()):
    for name, command in group.commands.items():
        yield " ".join([*path, name])
        yield from _commands(command, (*path, name)) if hasattr(command, "commands") else ()


@pytest.mark.parametrize("command", list(_commands(cli)))
def test_help_shows_an_example(command):
    assert f"genoevo {command}" in _invoke(*command.split(), "--help").stdout.split("Example", 1)[1]


@pytest.mark.parametrize(("interval", "said"), [(0.0, ["filming: 1 of 3", "filming: 2 of 3"]), (10.0, [])])
def test_what_takes_long_says_how_far_it_is_where_there_is_no_terminal(interval, said, monkeypatch, capsys):
    monkeypatch.setattr(console, "_console", Console(stderr=True))
    monkeypatch.setattr(console, "PLAIN_INTERVAL", interval)
    with console.counter("filming", 3) as progress:
        progress(1)
        progress(2)
    assert capsys.readouterr().err.splitlines() == said


def test_what_takes_long_shows_a_bar_on_a_terminal_and_leaves_nothing(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(console, "_console", terminal)
    with console.counter("filming", 3) as progress:
        progress(2)
    assert "2/3" in terminal.file.getvalue()
    assert terminal.file.getvalue().endswith("\x1b[1A\x1b[2K")  # the bar's line is wiped


def test_presets_lists_what_each_changes():
    changed = json.loads(_invoke("mega", "presets", "--json").stdout)
    assert set(changed) == set(PRESETS)
    assert changed["smoke"]["sac.batch_size"] == 8
    assert "sac.gamma" not in changed["mt10"]  # it says the default


def test_presets_for_people_shows_the_default_beside_it():
    result = _invoke("mega", "presets", "demo")
    [row] = [line.split() for line in result.stderr.splitlines() if "sac.gamma" in line]
    assert row == ["sac.gamma", "0.97", "0.99"]


def test_tasks_tells_suites_cost_and_difficulty():
    tasks = json.loads(_invoke("mega", "tasks", "--json").stdout)["tasks"]
    assert len(tasks) == 50
    assert tasks["reach-v3"]["suites"] == ["mt10", "mt25", "mt50"]
    assert tasks["pick-place-v3"]["cost"] > tasks["reach-v3"]["cost"] > 0
    assert tasks["drawer-close-v3"]["random_success"] > tasks["pick-place-v3"]["random_success"]
    assert all(task["expert_success"] is not None for task in tasks.values())


def test_tasks_for_people_links_to_pictures():
    result = _invoke("mega", "tasks", "--suite", "reach-v3,push-v3")
    assert "push-v3" in result.stderr
    assert "https://metaworld.farama.org/" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("shell", "part"), [("bash", "complete "), ("zsh", "#compdef genoevo"), ("fish", "--command")]
)
def test_completion_prints_a_script_for_the_shell(shell, part):
    script = _invoke("completion", shell).stdout
    assert part in script
    assert "_GENOEVO_COMPLETE" in script


@pytest.mark.parametrize(
    ("words", "found"),
    [(["mega", "tr"], ["train"]), (["mega", "train", "--wor"], ["--workers"]), (["completion", "z"], ["zsh"])],
)
def test_a_shell_completes_commands_options_and_values(words, found):
    assert _complete(*words) == found


def test_a_shell_completes_presets():
    assert _complete("mega", "train", "--preset", "mt") == ["mt10", "mt50"]


def test_a_dry_run_prints_the_config_sizes_and_an_estimate_and_leaves_nothing(tmp_path, monkeypatch):
    from genoevo_mega.experiments import dry_run

    probe = dry_run.estimate
    monkeypatch.setattr(dry_run, "estimate", lambda config, seconds, progress: probe(config, 1.0, progress))
    monkeypatch.chdir(tmp_path)
    arguments = ["--preset", "smoke", "--steps", 5000, "--set", "suite=gymnasium:Pendulum-v1", "--dry-run"]
    result = _invoke("mega", "train", *arguments)
    assert result.exit_code == 0, result.stderr
    config = yaml.safe_load(result.stdout)
    assert (config["steps"], config["sac"]["batch_size"], config["suite"]) == (5000, 8, "gymnasium:Pendulum-v1")
    for part in ("actor and", "replay", "MiB", "steps/s", "estimate:", "for 5,000 steps"):
        assert part in result.stderr
    assert not list(tmp_path.iterdir())


def test_train_needs_a_directory_unless_it_is_dry(capsys):
    code, error = _fails(capsys, "mega", "train", "--preset", "smoke")
    assert (code, error) == (2, "genoevo: Missing option '--run-dir'.\n")
