"""The report of a run: what is read, what its page says, and what is refused."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest

from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import logged, runs
from genoevo_mega.report.content import data_of, window_starts
from genoevo_mega.report.reader import RunReader
from genoevo_mega.training.evaluation import SuccessRate
from genoevo_runs.errors import UserError
from genoevo_runs.manifest import parse
from genoevo_runs.report.page import embedded, render

EAGER = {
    "steps": 400,
    "environment": {"episode_length": 10, "goals": 2},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 2, "max_modules": 3},
    "sac": {"random_steps": 10},
    "evaluation": {"every": 200},
    "checkpoints": {"every": 0},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report") / "run"
    config = build_config(preset("smoke"), EAGER)
    runs.create(directory, config, ["genoevo", "mega", "train", "--preset", "smoke"], lambda status: None).run(400)
    return directory


@pytest.fixture
def copied(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "copy"))


def _rounds(directory):
    records = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "round"]


def test_a_run_is_read_as_it_was_written(run):
    read, rounds = RunReader(run).read(), _rounds(run)
    log = read.log
    assert log.rounds == len(rounds) > 5
    assert log.steps.tolist() == [record["step"] for record in rounds]
    assert log.success[3].tolist() == list(rounds[3]["success"].values())
    assert log.stage[-1].tolist() == list(rounds[-1]["stage"].values())
    assert len(log.evaluations) == 2
    assert read.info == runs.info(run)


def test_a_page_has_the_sizes_of_the_run(run):
    [part] = data_of([RunReader(run).read()])["runs"]
    assert part["info"]["sizes"] == runs.info(run)["sizes"]


def test_a_reader_takes_up_what_is_new(copied):
    lines = (copied / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "metrics.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    reader = RunReader(copied)
    before, version = reader.read().log.rounds, reader.version
    (copied / "metrics.jsonl").write_bytes(b"".join(lines))
    assert reader.version != version
    assert (before, reader.read().log.rounds) == (3, RunReader(copied).read().log.rounds)


def test_a_reader_checks_each_line_once(copied, monkeypatch):
    seen = []
    monkeypatch.setattr(logged, "parse", lambda model, content: seen.append(content["step"]) or parse(model, content))
    reader, paths = RunReader(copied), [copied / name for name in ("metrics.jsonl", "time.jsonl")]
    reader.read()
    first = len(seen)
    reader.read()
    assert first >= 2 * len(_rounds(copied))
    assert len(seen) == first
    for path in paths:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines, lines[-1]]))
    reader.read()
    assert len(seen) == first + 2


def test_a_wrong_line_is_refused_at_every_read(copied):
    reader, path = RunReader(copied), copied / "metrics.jsonl"
    reader.read()
    path.write_bytes(path.read_bytes() + b'{"kind": "round", "step": 9}\n')
    told = []
    for _ in range(2):
        with pytest.raises(UserError, match="success: Field required") as refused:
            reader.read()
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_a_reader_starts_anew_where_a_resumed_run_has_cut_its_file(copied):
    reader, path = RunReader(copied), copied / "metrics.jsonl"
    reader.read()
    lines = path.read_bytes().splitlines(keepends=True)
    changed = json.loads(lines[2])
    changed["success"] = dict.fromkeys(changed["success"], 0.75)
    path.write_bytes(b"".join(lines[:2]) + json.dumps(changed).encode() + b"\n")
    assert reader.read().log.success[-1].tolist() == [0.75, 0.75]
    assert reader.read().log.rounds == 3


def test_time_that_a_resumed_run_wrote_again_counts_once(copied):
    path = copied / "time.jsonl"
    path.write_bytes(path.read_bytes() * 2)
    log = RunReader(copied).read().log
    assert len(log.times) == log.rounds


def test_a_damaged_line_is_named(copied):
    path = copied / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b"{not json}\n")
    lines = len(path.read_bytes().splitlines())
    with pytest.raises(UserError, match=rf"metrics.jsonl: line {lines} is corrupt"):
        RunReader(copied).read()


def _without(directory, *names):
    path = directory / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{name: value for name, value in record.items() if name not in names} for record in records]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept))


def test_rounds_of_an_older_version_are_refused_by_name(copied):
    _without(copied, "stage")
    with pytest.raises(UserError, match="lacks 'stage'"):
        RunReader(copied).read()


def test_a_run_without_genotypes_has_no_graphs(copied):
    _without(copied, "elite", "genealogy")
    run = data_of([RunReader(copied).read()])["runs"][0]
    assert (run["graphs"], run["community"], run["genealogy"]["births"]) == ([], None, [])
    assert run["success"][0]["rate"]


def test_a_run_without_a_round_or_a_checkpoint_has_a_page(copied):
    for name in ("metrics.jsonl", "time.jsonl"):
        (copied / name).write_bytes(b"")
    shutil.rmtree(copied / "checkpoints")
    data = data_of([RunReader(copied).read()])
    assert data["runs"][0]["rounds"] == 0
    assert "no round has finished yet" in data["summary"][0]
    render(data)


def test_success_comes_with_the_wilson_interval_of_its_windows_episodes(run):
    read = RunReader(run).read()
    starts, data = window_starts(read.log), data_of([read])["runs"][0]
    assert len(data["window_steps"]) == len(starts) > 3
    first, last = starts[1], starts[2]
    for task in range(2):
        episodes = read.log.episodes[first:last, task]
        successes = round(float((read.log.success[first:last, task] * episodes).sum()))
        expected = SuccessRate.of(successes, int(episodes.sum()))
        shown = data["success"][task]
        assert shown["rate"][1] == round(1000 * expected.success)
        assert (shown["low"][1], shown["high"][1]) == (round(1000 * expected.low), round(1000 * expected.high))


def test_the_summary_tells_the_last_evaluation(run):
    read = RunReader(run).read()
    last = read.log.evaluations[-1]["greedy_success"]
    text = data_of([read])["summary"][0]
    assert f"mastered {sum(rate == 1 for rate in last.values())} of 2 tasks" in text
    assert f"mean success {sum(last.values()) / 2:.0%}" in text
    assert f"{read.log.rounds} rounds" in text


MALICIOUS = "</script><img src=x onerror=alert(1)>&\"'<!--"


def test_no_name_ends_the_pages_data():
    data = {"kind": "mega", "title": MALICIOUS, "runs": [{"name": MALICIOUS}]}
    assert not set("<>&") & set(embedded(data))
    assert json.loads(embedded(data)) == data
    page = render(data)
    assert MALICIOUS not in page
    assert f"<title>{html.escape(MALICIOUS)}</title>" in page


def test_a_page_names_no_address_but_the_namespace_of_svg(run):
    page = render(data_of([RunReader(run).read()]))
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=\"(?!data:,\")", page)


def test_config_is_told_as_differences_from_the_named_preset(run):
    told = data_of([RunReader(run).read()])["runs"][0]["config"]
    assert (told["preset"], told["named"]) == ("smoke", True)
    assert ["growth.mastery", 0.8, 1.0] in told["changes"]
    assert not [name for name, before, now in told["changes"] if before == now]


def test_without_a_named_preset_the_nearest_is_taken(copied):
    origin = json.loads((copied / "run.json").read_text())
    origin["command"] = ["script.py"]
    (copied / "run.json").write_text(json.dumps(origin))
    told = data_of([RunReader(copied).read()])["runs"][0]["config"]
    assert (told["preset"], told["named"]) == ("smoke", False)


def test_runs_are_compared_by_the_settings_in_which_they_differ(run, copied):
    text = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(text.replace("batch_size: 8\n", "batch_size: 16\n"))
    data = data_of([RunReader(run).read(), RunReader(copied).read()])
    assert data["differences"] == [["sac.batch_size", 8, 16]]
    assert data["title"] == "run and copy"


def test_time_is_that_of_the_newest_file(run):
    read = RunReader(run).read()
    told = data_of([read])["runs"][0]["time"]
    assert told["seconds"] == [round(read.info["time"][name], 2) for name in told["categories"]]
    assert all(980 <= sum(column) <= 1020 for column in zip(*told["shares"], strict=True))


def test_report_writes_one_file_and_nothing_else(copied, tmp_path):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "report", str(copied)])
    assert stop.value.code == 0
    after = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert set(after) - set(before) == {copied / "report.html"}
    assert all(after[path] == content for path, content in before.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report"], "RUN_DIR"),
        (["report", "nowhere"], "nowhere is not a run directory"),
        (["report", "{run}", "--out", "no/such/file.html"], "--out: directory 'no/such' does not exist"),
        (["watch", "nowhere"], "nowhere is not a run directory"),
        (["watch", "{run}", "--port", "70000"], "70000"),
    ],
)
def test_a_users_mistake_is_one_line(arguments, message, run, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *(word.format(run=run) for word in arguments)])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        '{"step": 400}',
        '{"step": NaN, "kind": "round"}',
        '{"step": 400, "kind": "evaluation"}',
        '{"step": 400, "kind": "evaluation", "episodes": 2, "greedy_success": 3}',
        '{"step": 400, "kind": "evaluation", "episodes": 2, "greedy_success": {"reach-v3": "all"}}',
        '{"step": 400, "kind": "round", "success": 3}',
        '{"step": 400, "kind": "round", "selection": 3}',
        '{"step": 400, "kind": 7}',
    ],
)
@pytest.mark.parametrize("command", ["report", "compare", "info"])
def test_a_wrong_line_of_the_metrics_is_named_in_one_line(copied, capsys, command, line):
    with (copied / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", command, str(copied)])
    said = capsys.readouterr().err
    if command == "report":
        assert stop.value.code == (0 if line == '{"step": 400}' else 2)
    if stop.value.code:
        assert stop.value.code == 2
        assert said.count("\n") == 1
        assert "metrics.jsonl" in said


@pytest.mark.parametrize("change", [{"command": None}, {"command": 1}, {"match_parameters": 5}])
@pytest.mark.parametrize("command", ["report", "info"])
def test_a_wrong_entry_of_the_origin_is_named_in_one_line(copied, capsys, command, change):
    origin = json.loads((copied / "run.json").read_text())
    kept = {name: value for name, value in (origin | change).items() if value is not None}
    (copied / "run.json").write_text(json.dumps(kept))
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", command, str(copied)])
    assert stop.value.code == (0 if change == {"command": None} else 2)
    if stop.value.code:
        assert re.search(r"run\.json is corrupt: (command|match_parameters)", capsys.readouterr().err)
