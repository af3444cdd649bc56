import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.compare import as_json, compare
from genoevo_mega.experiments.plot import check_picture, draw
from genoevo_mega.experiments.results import collect
from genoevo_mega.experiments.verify import verify
from genoevo_mega.run_kind import KIND
from genoevo_mega.training import checkpoint
from genoevo_runs import pools
from genoevo_runs.errors import ConfigError, StorageError, UserError
from genoevo_runs.pools import LocalPool, RayPool
from genoevo_runs.sweep import FINISHED, SweepFile, plan, read_sweep
from genoevo_runs.user_code import allow
from genoevo_runs.worker import train

OWN_SUITE = """
from genoevo_mega.config.run import build_config, preset

def make(seed, goals):
    return make_suite(build_config(preset("smoke"), {"suite": "point"}))
"""

# Two rounds of two tasks.
TINY = {"preset": "smoke", "settings": {"suite": "point,car", "steps": 200, "evaluation.at_end": False}, "seeds": 3}


def _file(path, **content):
    path.write_text(yaml.safe_dump(content))
    return path


def _plan(tmp_path, **content):
    return plan(KIND, SweepFile.model_validate({**TINY, **content}), tmp_path / "s.yaml", tmp_path)


def _train(run, **options):
    asked = {
        "format": KIND.format,
        "directory": run.directory,
        "config": run.config.model_dump(mode="json"),
        "command": ["test"],
    }
    return train(asked, options.get("tell", lambda message: None), options.get("stop", lambda: False))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sweep") / "stages"
    planned = _plan(directory, grid={"genotypes.start_stage": [1, 2]})
    outcomes = [_train(run) for run in planned]
    return directory, planned, outcomes


def test_a_grid_means_every_combination_seed_by_seed(tmp_path):
    planned = _plan(tmp_path, seeds=[4, 7], grid={"genotypes.start_stage": [1, 2], "growth.fill": ["random"]})
    assert [(run.name, run.seed) for run in planned] == [
        ("start_stage=1,fill=random", 4),
        ("start_stage=2,fill=random", 4),
        ("start_stage=1,fill=random", 7),
        ("start_stage=2,fill=random", 7),
    ]
    assert planned[1].config.genotypes.start_stage == 2
    assert planned[2].directory == tmp_path / "start_stage=1,fill=random" / "7"


def test_named_runs_are_crossed_with_the_grid_and_override_it(tmp_path):
    fixed = {"growth.max_modules": 2, "genotypes": {"precision": 4}}
    planned = _plan(tmp_path, seeds=1, grid={"genotypes.start_stage": [1, 2]}, runs={"mega": {}, "fixed": fixed})
    assert [run.name for run in planned] == [f"{name},start_stage={n}" for name in ("mega", "fixed") for n in (1, 2)]
    assert [run.config.growth.max_modules for run in planned] == [4, 4, 2, 2]
    assert planned[3].config.genotypes.precision == 4


def test_settings_whose_last_part_is_the_same_keep_their_whole_name(tmp_path):
    grid = {"genotypes.precision": [2], "sac.precision": ["bf16"]}
    assert _plan(tmp_path, seeds=1, grid=grid)[0].name == "genotypes.precision=2,sac.precision=bf16"


