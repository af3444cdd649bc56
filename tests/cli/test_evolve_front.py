"""``genoevo evolve`` on several objectives: the search by its front, and what is printed of it."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from genoevo.state import load
from genoevo_cli.main import cli


def run(*arguments):
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def evolve(*arguments):
    found = json.loads(run(*arguments, "--json").stdout)
    del found["seconds"]
    return found


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A problem whose front has nine points: ones among the first twelve bits, and none past the fourth."""
    text = (
        "class Two:\n    size, fitness_weights = 14, (1, -1)\n    def __call__(self, genotype):\n"
        "        return sum(genotype[:12]), sum(genotype[4:])\n"
        "class Told(Two):\n    def decode(self, genotype):\n        return {'ones': sum(genotype)}\n"
        "class Spoilt(Two):\n    def decode(self, genotype):\n        raise KeyError('nothing')\n"
        "class Never(Two):\n    fitness_weights, constraints = (1, -1, -1), 1\n"
        "    def __call__(self, genotype):\n        return *super().__call__(genotype), 1\n"
    )
    (tmp_path / "own_front.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "--problem", "own_front:Two", "--population", 40


def test_several_objectives_are_searched_by_their_front_unless_ga_is_asked_for(two):
    found = evolve(*two, "--generations", 50)
    assert (found["algorithm"], found["front"]) == ("nsga2", 9)
    ranked = evolve(*two, "--generations", 50, "--algorithm", "ga")
    assert "algorithm" not in ranked
    assert ranked["front"] < 9


@pytest.mark.parametrize("report", [False, True])
def test_a_search_by_the_front_resumes_exactly_and_keeps_the_front_for_a_page(tmp_path, frozen, two, report):
    part, whole = tmp_path / "part.npz", tmp_path / "whole.npz"
    page = ("--report", tmp_path / "page.html") if report else ()
    evolve(*two, "--generations", 2, "--state", part, *page)
    assert (load(part)["pareto_front"] is not None) == report
    found = evolve("--resume", part, *two, "--generations", 5)
    assert found == evolve(*two, "--generations", 5, "--state", whole, *page)
    assert frozen(load(part)) == frozen(load(whole))


def test_the_result_has_the_front_with_the_best_of_the_first_objective_first(two):
    found = evolve(*two, "--generations", 50)
    assert [it["fitness"] for it in found["solutions"]] == [[ones, max(ones - 4, 0)] for ones in range(12, 3, -1)]
    for solution in found["solutions"]:
        bits = [int(bit) for bit in solution["genotype"]]
        assert [sum(bits[:12]), sum(bits[4:])] == solution["fitness"]
    assert found["solutions"][0]["genotype"] == found["genotype"]


def test_no_solution_dominates_another_in_a_search_that_ranks_the_objectives(two):
    found = evolve(*two, "--generations", 2, "--algorithm", "ga")
    values = np.array([it["fitness"] for it in found["solutions"]]) * (1, -1)
    assert len(values) == found["front"]
    for row in values:
        others = values[(values != row).any(axis=1)]
        assert not (others >= row).all(axis=1).any()


def test_each_solution_has_what_it_means(two):
    found = evolve("--problem", "own_front:Told", "--generations", 10)
    assert [it["decoded"] for it in found["solutions"]] == [
        {"ones": it["genotype"].count("1")} for it in found["solutions"]
    ]


def test_people_see_the_first_solutions_and_how_many_more_there_are(two):
    lines = run(*two, "--generations", 50).stdout.splitlines()
    assert re.fullmatch(r"   solutions  \[12.0, 8.0\]  [01]{14}", lines[-6])
    assert [line.split("]")[0].strip() for line in lines[-5:-1]] == [
        f"[{ones}.0, {ones - 4}.0" for ones in (11, 10, 9, 8)
    ]
    assert lines[-1] == "              and 4 more, which --json prints"


def test_a_decode_that_fails_is_told_once(two):
    result = run("--problem", "own_front:Spoilt", "--generations", 10, "--json")
    assert result.stderr == "decode failed: KeyError: 'nothing'\n"
    assert {it["decoded"] for it in json.loads(result.stdout)["solutions"]} == {None}


def test_a_front_without_a_feasible_genotype_is_empty(two):
    found = evolve("--problem", "own_front:Never", "--generations", 2)
    assert (found["front"], found["solutions"]) == (0, [])


def test_the_page_has_the_front_once(tmp_path, two):
    path = tmp_path / "page.html"
    found = evolve(*two, "--generations", 50, "--report", path)
    data = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL).group(1))
    assert sorted(data["front"]["front"]) == sorted(it["fitness"] for it in found["solutions"])
    assert "solutions" not in data["result"]
