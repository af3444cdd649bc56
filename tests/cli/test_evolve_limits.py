"""``genoevo evolve``: limits on generations and evaluations, given or by default, begun or resumed."""

import json

import pytest
from click.testing import CliRunner

from genoevo.algorithms import ALGORITHMS
from genoevo.state import load
from genoevo_cli.main import cli

TRAP = "--problem", "trap", "--size", 60
EACH = pytest.mark.parametrize("name", ["ga", *sorted(ALGORITHMS)])


def run(*arguments):
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return result


def evolve(*arguments):
    found = json.loads(run(*arguments).stdout)
    del found["seconds"]
    return found


@pytest.fixture
def unknown(tmp_path, monkeypatch):
    """A problem whose optimum the command does not know."""
    (tmp_path / "own_unknown.py").write_text("def ones(genotype):\n    return sum(genotype)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "--problem", "own_unknown:ones", "--size", 40


def test_an_algorithm_of_small_generations_reaches_a_known_optimum_by_default():
    found = evolve("--problem", "onemax", "--size", 100, "--algorithm", "fast-ga", "--seed", 3)
    assert found["solved"]
    assert found["generations"] > 1000


@EACH
def test_a_number_of_evaluations_ends_any_search(name):
    found = evolve(*TRAP, "--algorithm", name, "--evaluations", 150)
    assert not found["solved"]
    assert 150 <= found["evaluations"] < 250


def test_the_genetic_algorithm_has_a_thousand_generations_by_default():
    assert evolve(*TRAP, "--population", 2)["generations"] == 1000


def test_evaluations_alone_are_the_only_limit():
    found = evolve(*TRAP, "--population", 2, "--evaluations", 2500)
    assert found["generations"] > 1000
    assert found["evaluations"] >= 2500


def test_the_first_of_two_limits_ends_a_search():
    found = evolve(*TRAP, "--generations", 3, "--evaluations", 100_000)
    assert found["generations"] == 3


@pytest.mark.parametrize("problem", [TRAP, "unknown"], ids=["known optimum", "unknown optimum"])
def test_an_algorithm_of_small_generations_has_a_limit_of_evaluations(problem, unknown, monkeypatch):
    given = unknown if problem == "unknown" else problem
    monkeypatch.setattr("genoevo_cli.evolve.search.EVALUATIONS", 70)
    assert evolve(*given, "--algorithm", "fast-ga")["evaluations"] == 70
    assert evolve(*given, "--algorithm", "fast-ga", "--generations", 90)["evaluations"] == 90


def test_a_search_resumes_with_the_limit_that_it_had_by_default(unknown, monkeypatch, tmp_path):
    path = tmp_path / "search.npz"
    monkeypatch.setattr("genoevo_cli.evolve.search.EVALUATIONS", 70)
    evolve(*unknown, "--algorithm", "fast-ga", "--state", path)
    monkeypatch.setattr("genoevo_cli.evolve.search.EVALUATIONS", 90)
    result = run("--resume", path, *unknown)
    assert json.loads(result.stdout)["evaluations"] == 70
    assert result.stderr == f"{path} already has 70 generations and 70 evaluations; it has ended by: evaluations.\n"


@EACH
def test_a_search_that_evaluations_ended_within_a_generation_resumes_exactly(tmp_path, frozen, name):
    part, whole = tmp_path / "part.npz", tmp_path / "whole.npz"
    arguments = *TRAP, "--algorithm", name
    evolve(*arguments, "--evaluations", 130, "--state", part)
    found = evolve("--resume", part, "--evaluations", 500)
    assert found == evolve(*arguments, "--evaluations", 500, "--state", whole)
    assert frozen(load(part)) == frozen(load(whole))


def test_limits_of_a_resumed_search_take_the_place_of_both_saved_ones(tmp_path):
    path = tmp_path / "search.npz"
    evolve(*TRAP, "--generations", 3, "--evaluations", 10_000, "--state", path)
    found = evolve("--resume", path, "--evaluations", 600)
    assert found["generations"] > 3
    assert {name: load(path)["about"].get(name) for name in ("generations", "evaluations")} == {
        "generations": None,
        "evaluations": 600,
    }


def test_a_search_without_a_limit_of_generations_is_saved_and_resumed(tmp_path):
    path = tmp_path / "search.npz"
    arguments = "--problem", "onemax", "--size", 30, "--algorithm", "fast-ga"
    evolve(*arguments, "--generations", 5, "--state", path)
    without = evolve(*arguments, "--state", tmp_path / "whole.npz")
    assert load(tmp_path / "whole.npz")["about"]["generations"] is None
    assert evolve("--resume", tmp_path / "whole.npz") == without
    assert evolve("--resume", path, "--evaluations", 10_000) == without


def test_the_largest_population_of_ltga_has_a_limit_of_bits(monkeypatch):
    monkeypatch.setattr("genoevo_cli.evolve.algorithms.MOST_BITS", 600)
    result = run("--problem", "trap", "--size", 60, "--algorithm", "ltga")
    assert result.stderr == "Nothing is left to evaluate: all populations of ltga have ended.\n"


def test_the_file_of_a_genetic_algorithm_names_nothing_that_earlier_versions_do_not_know(tmp_path):
    path = tmp_path / "search.npz"
    evolve(*TRAP, "--generations", 2, "--state", path)
    assert not {"algorithm", "evaluations", "at_once"} & set(load(path)["about"])


def test_progress_without_a_limit_says_none(monkeypatch):
    monkeypatch.setattr("genoevo.evolution.progress.QUIET", 0)
    monkeypatch.setattr("genoevo.evolution.progress.PLAIN_INTERVAL", 0)
    result = run("--problem", "onemax", "--size", 8, "--algorithm", "fast-ga")
    assert result.stderr.startswith("generation 1  1 evaluations  best ")


def test_a_search_with_nothing_left_to_evaluate_says_so(unknown, monkeypatch):
    monkeypatch.setattr("genoevo_cli.evolve.algorithms.LARGEST", 8)
    result = run(*unknown, "--size", 4, "--algorithm", "ltga")
    assert result.stderr == "Nothing is left to evaluate: all populations of ltga have ended.\n"
