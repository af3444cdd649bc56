import json
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from genoevo import Evolution, Population
from genoevo.evaluation import Failure, InProcess
from genoevo.evolution import Record
from genoevo.operators.reproduction import Origin
from genoevo_cli.main import cli
from genoevo_runs.report.evolution import Course, diversity

RESULT = {
    "problem": "onemax",
    "size": 12,
    "seed": 1,
    "best": 12.0,
    "optimum": 12,
    "solved": True,
    "generations": 30,
    "evaluations": 600,
    "length": 12,
}


def _evolved(generations, lineage=True):
    course = Course(wanted=True)
    start = Population.random(20, 12, np.random.default_rng(3))
    evolution = Evolution(
        lambda genotype: int(genotype.bits.sum()),
        start,
        seed=4,
        record=Record(lineage=lineage),
        callbacks=course.callbacks,
    )
    evolution.run(generations)
    return evolution, course.data(evolution, RESULT)


def _page_data(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


@pytest.mark.parametrize(
    ("genotypes", "expected"),
    [
        (["0101", "0101"], 0),
        (["00", "11"], 0.5),
        # Positions 1 and 2 differ in neither, position 3 in half of the pairs, position 4 is one genotype's alone.
        (["010", "0111"], (2 * 0 + 2 * 0 + 2 * 0.5 + 1 * 0) / 7),
    ],
)
def test_diversity_counts_the_bits_that_both_have(genotypes, expected):
    assert diversity(Population.from_genotypes(genotypes)) == pytest.approx(expected)


def test_every_generation_is_told_as_it_was():
    evolution, data = _evolved(30)
    columns = data["columns"]
    assert columns["generation"] == [record["generation"] for record in evolution.logbook]
    assert columns["best"] == [record["best"] for record in evolution.logbook]
    assert columns["median"][-1] == np.median(evolution.population.fitness)
    assert columns["distinct"][-1] == len(set(map(str, evolution.population))) / 20
    assert columns["shortest"] == columns["longest"] == [12.0] * 30


def test_a_long_search_is_thinned_out_to_its_last_generation(monkeypatch):
    monkeypatch.setattr("genoevo_runs.report.evolution.POINTS", 10)
    _, data = _evolved(31)
    assert data["columns"]["generation"] == [1, 4, 8, 11, 14, 18, 21, 24, 28, 31]


def test_infinite_fitness_is_left_out():
    course = Course(wanted=True)
    start = Population.random(4, 8, np.random.default_rng(3))
    evolution = Evolution(None, start, seed=1, callbacks=course.callbacks)
    evolution.ask()
    evolution.tell([-np.inf] * 4)
    evolution.ask()
    evolution.tell([2.0, 2.0, 2.0])
    assert course.data(evolution, RESULT)["columns"]["median"] == [None, 2.0]


def test_the_line_of_the_best_follows_first_parents():
    evolution, data = _evolved(30)
    lineage, births = evolution.lineage, data["lineage"]["births"]
    number = int(lineage.fitness[:, 0].argmax())
    for generation, origin, donor in reversed(births):
        assert (generation, origin, donor) == (lineage.generations[number], lineage.origins[number], None)
        number = lineage.parents[number, 0]
    assert births
    assert number < 20 or births[0][1] == Origin.FRESH


def test_operators_are_judged_beside_first_parents():
    evolution, data = _evolved(30)
    lineage = evolution.lineage
    for told in data["lineage"]["operators"]:
        made = [i for i in range(len(lineage)) if lineage.origins[i] == told["operator"]]
        assert told["children"] == len(made)
        if told["better"] is not None:
            gains = [lineage.fitness[i, 0] - lineage.fitness[lineage.parents[i, 0], 0] for i in made]
            assert (told["better"], told["worse"]) == (sum(g > 0 for g in gains), sum(g < 0 for g in gains))


def test_without_a_lineage_there_is_none():
    assert _evolved(3, lineage=False)[1]["lineage"] is None


def test_nothing_is_recorded_where_no_page_is_wanted():
    assert Course(wanted=False).callbacks == []


def test_evolve_writes_the_page_and_finds_the_same(tmp_path):
    command = ["evolve", "--problem", "variable-onemax", "--generations", "30", "--json"]
    without, with_page = (
        CliRunner().invoke(cli, [*command, *more]) for more in ([], ["--report", str(tmp_path / "page.html")])
    )
    results = [json.loads(result.stdout) for result in (without, with_page)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    data = _page_data(tmp_path / "page.html")
    assert data["result"]["genotype"] == results[0]["genotype"]
    assert len(data["columns"]["best"]) == results[0]["generations"]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_without_a_directory_is_refused_before_anything_runs(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", "--problem", "onemax", "--report", "no-such/page.html"])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert "--report: directory 'no-such' does not exist" in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")


def test_the_page_needs_nothing_that_the_command_line_does_not_install(tmp_path):
    missing = ("torch", "pydantic", "yaml", "scipy", "gymnasium", "metaworld", "safetensors", "genoevo_mega")
    code = f"import sys; sys.modules |= dict.fromkeys({missing}); from genoevo_cli import main; main()"
    arguments = ["evolve", "--problem", "onemax", "--size", "20", "--report", str(tmp_path / "page.html")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    assert _page_data(tmp_path / "page.html")["kind"] == "evolution"


def test_the_page_tells_why_evaluations_failed():
    course = Course(wanted=True)
    start = Population.random(20, 12, np.random.default_rng(3))
    evaluate = InProcess(lambda g: None if g[0] else sum(g), failure=Failure(action="worst"))
    evolution = Evolution(evaluate, start, seed=4, callbacks=course.callbacks)
    evolution.run(2)
    failed = sum(evolution.logbook.select("failed"))
    told = f" {failed} evaluations failed: {failed} returned None, not one finite number."
    assert course.data(evolution, RESULT)["summary"].endswith(told)
