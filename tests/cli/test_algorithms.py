"""``genoevo evolve --algorithm``: the algorithms of ``genoevo.algorithms``."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from genoevo.algorithms import ALGORITHMS
from genoevo.state import load, save
from genoevo_cli.evolve import algorithms
from genoevo_cli.main import cli

TRAP = ("--problem", "trap", "--size", 20)
EACH = pytest.mark.parametrize("name", sorted(ALGORITHMS))


def evolve(*arguments):
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    del found["seconds"]
    return found


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", *map(str, arguments)])
    captured = capsys.readouterr()
    assert (stop.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    return captured.err


def columns_of(path):
    found = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found.group(1))["columns"]


@EACH
def test_each_algorithm_of_the_engine_solves_a_problem_by_its_name(name):
    found = evolve("--problem", "onemax", "--size", 12, "--algorithm", name)
    assert (found["algorithm"], found["solved"]) == (name, True)


@EACH
def test_a_resumed_search_continues_exactly(tmp_path, frozen, name):
    part, whole = tmp_path / "part.npz", tmp_path / "whole.npz"
    arguments = *TRAP, "--algorithm", name, "--every", 1
    evolve(*arguments, "--generations", 2, "--state", part)
    found = evolve("--resume", part, "--generations", 5)
    assert found == evolve(*arguments, "--generations", 5, "--state", whole)
    assert frozen(load(part)) == frozen(load(whole))


@EACH
def test_an_algorithm_searches_a_problem_of_the_users_own(tmp_path, monkeypatch, name):
    (tmp_path / "own_problem.py").write_text("def zeros(genotype):\n    return -int(genotype.bits.sum())\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = evolve("--problem", "own_problem:zeros", "--size", 6, "--algorithm", name, "--evaluations", 500)
    assert (found["genotype"], found["optimum"]) == ("000000", None)


@pytest.mark.parametrize("option", ["population", "crossover-rate", "mutation-rate", "resize-rate"])
def test_an_option_that_an_algorithm_does_not_take_is_refused_by_name(capsys, option):
    value = 100 if option == "population" else 0.9
    message = refused(capsys, *TRAP, "--algorithm", "p3", f"--{option}", value)
    assert f"--{option} has no meaning for --algorithm p3" in message


def test_a_resumed_search_refuses_an_option_that_its_algorithm_does_not_take(capsys, tmp_path):
    path = tmp_path / "search.npz"
    evolve(*TRAP, "--algorithm", "p3", "--generations", 1, "--state", path)
    message = refused(capsys, "--resume", path, "--crossover-rate", 0.9)
    assert "--crossover-rate has no meaning for --algorithm p3" in message


def test_ltga_has_a_population_of_the_size_that_is_given():
    first = evolve(*TRAP, "--algorithm", "ltga", "--population", 7, "--generations", 1)
    assert (first["generations"], first["evaluations"]) == (1, 7)


def test_ltga_needs_no_size_and_lets_larger_populations_follow(tmp_path):
    path = tmp_path / "search.npz"
    evolve("--problem", "hiff", "--size", 64, "--algorithm", "ltga", "--generations", 6, "--state", path)
    assert [len(it["merit"]) for it in load(path)["own"]["populations"]] == [8, 16]


def test_a_search_by_ltga_that_an_earlier_version_saved_resumes_with_its_one_population(tmp_path, frozen):
    before, whole = tmp_path / "before.npz", tmp_path / "whole.npz"
    shutil.copy(Path(__file__).parent / "fixtures" / "ltga-before-sizes.npz", before)
    begin = "--problem", "hiff", "--size", 32, "--set", "shuffle=1", "--algorithm", "ltga", "--seed", 2
    found = evolve("--resume", before, "--generations", 2)
    assert found == evolve(*begin, "--population", 100, "--generations", 2, "--state", whole)
    assert frozen(load(before)) == frozen(load(whole))


@pytest.mark.parametrize(("name", "evaluations"), [("fast-ga", 1 + 4), ("p3", 4)])
def test_at_once_is_how_many_are_evaluated_side_by_side(name, evaluations):
    found = evolve(*TRAP, "--algorithm", name, "--at-once", 4, "--evaluations", 2)
    assert found["evaluations"] == evaluations


@pytest.mark.parametrize("name", ["fast-ga", "p3"])
def test_workers_share_what_is_evaluated_at_once_and_change_nothing(name):
    arguments = *TRAP, "--algorithm", name, "--at-once", 6, "--evaluations", 40
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments), "--workers", "2", "--json"])
    found = json.loads(result.stdout)
    del found["seconds"]
    assert found == evolve(*arguments)
    assert all(line.startswith("generation ") for line in result.stderr.splitlines())  # progress, if it takes long


def test_workers_that_would_have_nothing_to_do_are_named_in_one_line():
    arguments = *TRAP, "--algorithm", "p3", "--evaluations", 3, "--workers", 2
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments)])
    assert result.exit_code == 0
    assert result.stderr == (
        "p3 evaluates 1 at a time, work for 1 of the workers; a new search with --at-once N evaluates N\n"
    )


@pytest.mark.parametrize("name", ["ga", "ltga", "lambda-lambda-ga"])
def test_at_once_is_refused_where_the_algorithm_decides(capsys, name):
    message = refused(capsys, *TRAP, "--algorithm", name, "--at-once", 4)
    assert f"--at-once has no meaning for --algorithm {name}" in message


def test_a_resumed_search_keeps_its_number_at_once(capsys, tmp_path):
    path = tmp_path / "search.npz"
    evolve(*TRAP, "--algorithm", "p3", "--generations", 1, "--state", path)
    message = refused(capsys, "--resume", path, "--at-once", 4)
    assert "belongs to a search with at_once 1, got 4" in message


def test_the_bits_at_once_have_a_limit(capsys):
    large = "--problem", "onemax", "--size", 1_000_000, "--algorithm", "fast-ga", "--at-once", 101
    message = refused(capsys, *large)
    assert "at_once times size must be at most 100,000,000, got 101 times 1,000,000" in message


def test_an_algorithm_refuses_a_problem_whose_lengths_evolve(capsys):
    message = refused(capsys, "--problem", "variable-onemax", "--algorithm", "fast-ga")
    assert "--algorithm fast-ga keeps the length of each genotype" in message


def test_learning_linkage_has_a_limit_of_bits(capsys):
    message = refused(capsys, "--problem", "onemax", "--size", 5001, "--algorithm", "ltga")
    assert "--algorithm ltga takes at most 5,000 bits, got 5,001" in message


def test_an_algorithm_refuses_several_objectives(capsys, tmp_path, monkeypatch):
    text = "class Two:\n    size, fitness_weights = 4, (1, 1)\n    def __call__(self, genotype):\n        pass\n"
    (tmp_path / "own_objectives.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, "--problem", "own_objectives:Two", "--algorithm", "p3")
    assert "P3 needs one objective with a weight other than 0, got (1.0, 1.0)" in message


def test_a_state_of_other_settings_is_refused(capsys, tmp_path):
    path = tmp_path / "search.npz"
    evolve(*TRAP, "--algorithm", "fast-ga", "--generations", 2, "--state", path)
    state = load(path)
    state["settings"]["offspring"] = 5
    save(path, state)
    assert "the algorithm in the state does not match its settings" in refused(capsys, "--resume", path)


def test_an_optimum_within_the_first_generation_is_saved(tmp_path):
    path = tmp_path / "search.npz"
    arguments = "--problem", "onemax", "--size", 12, "--algorithm", "p3", "--state", path
    found = evolve(*arguments)
    assert (found["solved"], found["generations"]) == (True, 0)
    before = path.read_bytes()
    again = CliRunner().invoke(cli, ["evolve", *map(str, arguments)])
    assert "already has" in again.stderr
    assert path.read_bytes() == before


def test_the_report_ends_at_an_optimum_within_a_generation(tmp_path):
    path = tmp_path / "page.html"
    found = evolve("--problem", "onemax", "--size", 12, "--algorithm", "p3", "--report", path)
    columns = columns_of(path)
    assert (columns["best"], columns["evaluations"]) == ([12], [found["evaluations"]])


def test_the_curve_is_drawn_without_a_whole_generation(tmp_path):
    path = tmp_path / "curve.svg"
    evolve("--problem", "onemax", "--size", 12, "--algorithm", "p3", "--plot", path)
    assert "<!-- onemax, size 12, p3, seed 1 -->" in path.read_text()


def test_the_registry_has_every_algorithm_of_the_engine():
    assert set(algorithms.ALGORITHMS) == {"ga", "nsga2", *ALGORITHMS}


def test_one_objective_has_no_front(capsys):
    message = refused(capsys, *TRAP, "--algorithm", "nsga2")
    assert "--algorithm nsga2 needs several objectives, got 1: use ga" in message
    assert "front" not in evolve(*TRAP, "--generations", 2)
