"""``genoevo mega settings``."""

import json

import pytest
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_cli.mega.train import _resolve
from genoevo_cli.terminal import console
from genoevo_mega.config import setting_names


def settings(*arguments, columns=100):
    screen = console.stderr()
    before, screen.width = screen.width, columns
    try:
        result = CliRunner().invoke(cli, ["mega", "settings", *arguments])
    finally:
        screen.width = before
    assert result.exit_code == 0
    return result


def test_without_a_name_every_setting_is_shown_under_its_group():
    result = settings()
    assert result.stdout == ""
    lines = [line.rstrip() for line in result.stderr.splitlines()]
    for name in setting_names():
        group, _, last = name.rpartition(".")
        start = next(at for at, line in enumerate(lines) if line.startswith(f"{group or 'run'}: "))
        block = lines[start : lines.index("", start)]
        assert any(line.split()[:1] == [last] for line in block), name
    tau = next(line for line in lines if line.startswith("  tau "))
    assert tau.split(maxsplit=2)[1:] == ["0.005", "Share of the critics' weights that moves into their targets at"]


def test_no_mark_and_no_module_is_in_the_short_meanings():
    text = settings(columns=400).stderr
    assert "[O]" not in text
    assert "genoevo_mega." not in text


def test_a_setting_is_shown_with_all_that_is_known():
    text = settings("sac.mask_loss_above", columns=400).stderr
    assert "sac.mask_loss_above (float or null; default null; allowed: > 0) [O]" in text
    assert "If the networks' own numbers overflow, the complete update is skipped." in text


def test_a_group_is_shown_with_its_settings_and_no_others():
    text = settings("decoding", columns=400).stderr
    assert text.startswith("decoding: The decoding of bits into weights.")
    assert "decoding.decimal_scale (float; default 1.0; allowed: >= 0) [O]" in text
    assert "sac." not in text


def test_json_is_all_of_standard_output():
    result = settings("--json")
    found = json.loads(result.stdout)
    assert list(found) == setting_names()
    assert found["genotypes.precision"] == {
        "type": "int",
        "default": 2,
        "allowed": "in [1, 16]",
        "marks": ["P"],
        "meaning": "Bits per weight: 2 for MT10, 4 for MT50 [P].",
    }
    assert result.stderr == ""
    assert list(json.loads(settings("sac.tau", "--json").stdout)) == ["sac.tau"]


def test_an_old_name_shows_the_new_one():
    result = settings("machine.lag", "--json")
    assert list(json.loads(result.stdout)) == ["schedule.update_lag"]
    assert result.stderr == "machine.lag is now called schedule.update_lag\n"


def test_an_unknown_name_is_one_line_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "settings", "sac.tao"])
    assert stop.value.code == 2
    line = "genoevo: 'sac.tao' is not a setting or a group (did you mean sac.tau?)\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("settings", "asked", "kernels"),
    [((), 1, "compiled"), (("compute.kernels=torch",), 0, "torch"), (("compute.device=cuda",), 0, "torch")],
)
def test_a_compiler_is_looked_for_only_if_the_user_left_the_kernels_open(monkeypatch, settings, asked, kernels):
    calls = []
    monkeypatch.setattr("genoevo_mega.training.build.kernels_or_reason", lambda: calls.append(1))
    assert _resolve("smoke", None, settings, {}, {}, {}).compute.kernels == kernels
    assert len(calls) == asked
