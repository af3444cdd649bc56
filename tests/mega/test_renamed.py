"""Settings under their old names: on the command line, in config files, in sweep files, in old runs."""

import copy
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.renamed import RENAMED, with_new_names
from genoevo_mega.config.run import build_config, setting_names
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_mega.run_kind import KIND
from genoevo_mega.training import migrate
from genoevo_runs.errors import ConfigError
from genoevo_runs.settings import flat, nested
from genoevo_runs.sweep import SweepFile, plan
from tests.same_as.runs import SETTINGS, translated

FIXTURES = Path(__file__).parent / "fixtures"

# For each old name, a value that is not the default.
OLD = {
    "machine.device": "cuda",
    "machine.workers": 3,
    "machine.threads": 4,
    "machine.lag": 2,
    "machine.halves": True,
    "machine.minutes": 5.5,
    "machine.checkpoint_every": 600,
    "machine.keep_checkpoints": 7,
    "machine.worker_timeout": 8.5,
    "machine.fault_limit": 9,
    "sac.average": 0.25,
    "sac.random_hold": 11,
}
BOTH = {"machine.lag": 2, "schedule.update_lag": 2}
REFUSED = "machine.lag and schedule.update_lag are two names of the same setting: give only schedule.update_lag"


def test_every_renamed_setting_is_tried_here():
    assert OLD.keys() == RENAMED.keys()


def test_old_names_are_no_settings_and_new_names_are_settings_each_once():
    assert RENAMED.keys().isdisjoint(setting_names())
    assert set(RENAMED.values()) <= set(setting_names())
    assert len(set(RENAMED.values())) == len(RENAMED)


def test_no_preset_uses_an_old_name():
    for name, settings in PRESETS.items():
        assert RENAMED.keys().isdisjoint(flat(settings)), name


def test_every_value_arrives_under_its_new_name_and_is_told_in_a_line():
    lines, given = [], nested({**OLD, "sac.tau": 0.5, "steps": 30})
    before = copy.deepcopy(given)
    found = with_new_names(given, lines.append)
    assert given == before
    assert flat(found) == {"sac.tau": 0.5, "steps": 30, **{RENAMED[name]: value for name, value in OLD.items()}}
    assert lines == [f"{old} is now called {new}" for old, new in RENAMED.items()]
    values = flat(build_config(found).model_dump())
    assert {name: values[RENAMED[name]] for name in OLD} == OLD


def test_settings_without_old_names_are_left_as_they_are():
    given, lines = {"sac": {"tau": 0.5}, "compute": 3, "odd": None, 7: {}}, []
    assert with_new_names(given, lines.append) == given
    assert lines == []


def test_an_empty_group_that_is_no_more_is_nothing():
    assert with_new_names({"machine": {}, "sac": {}}) == {"sac": {}}


@pytest.mark.parametrize("old", OLD)
def test_both_names_of_a_setting_are_refused(old):
    with pytest.raises(ConfigError, match=rf"^{old} and {RENAMED[old]} are two names of the same setting"):
        with_new_names(nested({old: OLD[old], RENAMED[old]: OLD[old]}))


def test_a_name_that_never_was_in_a_group_that_is_no_more_is_refused():
    with pytest.raises(ConfigError, match=r"^machine\.lagg is not a setting .did you mean schedule\.update_lag\?.$"):
        with_new_names({"machine": {"lag": 1, "lagg": 1}})
    with pytest.raises(
        ConfigError, match=r"^machine\.update_lag is not a setting .did you mean schedule\.update_lag\?"
    ):
        with_new_names({"machine": {"update_lag": 1}})
    with pytest.raises(
        ConfigError, match=r"^machine\.zzz is not a setting: its settings are now in compute, schedule"
    ):
        with_new_names({"machine": {"zzz": 1}})


def test_a_group_that_is_no_more_is_not_a_setting():
    with pytest.raises(ConfigError, match=r"^machine is not a group of settings: its settings are now in compute"):
        with_new_names({"machine": 2})


def test_a_wrong_value_under_an_old_name_is_named_by_the_new_one():
    with pytest.raises(ConfigError, match=r"^schedule\.update_lag = 99: "):
        build_config(with_new_names({"machine": {"lag": 99}}))
    with pytest.raises(ConfigError, match=r"^schedule = 3: "):
        build_config(with_new_names({"machine": {"lag": 9}, "schedule": 3}))


