"""Records of ``metrics.jsonl`` and ``time.jsonl`` that somebody else has written: none gives a traceback."""

import copy
import json
import re
import shutil

import pytest

from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.results import collect
from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from genoevo_runs.errors import CorruptFileError

TINY = {
    "suite": "point,car",
    "steps": 800,
    "environment": {"episode_length": 10},
    "sac": {"random_steps": 10},
    "evaluation": {"every": 400, "episodes": 1},
    "checkpoints": {"every": 0},
    "decoding": {"kind": "sparse"},
    "selection": {"rule": "record"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("logged") / "run"
    config = build_config(preset("smoke"), TINY)
    runs.create(directory, config, ["genoevo", "train"], lambda status: None).run(800)
    return directory


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def _change(path, kind, places, value):
    """Change or, for ..., delete a field of the last record of a kind."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    record = next(record for record in reversed(records) if record.get("kind") == kind)
    for place in places[:-1]:
        record = record[place]
    if value is ...:
        del record[places[-1]]
    else:
        record[places[-1]] = copy.deepcopy(value)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def report(run):
    return data_of([RunReader(run).read()])


def compare(run):
    return collect([run])


ROUND = [
    (["success", "car"], ..., "tasks must be point, car, got point"),
    (["success", "car"], True, "success.car = True"),
    (["success", "car"], "0.5", "success.car = '0.5'"),
    (["success", "car"], None, "success.car = None"),
    (["success", "car"], 1.5, "success.car = 1.5"),
    (["success"], [0.5, 0.5], "success = list of 2"),
    (["step"], 0, "step = 0"),
    (["episodes", "car"], 2.5, "episodes.car = 2.5"),
    (["episodes", "car"], 0, "episodes.car = 0"),
    (["stage", "car"], "3", "stage.car = '3'"),
    (["stage"], {"car": 3, "point": 3}, "stage must have the tasks point, car"),
    (["effective_modules"], None, "effective_modules = None"),
    (["return", "car"], {"a": 1}, "return.car = dict of 1"),
    (["pool_size"], 10**30, "pool_size = 10"),
    (["elite"], ["01"], "elite = list of 1"),
    (["elite", "car"], "0210", "elite.car = '0210'"),
    (["elite", "tractor"], "01", "unknown task 'tractor'"),
    (["genealogy"], None, "genealogy = None"),
    (["genealogy", "survivors"], [0], "genealogy must be of 2 tasks"),
    (["genealogy", "survivors"], [0, 99], "genealogy names a genotype"),
    (["genealogy", "children", 0, 0], [1, 99, -1], "genealogy names a genotype"),
    (["genealogy", "children", 0, 0], [7, 0, 0], "genealogy.children.0.0.0 = 7"),
    (["genealogy", "children", 0, 0], [1], "genealogy.children.0.0"),
    (["selection", "overlap"], "much", "selection.overlap"),
    (["selection", "genotypes", "car", "age"], [1], "columns of one length"),
    (["selection", "frontier"], {"car": [{"price": "cheap"}]}, "selection.frontier.car.0"),
]
EVALUATION = [
    (["greedy_success", "car"], ..., "tasks must be point, car, got point"),
    (["greedy_success", "car"], "1", "greedy_success.car = '1'"),
    (["greedy_success", "car"], -3, "greedy_success.car = -3"),
    (["greedy_success"], ..., "greedy_success: field required"),
    (["episodes"], 0, "episodes = 0"),
    (["episodes"], True, "episodes = True"),
]


@pytest.mark.parametrize("read", [report, compare])
@pytest.mark.parametrize(
    ("kind", "places", "value", "message"),
    [*(("round", *each) for each in ROUND), *(("evaluation", *each) for each in EVALUATION)],
)
def test_a_wrong_field_is_named_with_its_line(run, read, kind, places, value, message):
    _change(run / "metrics.jsonl", kind, places, value)
    with pytest.raises(CorruptFileError, match=rf"(?i)metrics\.jsonl is corrupt: .*{re.escape(message)}"):
        read(run)


def test_an_elite_of_no_legal_length_has_no_page(run):
    _change(run / "metrics.jsonl", "round", ["elite", "car"], "011")
    with pytest.raises(CorruptFileError, match=r"metrics\.jsonl is corrupt: elite of car: .*3"):
        report(run)


@pytest.mark.parametrize(
    ("places", "value"), [(["step"], ...), (["step"], []), (["acting"], "1"), (["acting"], -1), (["other"], 1)]
)
def test_a_wrong_wall_time_is_named_with_its_line(run, places, value):
    _change(run / "time.jsonl", None, places, value)
    with pytest.raises(CorruptFileError, match=r"time\.jsonl(: line \d+)? is corrupt: .*" + places[0]):
        report(run)


@pytest.mark.parametrize("line", ["[]", "3", '{"kind": "round"}', '{"kind": 3, "step": 1}', '{"step": NaN}'])
def test_a_line_that_is_no_record_is_told_in_one_line(run, capsys, line):
    with (run / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "report", str(run)])
    said = capsys.readouterr().err
    assert (stop.value.code, said.count("\n")) == (2, 1)
    assert "is corrupt: " in said


def test_a_run_json_without_its_command_has_a_page(run):
    origin = json.loads((run / "run.json").read_text())
    del origin["command"]
    (run / "run.json").write_text(json.dumps(origin))
    assert report(run)["runs"][0]["command"] == "genoevo"


def test_intact_files_are_read(run):
    assert report(run)["runs"][0]["rounds"] > 2
    assert compare(run)[0].success.shape == (2,)
