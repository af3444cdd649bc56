import json
import shlex
import shutil
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.results import collect
from genoevo_mega.experiments.verify import verify
from genoevo_mega.run_kind import KIND
from genoevo_runs import pools
from genoevo_runs.errors import ConfigError, UserError
from genoevo_runs.sweep import SweepFile, plan, read_sweep
from tests.mega.sweeps import OWN_SUITE, TINY, plan_sweep, train_run, write_sweep


def test_a_grid_means_every_combination_seed_by_seed(tmp_path):
    planned = plan_sweep(tmp_path, seeds=[4, 7], grid={"genotypes.start_stage": [1, 2], "growth.fill": ["random"]})
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
    planned = plan_sweep(tmp_path, seeds=1, grid={"genotypes.start_stage": [1, 2]}, runs={"mega": {}, "fixed": fixed})
    assert [run.name for run in planned] == [f"{name},start_stage={n}" for name in ("mega", "fixed") for n in (1, 2)]
    assert [run.config.growth.max_modules for run in planned] == [4, 4, 2, 2]
    assert planned[3].config.genotypes.precision == 4


def test_settings_whose_last_part_is_the_same_keep_their_whole_name(tmp_path):
    grid = {"genotypes.precision": [2], "sac.precision": ["bf16"]}
    assert plan_sweep(tmp_path, seeds=1, grid=grid)[0].name == "genotypes.precision=2,sac.precision=bf16"


def test_a_scale_changes_what_it_names_and_leaves_the_rest(tmp_path):
    scales = {"big": {"seeds": 1, "settings": {"sac": {"batch_size": 9}}, "grid": {"growth.patience": [5]}}}
    path = write_sweep(tmp_path / "s.yaml", **TINY, grid={"genotypes.start_stage": [1, 2]}, scales=scales)
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
    path = write_sweep(tmp_path / "s.yaml", **{**TINY, **content})
    with pytest.raises(ConfigError, match=message):
        plan(KIND, read_sweep(KIND, path), path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unknown_scale_is_named_with_those_that_there_are(tmp_path):
    path = write_sweep(tmp_path / "s.yaml", **TINY, scales={"laptop": {}, "paper": {}})
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
    others = plan_sweep(
        directory, settings={**TINY["settings"], "sac.tau": 0.5}, grid={"genotypes.start_stage": [1, 2]}
    )
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
    run = plan_sweep(tmp_path, preset="mt10", settings=settings, seeds=1)[0].on(2)
    assert (run.config.compute.workers, run.config.compute.threads) == (2, 3)


def test_a_stopped_run_is_gone_on_with_to_the_same_end(swept, tmp_path):
    run = plan_sweep(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    assert train_run(run, stop=lambda: True)["event"] == "stopped"
    assert run.state == "begun"
    assert runs.info(run.directory)["steps"] < 200
    assert train_run(run)["event"] == "done"
    assert runs.info(run.directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_run_that_died_before_its_first_checkpoint_begins_again(swept, tmp_path):
    run = plan_sweep(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    runs.create(run.directory, run.config, ["test"], lambda status: None)
    (run.directory / "metrics.jsonl").write_text('{"half": ')
    assert run.state == "begun"
    assert train_run(run)["event"] == "done"
    assert runs.info(run.directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_run_whose_checkpoints_are_damaged_fails_and_keeps_its_metrics(swept, tmp_path):
    run = plan_sweep(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})[0]
    shutil.copytree(swept[1][0].directory, run.directory)
    metrics = (run.directory / "metrics.jsonl").read_bytes()
    for path in run.directory.glob("checkpoints/*/manifest.json"):
        path.write_text("{}")
    outcome = train_run(run)
    assert outcome["event"] == "failed"
    assert "no intact checkpoint" in outcome["text"]
    assert (run.directory / "metrics.jsonl").read_bytes() == metrics


def test_a_run_that_was_killed_while_it_was_made_is_made_again(tmp_path):
    run = plan_sweep(tmp_path, seeds=1, settings={**TINY["settings"], "steps": 40})[0]
    runs.create(run.directory, run.config, ["test"], lambda status: None)
    (run.directory / ".begun").mkdir()
    assert run.state == "new"
    with pytest.raises(UserError, match="is not a run directory and contains none"):
        collect([tmp_path])
    with pytest.raises(UserError, match="is not a run directory"):
        verify(run.directory)
    assert train_run(run)["event"] == "done"
    assert run.state == "done"


def test_a_sweep_imports_no_suite_that_its_file_alone_names(tmp_path, monkeypatch):
    (tmp_path / "sneaky.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("GENOEVO_ALLOW_SUITE", raising=False)
    path = write_sweep(tmp_path / "s.yaml", preset="smoke", settings={"suite": "sneaky:make"}, seeds=1)
    with pytest.raises(UserError, match=r"s.yaml names the suite sneaky:make, which is code"):
        plan(KIND, read_sweep(KIND, path), path, tmp_path / "runs")


def test_a_suite_that_was_typed_is_swept(tmp_path, monkeypatch):
    made = "from tests.mega.suites import CountingSuite\n\ndef make(seed, goals):\n    return CountingSuite()\n"
    (tmp_path / "counting_of_a_sweep.py").write_text(made)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GENOEVO_ALLOW_SUITE", "")
    suite = "counting_of_a_sweep:make"
    path = write_sweep(tmp_path / "s.yaml", preset="smoke", settings={"suite": suite}, seeds=1)
    command = ["mega", "sweep", str(path), "--dir", str(tmp_path / "runs"), "--dry-run"]
    assert CliRunner().invoke(cli, command).exit_code == 2
    allowed = CliRunner().invoke(cli, [*command, "--suite", suite])
    assert (allowed.exit_code, allowed.stdout.split()[0]) == (0, "new")


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
    write_sweep(tmp_path / "my sweep.yaml", preset="smoke", settings={"suite": "my_own:make"}, seeds=1)
    given = ["my sweep.yaml", "--dir", "to here", "--processes", "1", "--suite", "my_own:make"]
    told = CliRunner().invoke(cli, ["mega", "sweep", *given], standalone_mode=False).exception.format_message()
    command = told.partition("Retry with: ")[2]
    assert shlex.split(command)[3:] == given


def test_a_run_of_a_sweep_that_moves_tells_what_is_no_longer_exact(tmp_path):
    (run,) = plan_sweep(tmp_path, seeds=1)
    KIND.create(run.directory, run.config, ["test"], lambda status: None)
    origin = json.loads((run.directory / "run.json").read_text())
    origin["machines"][0]["facts"]["processor"] = "another"
    (run.directory / "run.json").write_text(json.dumps(origin))
    told = []
    KIND.resume(run.directory, lambda status: None, told.append)
    *_, line = told
    assert "the run is not bit for bit what it would have been: processor another -> " in line


def test_a_dry_run_lists_what_is_done_and_touches_nothing(swept, tmp_path):
    directory, *_ = swept
    path = write_sweep(tmp_path / "s.yaml", **TINY, grid={"genotypes.start_stage": [1, 2, 3]})
    before = sorted(directory.rglob("*"))
    result = CliRunner().invoke(cli, ["mega", "sweep", str(path), "--dir", str(directory), "--dry-run"])
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["done", "done", "new"] * 3
    assert sorted(directory.rglob("*")) == before