def test_a_scale_changes_what_it_names_and_leaves_the_rest(tmp_path):
    scales = {"big": {"seeds": 1, "settings": {"sac": {"batch_size": 9}}, "grid": {"growth.patience": [5]}}}
    path = _file(tmp_path / "s.yaml", **TINY, grid={"genotypes.start_stage": [1, 2]}, scales=scales)
    small, big = (plan(KIND, read_sweep(KIND, path, scale), path, tmp_path) for scale in (None, "big"))
    assert (len(small), len(big)) == (6, 1)
    assert (big[0].config.sac.batch_size, big[0].config.steps, big[0].config.growth.patience) == (9, 200, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"sed": 3}, "sed is not a setting.*seeds"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": [1, 1]}, "once"),
        ({"grid": {"growth.patience": []}}, "growth.patience"),
        ({"settings": {"sac.batchsize": 3}}, "sac.batchsize is not a setting.*sac.batch_size"),
        ({"grid": {"genotypes.start_stage": [1, 99]}}, "start_stage=99.*genotypes.start_stage = 99"),
        ({"grid": {"suite": ["point", "pont"]}}, "suite=pont.*unknown task 'pont'"),
        ({"runs": {"../up": {}}}, "names a directory"),
        ({"preset": "demoo"}, "demoo.*did you mean demo"),
        ({"seeds": True}, "^[^:]*s.yaml: seeds = True: must be a number"),
        ({"seeds": "x"}, "^[^:]*s.yaml: seeds = 'x': input should be a valid integer"),
        ({"scales": {"big": {"step": 3}}}, "scales.big.step"),
        ({"scales": {"big": {"seeds": []}}}, "scales.big.seeds"),
        ({"scales": {"big": {"grid": {"growth.patience": []}}}}, "scales.big.grid.growth.patience"),
    ],
)
def test_a_mistake_in_the_file_is_named_before_anything_runs(tmp_path, content, message):
    path = _file(tmp_path / "s.yaml", **{**TINY, **content})
    with pytest.raises(ConfigError, match=message):
        plan(KIND, read_sweep(KIND, path), path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unknown_scale_is_named_with_those_that_there_are(tmp_path):
    path = _file(tmp_path / "s.yaml", **TINY, scales={"laptop": {}, "paper": {}})
    with pytest.raises(ConfigError, match=r"'lapto': must be one of laptop, paper .did you mean laptop"):
        read_sweep(KIND, path, "lapto")


def test_runs_end_where_they_should_and_are_done(swept):
    _, planned, outcomes = swept
    assert [outcome["event"] for outcome in outcomes] == ["done"] * 6
    assert {run.state for run in planned} == {"done"}
    assert runs.info(planned[0].directory)["steps"] == 200


def test_a_directory_with_a_run_of_other_settings_is_left_alone(swept):
    directory, planned, _ = swept
    before = (planned[0].directory / "config.yaml").read_text()
    others = _plan(directory, settings={**TINY["settings"], "sac.tau": 0.5}, grid={"genotypes.start_stage": [1, 2]})
    with pytest.raises(UserError, match=r"sac.tau is 0.005 there, 0.5 is asked for; choose another --dir"):
        _ = others[0].state
    assert (planned[0].directory / "config.yaml").read_text() == before


def test_another_number_of_threads_does_not_make_it_another_run(swept):
    directory, *_ = swept
    sweep = SweepFile.model_validate({**TINY, "grid": {"genotypes.start_stage": [1, 2]}})
    preset = plan(KIND, sweep, directory / "s.yaml", directory)[0]
    compute = preset.config.compute.model_copy(update={"threads": 2})
    assert replace(preset, config=preset.config.model_copy(update={"compute": compute})).state == "done"


def test_the_machines_share_fills_in_what_the_file_leaves_open(tmp_path):
    settings = {**TINY["settings"], "compute.threads": 3}
    run = _plan(tmp_path, preset="mt10", settings=settings, seeds=1)[0].on(2)
    assert (run.config.compute.workers, run.config.compute.threads) == (2, 3)


def test_a_stopped_run_is_gone_on_with_to_the_same_end(swept, tmp_path):
    run = _plan(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    assert _train(run, stop=lambda: True)["event"] == "stopped"
    assert run.state == "begun"
    assert runs.info(run.directory)["steps"] < 200
    assert _train(run)["event"] == "done"
    assert runs.info(run.directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_run_that_died_before_its_first_checkpoint_begins_again(swept, tmp_path):
    run = _plan(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    runs.create(run.directory, run.config, ["test"], lambda status: None)
    (run.directory / "metrics.jsonl").write_text('{"half": ')
    assert run.state == "begun"
    assert _train(run)["event"] == "done"
    assert runs.info(run.directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_run_whose_checkpoints_are_damaged_fails_and_keeps_its_metrics(swept, tmp_path):
    run = _plan(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    shutil.copytree(swept[1][0].directory, run.directory)
    metrics = (run.directory / "metrics.jsonl").read_bytes()
    for path in run.directory.glob("checkpoints/*/manifest.json"):
        path.write_text("{}")
    outcome = _train(run)
    assert outcome["event"] == "failed"
    assert "no intact checkpoint" in outcome["text"]
    assert (run.directory / "metrics.jsonl").read_bytes() == metrics


def test_a_run_that_was_killed_while_it_was_made_is_made_again(tmp_path):
    run = _plan(tmp_path, seeds=1, settings={**TINY["settings"], "steps": 40})[0]
    runs.create(run.directory, run.config, ["test"], lambda status: None)
    (run.directory / ".begun").mkdir()
    assert run.state == "new"
    with pytest.raises(UserError, match="is not a run directory and contains none"):
        collect([tmp_path])
    with pytest.raises(UserError, match="is not a run directory"):
        verify(run.directory)
    assert _train(run)["event"] == "done"
    assert run.state == "done"


def test_workers_take_one_run_after_the_other_and_one_that_fails_leaves_the_others(tmp_path):
    planned = _plan(tmp_path, settings={**TINY["settings"], "steps": 40}, runs={"a": {}})
    planned[1].directory.mkdir(parents=True)
    (planned[1].directory / "run.json").write_text("{}")
    events = [(progress.run.seed, progress.event) for progress in LocalPool(1, ["test"]).run(planned)]
    ended = [event for event in events if event[1] != "steps"]
    assert ended == [(1, "began"), (1, "done"), (2, "began"), (2, "failed"), (3, "began"), (3, "done")]


def test_workers_find_a_suite_in_the_working_directory_after_all_that_is_installed(tmp_path, monkeypatch):
    made = "from genoevo_mega.envs.synthetic import SyntheticSuite\n\n"
    made += "def make(seed, goals):\n    return SyntheticSuite(('point', 'car'), seed, goals)\n"
    (tmp_path / "suite_of_mine.py").write_text(made)
    for name in ("yaml", "pydantic", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the working directory goes first')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("GENOEVO_ALLOW_SUITE", "")
    allow("suite", "suite_of_mine:make")
    settings = {**TINY["settings"], "suite": "suite_of_mine:make", "steps": 40}
    planned = _plan(tmp_path / "runs", settings=settings, seeds=1)
    ended = [(progress.event, progress.text) for progress in LocalPool(1, ["test"]).run(planned)][-1]
    sys.modules.pop("suite_of_mine")
    assert ended == ("done", "")


# Answers each run with two lines at once; whoever waits for it after that waits 20 seconds at most.
TWO_LINES = """#!{python} -IS
import os, signal, sys
while sys.stdin.readline():
    signal.alarm(20)
    os.write(1, b'{{"event": "steps", "steps": 1}}\\n{{"event": "done", "steps": 2}}\\n')
"""


@pytest.fixture
def quick_worker(tmp_path, monkeypatch):
    """Stands in for the interpreter that workers are started with."""
    script = tmp_path / "worker"
    script.write_text(TWO_LINES.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_two_lines_that_arrive_together_are_both_heard_at_once(tmp_path, quick_worker):
    events = [progress.event for progress in LocalPool(1, ["test"]).run(_plan(tmp_path, seeds=2))]
    assert events == ["began", "steps", "done"] * 2


def test_an_error_while_workers_are_started_ends_those_that_there_are(tmp_path, quick_worker, monkeypatch):
    start, started = pools._start, []

    def once():
        if started:
            raise OSError("no more processes")
        started.append(start())
        return started[0]

    monkeypatch.setattr(pools, "_start", once)
    with pytest.raises(OSError, match="no more processes"):
        list(LocalPool(2, ["test"]).run(_plan(tmp_path, seeds=2)))
    assert started[0].poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    "error", [StorageError("the disk is full"), OSError("the disk is full"), UserError("the disk is full")]
)
def test_what_a_run_fails_with_is_its_outcome(tmp_path, monkeypatch, error):
    def fail(trainer, steps):
        raise error

    monkeypatch.setattr(runs.Trainer, "run", fail)
    run = _plan(tmp_path, seeds=1)[0]
    assert _train(run) == {"event": "failed", "steps": 0, "text": "the disk is full"}


def test_a_sweep_imports_no_suite_that_its_file_alone_names(tmp_path, monkeypatch):
    (tmp_path / "sneaky.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("GENOEVO_ALLOW_SUITE", raising=False)
    path = _file(tmp_path / "s.yaml", preset="smoke", settings={"suite": "sneaky:make"}, seeds=1)
    with pytest.raises(UserError, match=r"s.yaml names the suite sneaky:make, which is code"):
        plan(KIND, read_sweep(KIND, path), path, tmp_path / "runs")


def test_a_suite_that_was_typed_is_swept(tmp_path, monkeypatch):
    made = "from tests.mega.suites import CountingSuite\n\ndef make(seed, goals):\n    return CountingSuite()\n"
    (tmp_path / "counting_of_a_sweep.py").write_text(made)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GENOEVO_ALLOW_SUITE", "")
    suite = "counting_of_a_sweep:make"
    path = _file(tmp_path / "s.yaml", preset="smoke", settings={"suite": suite}, seeds=1)
    command = ["mega", "sweep", str(path), "--dir", str(tmp_path / "runs"), "--dry-run"]
    assert CliRunner().invoke(cli, command).exit_code == 2
    allowed = CliRunner().invoke(cli, [*command, "--suite", suite])
    assert (allowed.exit_code, allowed.stdout.split()[0]) == (0, "new")


def test_a_stop_while_a_worker_is_still_starting_is_no_failure(tmp_path):
    pool, events = LocalPool(1, ["test"]), []
    for progress in pool.run(_plan(tmp_path, runs={"a": {}})):
        events.append((progress.run.seed, progress.event))
        pool.stop_requested = True
    assert events == [(1, "began"), (1, "stopped")]


@pytest.mark.slow
def test_a_worker_that_is_killed_fails_its_run_and_another_takes_the_next(tmp_path):
    planned = _plan(tmp_path, seeds=2, settings={**TINY["settings"], "steps": 2000}, runs={"a": {}})
    killed, events = False, []
    for progress in LocalPool(1, ["test"]).run(planned):
        events.append((progress.run.seed, progress.event, progress.text))
        if progress.event == "steps" and not killed:
            killed = True
            _, pid, *_ = (progress.run.directory / "lock").read_text().split()
            os.kill(int(pid), signal.SIGKILL)
    ended = [event for event in events if event[1] in ("failed", "done")]
    assert ended == [(1, "failed", "its process died (exit code -9)"), (2, "done", "")]


@pytest.mark.slow
def test_ctrl_c_saves_every_run_and_the_same_command_goes_on(tmp_path):
    settings = {**TINY["settings"], "steps": 4000}
    patience = 900  # for a machine that does much else; what is waited for takes half a minute
    path = _file(tmp_path / "s.yaml", preset="smoke", settings=settings, seeds=2)
    command = [sys.executable, "-m", "genoevo_cli", "mega", "sweep", str(path), "--dir", str(tmp_path / "runs")]
    first = subprocess.Popen([*command, "--processes", "2"], stderr=subprocess.PIPE, text=True)
    metrics = [tmp_path / "runs" / "run" / str(seed) / "metrics.jsonl" for seed in (1, 2)]
    deadline = time.monotonic() + patience
    while not all(path.exists() and path.stat().st_size for path in metrics) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=patience)
    assert first.returncode == 0
    assert "all runs are saved. Resume with: genoevo mega sweep" in told
    assert all(0 < runs.info(path.parent)["steps"] < 4000 for path in metrics)
    again = subprocess.run([*command, "--processes", "2"], capture_output=True, text=True, timeout=patience)
    assert again.returncode == 0, again.stderr
    assert all((path.parent / FINISHED).exists() for path in metrics)


class _Failing:
    """A pool whose runs all fail."""

    stop_requested = False

    def __init__(self, *given):
        pass

    def run(self, waiting):
        yield from (pools.RunEvent(run, "failed", text="no") for run in waiting)


def test_the_command_that_retries_a_sweep_can_be_copied(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOEVO_ALLOW_SUITE", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pools, "LocalPool", _Failing)
    (tmp_path / "my_own.py").write_text("from genoevo_mega.envs.registry import make_suite\n" + OWN_SUITE)
    _file(tmp_path / "my sweep.yaml", preset="smoke", settings={"suite": "my_own:make"}, seeds=1)
    given = ["my sweep.yaml", "--dir", "to here", "--processes", "1", "--suite", "my_own:make"]
    told = CliRunner().invoke(cli, ["mega", "sweep", *given], standalone_mode=False).exception.format_message()
    command = told.partition("Retry with: ")[2]
    assert shlex.split(command)[3:] == given


@pytest.mark.ray
def test_ray_trains_the_same_runs_and_tells_of_one_that_fails(three_nodes, swept, tmp_path):
    import ray

    planned = _plan(tmp_path, grid={"genotypes.start_stage": [1]})
    planned[2].directory.mkdir(parents=True)
    (planned[2].directory / "run.json").write_text("{}")
    events = {progress.run.seed: progress.event for progress in RayPool(tmp_path, 1, ["test"]).run(planned)}
    assert events == {1: "done", 2: "done", 3: "failed"}
    here = {run.seed: runs.info(run.directory)["digest"] for run in swept[1] if run.name == "start_stage=1"}
    assert {run.seed: runs.info(run.directory)["digest"] for run in planned[:2]} == {1: here[1], 2: here[2]}
    assert [run.state for run in planned[:2]] == ["done"] * 2
    assert ray.is_initialized()  # whoever had started it goes on with it


@pytest.mark.ray
def test_a_stop_reaches_runs_on_ray_and_they_can_be_gone_on_with(three_nodes, swept, tmp_path):
    planned = _plan(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})
    pool = RayPool(tmp_path, 1, ["test"])
    pool.stop_requested = True
    assert [progress.event for progress in pool.run(planned)] == ["stopped"]
    assert not (tmp_path / pools.STOP).exists()
    assert [progress.event for progress in RayPool(tmp_path, 1, ["test"]).run(planned)] == ["done"]
    assert runs.info(planned[0].directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_run_of_a_sweep_that_moves_tells_what_is_no_longer_exact(tmp_path):
    (run,) = _plan(tmp_path, seeds=1)
    KIND.create(run.directory, run.config, ["test"], lambda status: None)
    origin = json.loads((run.directory / "run.json").read_text())
    origin["machines"][0]["facts"]["processor"] = "another"
    (run.directory / "run.json").write_text(json.dumps(origin))
    told = []
    KIND.resume(run.directory, lambda status: None, told.append)
    *_, line = told
    assert "the run is not bit for bit what it would have been: processor another -> " in line


def test_a_sweep_on_ray_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--ray needs ray: pip install 'genoevo\[ray\]'"):
        RayPool(tmp_path, 1, ["test"])


def test_a_ray_that_does_not_start_is_told_in_one_line(tmp_path, monkeypatch):
    class Stub:
        is_initialized = staticmethod(lambda: False)

        @staticmethod
        def init(**settings):
            raise RuntimeError("the node timed out during startup")

    monkeypatch.setitem(sys.modules, "ray", Stub)
    with pytest.raises(UserError, match=r"--ray: Ray does not start: the node timed out during startup"):
        list(RayPool(tmp_path, 1, ["test"]).run([]))


def test_runs_of_a_sweep_are_compared_by_method(swept):
    directory, *_ = swept
    comparison = compare(collect([directory]))
    assert [(method.name, len(method.results)) for method in comparison.methods] == [
        ("start_stage=1", 3),
        ("start_stage=2", 3),
    ]
    table = as_json(comparison)["methods"]["start_stage=2"]
    assert (
        table["runs"][0]["parameters"] == checkpoint.read_state(checkpoint.find(swept[1][1].directory))["parameters"]
    )
    assert table["iqm"]["low"] <= table["iqm"]["value"] <= table["iqm"]["high"]
    assert json.loads(json.dumps(as_json(comparison), allow_nan=False))
    assert any("fewer than 10 seeds" in warning for warning in comparison.warnings)


def test_the_difference_of_two_methods_is_paired_by_seed(swept):
    directory, *_ = swept
    results = collect([directory])
    one, two = ([r for r in results if r.method == f"start_stage={stage}"] for stage in (1, 2))
    comparison = compare([*one, *two[1:]], against="start_stage=1")
    pairs = [mine.success.mean() - other.success.mean() for mine, other in zip(two[1:], one[1:], strict=True)]
    difference = comparison.difference["start_stage=2"]
    assert difference.runs == 2
    assert difference.value == pytest.approx(np.mean(pairs))
    assert difference.error == pytest.approx(abs(pairs[0] - pairs[1]) / 2)
    assert list(compare([one[0], two[1]]).difference.values()) == [None]


def test_runs_named_one_by_one_are_methods_by_the_settings_that_differ(swept):
    _, planned, _ = swept
    comparison = compare(collect([planned[0].directory, planned[1].directory]))
    assert [method.name for method in comparison.methods] == ["mega,start_stage=1", "mega,start_stage=2"]
    assert comparison.methods[0].iqm.low is None
    assert "1 seeds are too few for an interval" in comparison.warnings[0]


def test_the_directories_of_methods_are_compared_by_their_names(swept):
    directory, *_ = swept
    methods = compare(collect([directory / "start_stage=2", directory / "start_stage=1"])).methods
    assert [(method.name, len(method.results)) for method in methods] == [("start_stage=2", 3), ("start_stage=1", 3)]


def test_methods_of_the_same_name_in_two_sweeps_are_told_apart(swept, tmp_path):
    directory, *_ = swept
    shutil.copytree(directory / "start_stage=1", tmp_path / "other" / "start_stage=1")
    methods = compare(collect([directory / "start_stage=1", tmp_path / "other" / "start_stage=1"])).methods
    assert [method.name for method in methods] == [f"{directory.name}/start_stage=1", "other/start_stage=1"]


def test_a_run_of_a_sweep_that_holds_no_checkpoint_yet_is_left_out_and_named(swept, tmp_path):
    copy = tmp_path / "sweep"
    shutil.copytree(swept[0], copy)
    shutil.rmtree(copy / "start_stage=1" / "2" / "checkpoints")
    told = []
    assert sorted(result.seed for result in collect([copy], told.append)) == [1, 1, 2, 3, 3]
    assert told == [f"{copy / 'start_stage=1' / '2'} is left out: it has no checkpoint yet"]


def test_success_without_an_evaluation_is_that_of_the_last_tenth_of_training(swept):
    _, planned, _ = swept
    result = collect([planned[0].directory])[0]
    records = [json.loads(line) for line in (planned[0].directory / "metrics.jsonl").read_text().splitlines()]
    assert result.source == "last tenth of training"
    assert result.success.tolist() == list(records[-1]["success"].values())
    assert result.steps.tolist() == [record["step"] for record in records]


def test_a_last_line_without_its_end_is_no_error(swept, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(swept[1][0].directory, copy)
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "rou')
    whole, cut = collect([swept[1][0].directory, copy])
    assert np.array_equal(whole.curve, cut.curve)


def test_the_last_evaluation_counts_where_there_is_one(tmp_path):
    run = _plan(tmp_path, seeds=1, settings={"suite": "point,car", "steps": 200, "evaluation.every": 60})[0]
    _train(run)
    result = collect([run.directory])[0]
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    assert len(evaluations) == 4
    assert result.source == "greedy evaluation"
    assert np.array_equal(result.curve, [list(line["greedy_success"].values()) for line in evaluations])


def test_mistakes_in_what_is_compared_are_named(swept, tmp_path):
    directory, *_ = swept
    with pytest.raises(UserError, match="is not a run directory and contains none"):
        collect([tmp_path])
    with pytest.raises(UserError, match="seed 1 occurs more than once"):
        compare(collect([directory, directory]))
    with pytest.raises(UserError, match=r"'start_stag=1': must be one of .*did you mean start_stage=1"):
        compare(collect([directory]), against="start_stag=1")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_drawn(swept, tmp_path, suffix):
    path = tmp_path / f"comparison{suffix}"
    draw(compare(collect([swept[0]])), path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert len(content) > 5000


@pytest.mark.parametrize(("name", "message"), [("a.pdf", ".png or .svg"), ("none/a.png", "none does not exist")])
def test_a_picture_that_cannot_be_written_is_refused_first(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        check_picture(tmp_path / name)


def test_the_command_compares_as_json_alone_and_as_a_table(swept):
    directory, *_ = swept
    result = CliRunner().invoke(cli, ["mega", "compare", str(directory), "--json"])
    assert result.exit_code == 0
    assert set(json.loads(result.stdout)["methods"]) == {"start_stage=1", "start_stage=2"}
    table = CliRunner().invoke(cli, ["mega", "compare", str(directory)])
    assert (table.exit_code, table.stdout) == (0, "")


def test_a_dry_run_lists_what_is_done_and_touches_nothing(swept, tmp_path):
    directory, *_ = swept
    path = _file(tmp_path / "s.yaml", **TINY, grid={"genotypes.start_stage": [1, 2, 3]})
    before = sorted(directory.rglob("*"))
    result = CliRunner().invoke(cli, ["mega", "sweep", str(path), "--dir", str(directory), "--dry-run"])
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["done", "done", "new"] * 3
    assert sorted(directory.rglob("*")) == before
