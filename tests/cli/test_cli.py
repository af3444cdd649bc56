import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from genoevo import Population
from genoevo.problems import PROBLEMS, Trap
from genoevo_cli import missing
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture", "mtsax"], "architecture = 'mtsax': must be mega, mtsac"),
        (["--match-parameters", "mega:x"], "match_parameters = 'mega:x': must be mega, mega:STAGE or a number"),
        (["--architecture", "d2r", "--match-parameters", "300"], "no widths of d2r come within 2% of 300 parameters"),
    ],
)
def test_an_architecture_or_a_size_that_cannot_be_is_one_line_and_leaves_nothing(
    tmp_path, capsys, arguments, message
):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path / "run"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


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


BAD_TRAIN = [
    (["--preset", "mt1O"], "did you mean mt10"),
    (["--suite", "reech-v3"], "did you mean reach-v3"),
    (["--preset", "smoke", "--set", "sac.bath_size=3"], "did you mean sac.batch_size"),
    (["--preset", "smoke", "--set", "sac.batch_size=-1"], "sac.batch_size = -1"),
    (["--preset", "smoke", "--set", "sac.batch_size"], "name=value"),
    (["--preset", "smoke", "--set", "growth.mastery=7"], "growth.mastery must be between 0 and 1"),
    (["--preset", "smoke", "--steps", "0"], "steps = 0"),
    (["--preset", "smoke", "--seed", "-4"], "seed = -4"),
    (["--preset", "smoke", "--workers", "0"], "compute.workers = 0"),
    (["--preset", "smoke", "--config", "no-such.yaml"], "no-such.yaml cannot be read"),
    (["--preset", "smoke", "--steps", "many"], "'many' is not a valid integer"),
    (["--preset", "smoke", "--sead", "3"], "--seed"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_TRAIN)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--run-dir", str(tmp_path / "new"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_directory_that_is_not_empty_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    before = _files(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path)])
    assert stop.value.code == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert _files(tmp_path) == before


@pytest.mark.parametrize("command", ["resume", "evaluate", "info", "verify"])
def test_what_is_no_run_is_named(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", command, str(tmp_path)])
    assert stop.value.code == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_resuming_a_finished_run_asks_for_more_steps(finished, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "resume", str(finished[0])])
    assert stop.value.code == 2
    assert "give --steps above" in capsys.readouterr().err


def test_evolve_prints_one_json_object_and_solves_onemax():
    result = CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--size", "100", "--seed", "1", "--json"])
    content = json.loads(result.stdout)
    assert (content["solved"], content["best"], content["genotype"]) == (True, 100.0, "1" * 100)


def test_evolve_gives_the_same_for_the_same_seed():
    arguments = ["evolve", "--problem", "trap", "--size", "20", "--generations", "30", "--json", "--seed"]
    runs = [json.loads(CliRunner().invoke(cli, [*arguments, seed]).stdout) for seed in ("5", "5", "6")]
    for run in runs:
        del run["seconds"], run["seed"]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problem", "onemx"], "onemax"),
        (["--problem", "trap", "--size", "7"], "multiple of"),
        (["--problem", "onemax", "--size", "0"], "0"),
        (["--problem", "onemax", "--mutation-rate", "nan"], "nan"),
        (["--problem", "hiff", "--size", "48"], "size must be a power of 2, got 48"),
        (["--problem", "nk", "--set", "k=11"], "k must be a whole number from 0 to 10, got 11"),
        (["--problem", "nk", "--set", "k=two"], "k must be a whole number, got 'two'"),
        (["--problem", "nk", "--set", "k=1_0"], "k must be a whole number, got '1_0'"),
        (["--problem", "nk", "--set", "k=\uff13"], "k must be a whole number, got '\uff13'"),
        (["--problem", "nk", "--set", "j=3"], "takes k=..., neighbours=..., instance=..., shuffle=..., got 'j=3'"),
        (["--problem", "trap", "--set", "order"], "takes order=..., shuffle=..., got 'order'"),
        (["--problem", "onemax", "--set", "order=3"], "takes nothing, got 'order=3'"),
        (["--problem", "knapsack", "--set", "infeasible=drop"], "must be one of penalty, repair, got 'drop'"),
        (
            ["--problem", "onemax", "--resize-rate", "0.2"],
            "resize-rate must be 0 if all genotypes have 100 bits, got 0.2",
        ),
        (["--problem", "onemax", "--plot", "curve.pdf"], "--plot must end in .png or .svg, got 'curve.pdf'"),
        (["--problem", "onemax", "--plot", "no-such/curve.png"], "directory 'no-such' does not exist"),
    ],
)
def test_bad_input_to_evolve_is_one_line_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", *arguments])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_evolves(problem):
    arguments = ["evolve", "--problem", problem, "--generations", "5", "--json"]
    content = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert content["problem"] == problem
    assert content["best"] <= content["optimum"]
    assert len(content["genotype"]) == content["length"]


