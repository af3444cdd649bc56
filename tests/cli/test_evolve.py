"""``genoevo evolve`` with a state file."""

import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from genoevo.checkpoint import Checkpoint
from genoevo.state import load, save
from genoevo_cli.main import cli

BASE = ["evolve", "--problem", "nk", "--size", "60", "--set", "k=5", "--population", "20", "--seed", "3"]
GENOEVO = [sys.executable, "-m", "genoevo_cli"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.npz"


def evolve(*arguments, begin=BASE):
    result = CliRunner().invoke(cli, [*begin, *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    del content["seconds"]
    return content


def refused(capsys, *arguments, begin=BASE, code=2):
    with pytest.raises(SystemExit) as stop:
        cli.main([*begin, *map(str, arguments)])
    captured = capsys.readouterr()
    assert stop.value.code == code
    assert captured.err.startswith("genoevo: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    return captured.err


def evolution_of(path):
    return {name: value for name, value in load(path).items() if name != "about"}


def load_or_none(path):
    return load(path)["generation"] if path.exists() else None


def started(path, *arguments, **options):
    command = [*GENOEVO, *BASE, "--generations", "1000000", "--state", str(path), "--every", "1", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("how", ["--state", "--resume"])
def test_a_search_goes_on_exactly_with_the_same_command_or_resume(path, tmp_path, frozen, how):
    evolve("--generations", 30, "--state", path)
    begin = BASE if how == "--state" else ["evolve"]
    parts = evolve(how, path, "--generations", 70, begin=begin)
    assert parts == evolve("--generations", 70, "--state", tmp_path / "whole.npz")
    assert parts == evolve("--generations", 70)
    assert frozen(evolution_of(path)) == frozen(evolution_of(tmp_path / "whole.npz"))


def test_a_search_that_has_ended_prints_its_result_again_and_says_so(path):
    first = evolve("--generations", 5, "--state", path)
    before = path.read_bytes()
    result = CliRunner().invoke(cli, [*BASE, "--generations", "5", "--state", str(path), "--json"])
    assert "already has 5 generations" in result.stderr
    assert json.loads(result.stdout)["genotype"] == first["genotype"]
    assert path.read_bytes() == before


def test_resume_takes_everything_from_the_file(path):
    first = evolve("--generations", 5, "--mutation-rate", 0.05, "--state", path)
    assert evolve("--resume", path, begin=["evolve"]) == first


def test_the_curve_of_a_resumed_search_begins_at_its_beginning(path, tmp_path):
    curves = [tmp_path / "whole.svg", tmp_path / "parts.svg"]
    evolve("--generations", 40, "--plot", curves[0])
    evolve("--generations", 20, "--state", path)
    evolve("--resume", path, "--generations", 40, "--plot", curves[1], begin=["evolve"])
    paths = [[line for line in curve.read_text().splitlines() if line.startswith("L ")] for curve in curves]
    assert paths[0] == paths[1]
    assert len(paths[0]) > 100


def test_the_command_that_goes_on_can_be_copied_whatever_the_file_is_called(tmp_path):
    path = tmp_path / "my search; ls.npz"
    process = started(path)
    process.send_signal(signal.SIGTERM)
    command = process.communicate(timeout=60)[1].partition("Resume with: ")[2]
    assert shlex.split(command) == ["genoevo", "evolve", "--resume", str(path), "--every", "1"]


def test_the_command_that_resumes_has_the_options_that_the_file_does_not_hold(path, tmp_path):
    given = ["--every", "7", "--plot", str(tmp_path / "a b.svg"), "--report", str(tmp_path / "p.html"), "--json"]
    process = started(path, *given)
    process.send_signal(signal.SIGTERM)
    command = process.communicate(timeout=60)[1].partition("Resume with: ")[2]
    assert shlex.split(command) == ["genoevo", "evolve", "--resume", str(path), *given]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(path, number, frozen, tmp_path):
    process = started(path)
    process.send_signal(number)
    out, shown = process.communicate(timeout=60)
    assert process.returncode == 0
    assert shown == f"Stopped and saved. Resume with: genoevo evolve --resume {path} --every 1\n"
    assert out == ""
    generations = load(path)["generation"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["search.npz"]
    evolve("--generations", generations, "--state", tmp_path / "whole.npz")
    assert frozen(evolution_of(path)) == frozen(evolution_of(tmp_path / "whole.npz"))


def test_a_command_that_is_killed_goes_on_with_the_same_command(path, frozen, tmp_path):
    reached = [0]
    for delay in (0.05, 0.11, 0.07):
        process = started(path)
        deadline = time.monotonic() + 60
        while load_or_none(path) in (None, reached[-1]) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
        process.kill()
        process.communicate(timeout=60)
        reached.append(load(path)["generation"])
    assert reached == sorted(set(reached))
    end = reached[-1] + 5
    evolve("--generations", end, "--state", path)
    assert list(tmp_path.iterdir()) == [path]
    evolve("--generations", end, "--state", tmp_path / "whole.npz")
    assert frozen(evolution_of(path)) == frozen(evolution_of(tmp_path / "whole.npz"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--population", "21"], "belongs to a search with population 20, got 21"),
        (["--seed", "4"], "belongs to a search with seed 3, got 4"),
        (["--size", "61"], "belongs to a search with size 60, got 61"),
        (["--set", "k=4"], "belongs to a search with k 5, got 4"),
        (["--set", "instance=4"], "belongs to a search with instance 1, got 4"),
        (["--problem", "onemax"], "belongs to a search with problem 'nk', got 'onemax'"),
        (["--crossover-rate", "0.5"], "belongs to a search with crossover_rate 0.9, got 0.5"),
        (["--mutation-rate", "0.5"], "belongs to a search with mutation_rate None, got 0.5"),
        (["--set", "order=3"], "--set of nk takes k=..., neighbours=..., instance=..., shuffle=..., got 'order=3'"),
    ],
)
def test_another_setting_than_the_file_has_is_refused_by_name(path, capsys, arguments, message):
    evolve("--generations", 3, "--state", path)
    before = path.read_bytes()
    for how in ("--state", "--resume"):
        assert message in refused(capsys, how, path, *arguments, begin=["evolve"])
    assert path.read_bytes() == before


def test_a_second_process_on_the_same_file_is_refused_and_told_the_holder(path, capsys):
    with Checkpoint(path):
        message = refused(capsys, "--state", path)
    assert f"{path} is in use by process {os.getpid()} on " in message


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"precious notes"])
def test_a_file_that_is_something_else_is_left_as_it_is(path, capsys, content):
    path.write_bytes(content)
    for arguments in (["--state", path], ["--resume", path]):
        assert f"{path} is not a state file of genoevo" in refused(capsys, *arguments)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_state_of_a_library_search_is_refused(path, capsys):
    evolve("--generations", 3, "--state", path)
    save(path, evolution_of(path))
    assert "does not identify its search: it has no 'about'" in refused(capsys, "--state", path)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"problem": ["nk"]}, "the problem of .* must be one of"),
        ({"population": 10**12}, "population must be a whole number from 2 to 1000000"),
        ({"size": 10**12}, "size must be a whole number from 1 to 1000000"),
        ({"size": 50}, "with layout FlatLayout.precision=1, genes=60"),
        ({"population": 50}, "the rules in the state do not match its settings"),
        ({"crossover_rate": "0.9"}, "crossover_rate must be a number"),
        ({"settings": {"k": "five"}}, "k must be a whole number"),
        ({"settings": 5}, "is not a search of genoevo evolve"),
        ({"colour": 5}, "is not a search of genoevo evolve"),
    ],
)
def test_a_damaged_description_is_refused(path, capsys, about, message):
    evolve("--generations", 3, "--state", path)
    state = load(path)
    save(path, {**state, "about": {**state["about"], **about}})
    assert re.search(message, refused(capsys, "--resume", path, begin=["evolve"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "missing.npz"], "--resume: file 'missing.npz' does not exist"),
        (["--state", "missing/search.npz"], "--state: directory 'missing' does not exist"),
        (["--state", "a.npz", "--resume", "b.npz"], "give --state or --resume, not both"),
        (["--state", "a.npz", "--every", "0"], "0 is not in the range"),
        (["--population", "1000000", "--size", "1000"], "population times size must be at most 100,000,000"),
        (["--size", "2000000"], "2000000 is not in the range"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_new_search_needs_a_problem(capsys):
    assert "--problem is required for a new search" in refused(capsys, begin=["evolve"])


def test_a_full_disk_is_one_line_exit_1_and_the_old_state_stays(path, frozen):
    evolve("--generations", 20, "--state", path)
    before = path.read_bytes()
    limit = len(before) + 2000

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*GENOEVO, "evolve", "--resume", str(path), "--generations", "9000", "--every", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=full)
    assert result.returncode == 1
    assert result.stderr == f"genoevo: {path} cannot be read or written, and is unchanged: File too large\n"
    assert load(path)["generation"] >= 20
    assert list(path.parent.iterdir()) == [path]
    kept = load(path)["generation"]
    evolve("--resume", path, "--generations", kept + 5, begin=["evolve"])
    evolve("--generations", kept + 5, "--state", path.parent / "whole.npz")
    assert frozen(evolution_of(path)) == frozen(evolution_of(path.parent / "whole.npz"))


def test_a_read_only_directory_is_one_line_exit_1(path):
    evolve("--generations", 3, "--state", path)
    before = path.read_bytes()
    command = [*GENOEVO, "evolve", "--resume", str(path), "--generations", "9000"]
    if os.geteuid() == 0:  # to whom no directory is read-only, unless it gives up the right
        if shutil.which("setpriv") is None:
            pytest.skip("root cannot give up its right to write without setpriv")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    path.parent.chmod(0o555)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        path.parent.chmod(0o755)
    assert result.returncode == 1
    assert result.stderr == f"genoevo: {path} cannot be read or written, and is unchanged: Permission denied\n"
    assert path.read_bytes() == before


def test_what_takes_longer_than_two_seconds_shows_how_far_it_is(path):
    process = started(path)
    lines = [process.stderr.readline()]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert lines[0].startswith("generation ")
    assert " of at most 1,000,000" in lines[0]
    assert "best 0." in lines[0]
