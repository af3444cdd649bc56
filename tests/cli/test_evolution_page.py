import json
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from genoevo import Evolution, Population, Selection, Survival
from genoevo.evaluation import Failure, InProcess, Vectorised
from genoevo.evolution import Record
from genoevo.operators import Operators, mutation
from genoevo.operators.reproduction import Origin
from genoevo.pareto import hypervolume
from genoevo_cli.main import cli
from genoevo_runs.report.evolution import Course, diversity
from genoevo_runs.report.page import render

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


def _two_objectives(generations, **more):
    """Near two points at once, both minimised."""
    course = Course(wanted=True)

    def evaluate(population):
        x = population.bits() @ 2.0 ** np.arange(12) / 4095
        return np.stack([abs(x - 0.25), abs(x - 0.6)], axis=1)

    evolution = Evolution(
        Vectorised(evaluate),
        Population.random(20, 12, np.random.default_rng(3), weights=(-1.0, -1.0)),
        seed=4,
        selection=Selection(method="crowded", tournament_size=2),
        survival=Survival(strategy="plus", method="nsga2"),
        callbacks=course.callbacks,
        **more,
    )
    evolution.run(generations)
    return evolution, course


def test_with_several_objectives_the_page_has_the_front():
    evolution, course = _two_objectives(20, record=Record(pareto_front=True))
    data = course.data(evolution, {**RESULT, "objectives": ["near", "far"]})
    front = data["front"]
    assert front["objectives"] == [{"name": "near", "more": False}, {"name": "far", "more": False}]
    found = sorted({genotype.fitness.values for genotype in evolution.pareto_front})
    assert [tuple(values) for values in front["front"]] == found
    assert front["found"] == len(found) == len(front["genotypes"])
    for other in front["others"]:
        assert (np.array(found) <= other).all(axis=1).any()
    assert '"front":' in render(data)


def test_a_large_front_is_thinned_out_to_both_ends(monkeypatch):
    monkeypatch.setattr("genoevo_runs.report.front.POINTS", 5)
    evolution, course = _two_objectives(20)
    front = course.data(evolution, RESULT)["front"]
    values = evolution.population.fitness
    assert front["found"] > len(front["front"]) == 5
    assert (front["front"][0][0], front["front"][-1][1]) == (values[:, 0].min(), values[:, 1].min())


def test_its_hypervolume_counts_from_the_worst_of_the_first_generation():
    first, _ = _two_objectives(1)
    evolution, course = _two_objectives(20)
    data = course.data(evolution, RESULT)
    assert data["reference"] == first.population.fitness.max(axis=0).tolist()
    volume = data["columns"]["hypervolume"]
    assert volume[-1] == pytest.approx(hypervolume(evolution.population, data["reference"]), abs=1e-6)
    assert volume[-1] > volume[0] > 0


def test_a_course_resumes_with_its_reference_and_reads_what_had_none():
    evolution, course = _two_objectives(5)
    again, older = Course(wanted=True), Course(wanted=True)
    again.restore(course.state_dict())
    assert again.data(evolution, RESULT) == course.data(evolution, RESULT)
    older.restore({name: it for name, it in course.state_dict().items() if name not in ("hypervolume", "reference")})
    assert older.data(evolution, RESULT)["columns"]["hypervolume"] == [None] * 5


def test_with_one_objective_there_is_no_front():
    data = _evolved(3)[1]
    assert (data["front"], data["columns"]["hypervolume"]) == (None, [None] * 3)


def test_the_lineage_names_own_operators():
    def mine(population, rng):
        return mutation.flip(population, rng)

    course = Course(wanted=True)
    start = Population.random(20, 12, np.random.default_rng(3))
    evolution = Evolution(sum, start, seed=4, record=Record(lineage=True), operators=Operators(mutation=mine))
    evolution.run(3)
    told = course.data(evolution, RESULT)["lineage"]["operators"]
    name = evolution.lineage.operators["mutation"]
    assert name.endswith("mine")
    assert [one["own"] for one in told] == [[name], [name], []]
    assert [one["own"] for one in _evolved(3)[1]["lineage"]["operators"]] == [[], [], []]


def test_under_a_negative_weight_less_is_better_than_the_parent():
    course = Course(wanted=True)
    start = Population.random(20, 12, np.random.default_rng(3), weights=(-1.0,))
    evolution = Evolution(sum, start, seed=4, record=Record(lineage=True), callbacks=course.callbacks)
    evolution.run(10)
    lineage, told = evolution.lineage, course.data(evolution, RESULT)["lineage"]
    last = max(row[0] for row in told["births"])
    assert last == lineage.generations[lineage.fitness[:, 0].argmin()]
    made = np.flatnonzero(lineage.origins == Origin.CROSSOVER)
    gains = lineage.fitness[made, 0] - lineage.fitness[lineage.parents[made, 0], 0]
    assert told["operators"][0]["better"] == (gains < 0).sum() > 0