def test_evolve_takes_the_settings_of_a_problem():
    arguments = ["evolve", "--problem", "trap", "--size", "12", "--set", "order=3", "--generations", "1", "--json"]
    content = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert content["best"] == Trap(12, order=3)(Population.from_genotypes([content["genotype"]]))[0]


@pytest.mark.parametrize("problem", ["variable-onemax", "segment-trap"])
def test_evolve_resizes_where_lengths_vary_unless_it_is_told_not_to(problem):
    arguments = ["evolve", "--problem", problem, "--generations", "20", "--json"]
    genotypes = [
        json.loads(CliRunner().invoke(cli, [*arguments, *rate]).stdout)["genotype"]
        for rate in ([], ["--resize-rate", "0.1"], ["--resize-rate", "0"])
    ]
    assert genotypes[0] == genotypes[1] != genotypes[2]


def test_evolve_ends_with_the_generation_that_finds_the_optimum():
    content = json.loads(CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--json"]).stdout)
    arguments = ["evolve", "--problem", "onemax", "--json", "--generations"]
    enough, short = (
        json.loads(CliRunner().invoke(cli, [*arguments, str(n)]).stdout)
        for n in (content["generations"], content["generations"] - 1)
    )
    assert (enough["solved"], short["solved"]) == (True, False)
    assert enough["generations"] == content["generations"]


@pytest.mark.parametrize(("name", "head"), [("curve.png", b"\x89PNG"), ("curve.SVG", b"<?xml")])
def test_evolve_draws_the_convergence_curve_and_still_prints_one_json_object(name, head, tmp_path):
    path = tmp_path / name
    result = CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--size", "20", "--plot", str(path), "--json"])
    assert json.loads(result.stdout)["solved"]
    assert path.read_bytes().startswith(head)


def test_the_convergence_curve_shows_best_median_quartiles_and_optimum(tmp_path):
    arguments = ["evolve", "--problem", "onemax", "--size", "20", "--plot", str(tmp_path / "curve.svg")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    text = (tmp_path / "curve.svg").read_text()
    for label in ("best so far", "population: median", "population: quartiles", "optimum 20", "evaluations"):
        assert f"<!-- {label} -->" in text


def test_without_matplotlib_plot_says_what_to_install_before_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", "--problem", "onemax", "--plot", str(tmp_path / "curve.png")])
    captured = capsys.readouterr()
    assert stop.value.code == 1
    assert captured.err == "genoevo: --plot needs matplotlib: pip install 'genoevo[plot]'\n"
    assert captured.out == ""


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


def test_the_suite_picks_its_preset_wherever_it_is_given(tmp_path, monkeypatch):
    from genoevo_mega.experiments import runs

    seen = []
    monkeypatch.setattr(runs, "create", lambda directory, config, *rest: seen.append(config) or sys.exit(0))
    for arguments in (["--suite", "mt50"], ["--set", "suite=mt50"]):
        with pytest.raises(SystemExit):
            cli.main(["mega", "train", "--run-dir", str(tmp_path / "run"), *arguments])
    assert [config.genotypes.precision for config in seen] == [4, 4]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "--preset", "smoke", "--run-dir"], "run-dir"),
        (["sweep", "s.yaml", "--dir"], "dir"),
        (["resume"], "run-dir"),
        (["info"], "run-dir"),
        (["compare"], "paths"),
        (["unpack", "a.tar"], "directory"),
        (["pack", "runs/a", "--out"], "out"),
        (["export", "runs/a", "--out"], "out"),
    ],
)
def test_an_address_is_refused_and_no_folder_is_made_of_it(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *words, "s3://bucket/x"])
    told = f"genoevo: {name} = 's3://bucket/x': must be a path, not an address; mount it and give its folder\n"
    assert (stop.value.code, capsys.readouterr().err) == (2, told)
    assert not [*tmp_path.iterdir()]
