import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from genoevo_cli.main import cli
from genoevo_mega.experiments.compare import as_json, compare
from genoevo_mega.experiments.plot import check_picture, draw
from genoevo_mega.experiments.results import collect
from genoevo_mega.training import checkpoint
from genoevo_runs.errors import UserError
from tests.mega.sweeps import plan_sweep, train_run


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
    run = plan_sweep(tmp_path, seeds=1, settings={"suite": "point,car", "steps": 200, "evaluation.every": 60})[0]
    train_run(run)
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
