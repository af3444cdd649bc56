"""``genoevo mega``: runs that are trained, described, evaluated, verified, interrupted and resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_cli.terminal.tables import match_line
from genoevo_mega.training.clock import CATEGORIES

GENOEVO = [sys.executable, "-m", "genoevo_cli"]


def _run(*arguments, **options):
    return subprocess.run([*GENOEVO, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)


def _info(directory: Path):
    return json.loads(CliRunner().invoke(cli, ["mega", "info", str(directory), "--json"]).stdout)


def _files(directory: Path):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cli") / "run"
    result = _run("mega", "train", "--preset", "smoke", "--steps", 600, "--run-dir", directory, "--seed", 1)
    assert result.returncode == 0, result.stderr
    return directory, result


@pytest.fixture(scope="module")
def evaluated(finished):
    """What evaluating the finished run printed, and its files before."""
    before = _files(finished[0])
    return _run("mega", "evaluate", finished[0], "--episodes", 3, "--json"), before


def test_the_size_chosen_is_said_at_the_start_and_in_info(tmp_path):
    arguments = [
        "--architecture",
        "mtmhsac",
        "--match-parameters",
        "mega:4",
        "--steps",
        20,
        "--set",
        "evaluation.at_end=false",
    ]
    result = _run("mega", "train", "--preset", "smoke", "--run-dir", tmp_path / "run", *arguments)
    assert "mtmhsac sized to mega:4: actor 2,196 of 2,200 (-0.2%) and each critic 2,141 of " in result.stderr
    assert "(-0.2%) parameters; a task's policy, on average: " in result.stderr
    match = _info(tmp_path / "run")["match_parameters"]
    assert match["actor"] == {"target": 2200, "parameters": 2196}


def test_mega_beside_mega_with_more_modules_says_how_far_it_is_from_it():
    actor, critic = {"target": 8240, "parameters": 5044}, {"target": None, "parameters": 9}
    match = {"to": "mega:6", "actor": actor, "critic": critic}
    assert match_line("mega", match) == (
        "mega keeps its widths beside mega:6: actor 5,044 of 8,240 (-38.8%) and each critic 9 (not sized) parameters "
        "at the start"
    )


def test_train_ends_with_a_table_the_sizes_and_the_wall_time(finished):
    _, result = finished
    for part in (
        "task",
        "95 % interval",
        "effective modules",
        "reach-v3",
        "parameters: actor",
        "multiply-adds per action",
        "wall time",
        *CATEGORIES,
        "Done: 600 steps",
    ):
        assert part in result.stderr
    assert result.stdout == ""


def test_a_pipe_gets_plain_lines_without_control_codes(finished):
    assert "\x1b" not in finished[1].stderr


def test_info_prints_one_json_object(finished):
    directory, _ = finished
    result = CliRunner().invoke(cli, ["mega", "info", str(directory), "--json"])
    info = json.loads(result.stdout)
    assert (info["suite"], info["architecture"], info["steps"]) == ("reach-v3,drawer-close-v3", "mega", 600)
    assert set(info["tasks"]) == {"reach-v3", "drawer-close-v3"}
    assert len(info["digest"]) == 64


def test_profile_writes_a_trace_of_the_learners_products(tmp_path):
    result = _run("mega", "train", "--preset", "smoke", "--run-dir", tmp_path / "run", "--steps", 200, "--profile")
    assert result.returncode == 0, result.stderr
    names = {
        event.get("name") for event in json.loads((tmp_path / "run" / "profile.json").read_text())["traceEvents"]
    }
    assert {"aten::bmm", "aten::baddbmm"} <= names


def test_a_run_too_short_for_a_profile_says_so(tmp_path):
    result = _run("mega", "train", "--preset", "smoke", "--run-dir", tmp_path / "run", "--steps", 20, "--profile")
    assert result.returncode == 0
    assert "too short for a profile" in result.stderr
    assert not (tmp_path / "run" / "profile.json").exists()


def test_info_for_people_names_every_task(finished):
    result = CliRunner().invoke(cli, ["mega", "info", str(finished[0])])
    assert result.exit_code == 0
    assert "drawer-close-v3" in result.stderr
    assert "actor" in result.stderr


def test_verify_tells_a_sound_run_from_a_damaged_one(finished, tmp_path):
    runner, run = CliRunner(), shutil.copytree(finished[0], tmp_path / "run")
    sound = runner.invoke(cli, ["mega", "verify", str(run), "--json"])
    assert sound.exit_code == 0
    assert json.loads(sound.stdout)["sound"]
    damaged = max((run / "checkpoints").iterdir()) / "agent.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    found = runner.invoke(cli, ["mega", "verify", str(run), "--json"])
    assert found.exit_code == 1
    [problem] = json.loads(found.stdout)["damaged"]
    assert problem["place"] == str(damaged.relative_to(run))
    shown = runner.invoke(cli, ["mega", "verify", str(run)])
    assert shown.exit_code == 1
    assert shown.stdout == ""


def test_evaluate_prints_success_with_its_interval(evaluated):
    tasks = json.loads(evaluated[0].stdout)["tasks"]
    assert all(t["low"] <= t["success"] <= t["high"] and t["episodes"] == 3 for t in tasks.values())


def test_evaluate_gives_the_sizes_of_info(finished, evaluated):
    assert json.loads(evaluated[0].stdout)["sizes"] == _info(finished[0])["sizes"]


def test_evaluate_changes_nothing_in_the_run(finished, evaluated):
    result, before = evaluated
    assert result.returncode == 0
    assert _files(finished[0]) == before


def test_ctrl_c_and_resume_end_as_the_run_never_stopped(finished, tmp_path):
    whole, _ = finished
    parts = tmp_path / "parts"
    command = [
        *GENOEVO,
        "mega",
        "train",
        "--preset",
        "smoke",
        "--steps",
        "600",
        "--run-dir",
        str(parts),
        "--seed",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    metrics = parts / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 0
    assert f"genoevo mega resume {parts}" in shown
    assert 0 < _info(parts)["steps"] < 600

    assert _run("mega", "resume", parts).returncode == 0
    assert _info(whole)["digest"] == _info(parts)["digest"]
    assert metrics.read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_terminal_gets_the_live_table(tmp_path):
    import pty

    parent, child = pty.openpty()
    command = [*GENOEVO, "mega", "train", "--preset", "smoke", "--steps", "200", "--run-dir", str(tmp_path / "run")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stderr=child, stdout=child, env=environment)
    os.close(child)
    shown = b""
    while True:
        try:
            block = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(parent)
    assert process.wait(timeout=60) == 0
    text = shown.decode(errors="replace")
    assert "success of the last round" in text
    assert "steps/s" in text
    assert "left" in text


def test_a_directory_that_is_not_empty_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    before = _files(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path)])
    assert stop.value.code == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert _files(tmp_path) == before


def test_resuming_a_finished_run_asks_for_more_steps(finished, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "resume", str(finished[0])])
    assert stop.value.code == 2
    assert "give --steps above" in capsys.readouterr().err