# ------------------------------------------------------------------------------------------------------ the doors


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """The config that ``genoevo mega train`` resolves, and what it prints."""

    def train(*arguments):
        seen = []
        monkeypatch.setattr(runs, "create", lambda directory, config, *rest: seen.append(config) or sys.exit(0))
        command = ["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path / "run"), *map(str, arguments)]
        result = CliRunner().invoke(cli, command)
        assert result.stdout == ""
        return (seen[0] if seen else None), result

    return train


def test_old_names_work_with_set(trained):
    config, result = trained("--set", "machine.lag=3", "--set", "sac.random_hold=5")
    assert (config.schedule.update_lag, config.sac.random_action_repeat) == (3, 5)
    assert result.stderr.splitlines() == [
        "machine.lag is now called schedule.update_lag",
        "sac.random_hold is now called sac.random_action_repeat",
    ]


def test_old_names_work_in_a_config_file_and_set_goes_first(trained, tmp_path):
    (tmp_path / "c.yaml").write_text("machine: {lag: 3, workers: 2}\nsac: {average: 0.5}\n")
    config, result = trained("--config", tmp_path / "c.yaml", "--set", "schedule.update_lag=4", "--workers", 3)
    assert (config.schedule.update_lag, config.sac.actor_ema_tau, config.compute.workers) == (4, 0.5, 3)
    assert result.stderr.splitlines() == [
        "machine.workers is now called compute.workers",
        "machine.lag is now called schedule.update_lag",
        "sac.average is now called sac.actor_ema_tau",
    ]


@pytest.mark.parametrize("door", ["--set", "--config"])
def test_both_names_at_one_door_are_one_line_and_exit_code_2(trained, tmp_path, door, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(nested(BOTH)))
    typed = [part for name, value in BOTH.items() for part in ("--set", f"{name}={value}")]
    _, result = trained(*(typed if door == "--set" else ["--config", tmp_path / "c.yaml"]))
    assert result.exit_code == 2
    assert result.stderr == f"genoevo: {REFUSED}\n"


def _plan(tmp_path, lines, **content):
    sweep = SweepFile.model_validate({"preset": "smoke", "seeds": 2, **content})
    return plan(KIND, sweep, tmp_path / "s.yaml", tmp_path, lines.append)


def test_old_names_work_in_a_sweep_file_and_leave_its_directories(tmp_path):
    lines = []
    planned = _plan(
        tmp_path,
        lines,
        settings={"suite": "point", "machine.minutes": 7},
        grid={"machine.lag": [0, 2]},
        runs={"averaged": {"sac": {"average": 0.5}}},
    )
    assert [(run.name, run.config.schedule.update_lag) for run in planned[:2]] == [
        ("averaged,lag=0", 0),
        ("averaged,lag=2", 2),
    ]
    assert {run.config.schedule.time_limit_minutes for run in planned} == {7}
    assert {run.config.sac.actor_ema_tau for run in planned} == {0.5}
    told = ("machine.lag", "machine.minutes", "sac.average")
    assert lines == [f"{old} is now called {RENAMED[old]}" for old in told]


@pytest.mark.parametrize(
    "content",
    [
        {"settings": {"suite": "point", **BOTH}},
        {"settings": {"suite": "point", "machine.lag": 2}, "grid": {"schedule.update_lag": [0, 2]}},
        {"settings": {"suite": "point"}, "runs": {"a": {"machine.lag": 2}}, "grid": {"schedule.update_lag": [0]}},
    ],
)
def test_a_sweep_file_with_both_names_is_refused(tmp_path, content):
    with pytest.raises(ConfigError, match=REFUSED):
        _plan(tmp_path, [], **content)


def test_the_command_tells_the_new_names_of_a_sweep_files_settings(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump({"preset": "smoke", "settings": {"suite": "point", "machine.lag": 0}}))
    result = CliRunner().invoke(cli, ["mega", "sweep", str(file), "--dir", str(tmp_path / "runs"), "--dry-run"])
    assert result.exit_code == 0
    assert result.stderr == "machine.lag is now called schedule.update_lag\n"


# ---------------------------------------------------------------------------------------------------- files of runs


def test_the_settings_of_a_run_of_version_2_are_read_under_their_new_names():
    config = runs.open_config(FIXTURES / "run_v3")
    old = flat(yaml.safe_load((FIXTURES / "run_v3" / "config.yaml").read_text()))
    assert {name: flat(config.model_dump())[new] for name, new in RENAMED.items()} == {
        name: old[name] for name in RENAMED
    }
    assert (config.schedule.update_lag, config.faults.limit, config.checkpoints.keep) == (2, 7, 3)
    assert (config.sac.actor_ema_tau, config.sac.random_action_repeat) == (0.5, 2)


def test_a_run_of_version_2_is_whole_and_goes_on_under_its_version(tmp_path):
    run = shutil.copytree(FIXTURES / "run_v3", tmp_path / "run")
    # As version 2 printed it.
    assert runs.info(run)["digest"] == "7780af394fff54f0f8301844543abad6831078604f8309dc95e6b930135753ba"
    assert verify(run)["sound"]
    trainer = runs.resume(run)
    trainer.run(60)
    assert runs.info(run)["steps"] == 60
    assert runs.open_config(run) == trainer.config


@pytest.mark.parametrize(("overlap", "lag"), [(True, 1), (False, 0)])
def test_the_settings_of_a_run_of_version_1_are_read_under_their_new_names(overlap, lag):
    content = {"machine": {"threads": 2, "overlap": overlap}, "sac": {"average": 0.5}}
    assert migrate.config(content, 1) == {
        "compute": {"threads": 2},
        "schedule": {"update_lag": lag},
        "sac": {"actor_ema_tau": 0.5},
    }


def test_a_run_of_version_3_knows_no_old_name():
    content = {"machine": {"lag": 2}}
    assert migrate.config(content, 3) == content


# ------------------------------------------------------------------------------------- comparisons with a revision


def test_settings_are_translated_for_a_revision_before_they_were_renamed():
    new = {RENAMED[name]: value for name, value in OLD.items()}
    known = [*RENAMED, "steps", "sac.tau"]
    assert translated({**new, "sac.tau": 0.5}, known, SETTINGS) == {**OLD, "sac.tau": 0.5}
    assert translated(new, setting_names(), SETTINGS) == new
