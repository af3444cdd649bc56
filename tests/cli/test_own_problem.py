"""``genoevo evolve`` on a problem of the user's own: permission, settings, workers, and what is printed."""

import json
import math
import os
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from genoevo.state import load, save
from genoevo_cli.evolve import algorithms, outcome
from genoevo_cli.evolve.problems import ALLOW_PROBLEM
from genoevo_cli.main import cli
from tests.cli.own_problems import MINE


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ALLOW_PROBLEM, "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("mine", None)


def evolve(*arguments):
    result = CliRunner().invoke(cli, ["evolve", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(capsys, *arguments, code=2):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", *map(str, arguments)])
    captured = capsys.readouterr()
    assert stop.value.code == code, captured.err
    assert captured.err.startswith("genoevo: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_a_function_of_a_genotype_is_a_problem():
    found = evolve(
        "--problem", "mine:ones", "--size", 20, "--generations", 60, "--set", "factor=2", "--set", "shift=3"
    )
    assert found["best"] == 43
    assert (found["optimum"], found["solved"], found["size"]) == (None, False, 20)
    assert "decoded" not in found


def test_a_class_is_made_with_its_settings_and_decodes_the_best():
    found = evolve("--problem", "mine:Pairs", "--size", 10, "--set", "kind=far", "--set", "strict=true")
    assert found["solved"]
    assert found["best"] == 0
    bits = [int(bit) for bit in found["genotype"]]
    assert found["decoded"] == {"first": bits[0], "kind": "far", "strict": True, "bits": bits}


def test_a_function_with_a_parameter_size_gets_the_size():
    assert evolve("--problem", "mine:of_size", "--size", 20, "--generations", 1)["best"] == 20


@pytest.mark.parametrize("algorithm", ["ga", "p3"])
def test_a_layout_of_so_many_genes_keeps_lengths(algorithm, capsys):
    found = evolve("--problem", "mine:Fixed", "--algorithm", algorithm, "--generations", 2)
    assert found["length"] == 32
    message = refused(capsys, "--problem", "mine:Fixed", "--resize-rate", 0.1)
    assert "resize-rate must be 0 if all genotypes have 32 bits, got 0.1" in message


def test_a_search_that_resized_in_vain_in_an_earlier_version_can_be_resumed(mine):
    path = mine / "search.npz"
    evolve("--problem", "mine:Fixed", "--generations", 2, "--state", path)
    state = load(path)
    state["about"]["resize_rate"] = state["reproduction"]["resize_rate"] = 0.1
    save(path, state)
    assert evolve("--resume", path, "--problem", "mine:Fixed", "--generations", 4)["generations"] == 4


@pytest.mark.parametrize(("text", "rate"), [("1E-3", 1e-3), ("2.5e1", 25), ("-inf", -math.inf)])
def test_a_number_may_be_written_as_python_writes_it_and_an_optimum_be_numpys(text, rate):
    found = evolve("--problem", "mine:Exact", "--set", f"rate={text}")
    assert (found["decoded"], found["optimum"], found["solved"]) == (rate, 8, True)


def test_what_json_does_not_have_is_decoded_as_text_and_constraints_are_kept():
    found = evolve("--problem", "mine:Bounded", "--generations", 40)
    assert found["decoded"] == "{1, 2}"
    assert found["fitness"] == [5, 0]


def test_the_decoded_best_is_printed_for_people(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evolve", "--problem", "mine:Pairs", "--generations", "2"])
    assert "decoded  {'first': " in capsys.readouterr().out


@pytest.mark.parametrize(("problem", "size"), [("mine:Palindrome", 100), ("mine:ready", 14), ("mine:at_once", 14)])
def test_problems_of_the_library_are_called_with_populations(problem, size):
    found = evolve("--problem", problem, "--generations", 3)
    assert (found["size"], found["optimum"]) == (size, size)


def test_a_problem_may_say_how_to_start_and_let_lengths_vary():
    found = evolve("--problem", "mine:Growing", "--generations", 15, "--population", 10)
    assert found["best"] == found["length"] > 6
    assert found["length"] % 2 == 0


def test_workers_find_the_same():
    arguments = ["--problem", "mine:Pairs", "--generations", 4, "--population", 10, "--seed", 3]
    here, there = evolve(*arguments), evolve(*arguments, "--workers", 2)
    del here["seconds"], there["seconds"]
    assert here == there


def test_without_ray_that_is_said_in_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "ray" in refused(capsys, "--problem", "mine:Pairs", "--ray", code=1)


def test_ray_computes_the_fitness_with_as_many_actors_as_asked(monkeypatch):
    asked = []

    class Pool:
        def __init__(self, evaluator, workers):
            asked.append(workers)
            self.attempt, self.failure = evaluator.attempt, evaluator.failure

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            asked.append("closed")

    monkeypatch.setattr(outcome, "RayPool", Pool)
    evolve("--problem", "mine:Pairs", "--generations", 2, "--ray", "--workers", 3)
    assert asked == [3, "closed"]


def test_a_search_resumes_exactly_and_the_name_allows_the_code_again(mine, frozen):
    path = mine / "search.npz"
    arguments = ["--problem", "mine:Pairs", "--size", 30, "--set", "kind=odd", "--population", 8]
    evolve(*arguments, "--generations", 3, "--state", path)
    os.environ[ALLOW_PROBLEM] = ""
    found = evolve("--resume", path, "--problem", "mine:Pairs", "--generations", 9)
    whole = evolve(*arguments, "--generations", 9, "--state", mine / "whole.npz")
    del found["seconds"], whole["seconds"]
    assert found == whole
    states = [{k: v for k, v in load(p).items() if k != "about"} for p in (path, mine / "whole.npz")]
    assert frozen(states[0]) == frozen(states[1])


def test_a_file_may_not_have_code_imported_that_nobody_allowed(mine, capsys):
    path = mine / "search.npz"
    evolve("--problem", "mine:Pairs", "--generations", 2, "--state", path)
    os.environ[ALLOW_PROBLEM] = ""
    sys.modules.pop("mine")
    message = refused(capsys, "--resume", path, "--generations", 5)
    assert "names the problem mine:Pairs, which is code; if you trust it, say so with --problem mine:Pairs" in message
    assert "mine" not in sys.modules
    os.environ[ALLOW_PROBLEM] = "mine:Pairs"
    evolve("--resume", path, "--generations", 5)


def test_the_command_that_resumes_names_the_problem(mine):
    path = mine / "search.npz"
    with (mine / "mine.py").open("a") as file:
        file.write("""
def stops(genotype, done=[]):
    import os, signal
    if not done:
        done.append(os.kill(os.getpid(), signal.SIGTERM))
    return 1
""")
    arguments = ["evolve", "--problem", "mine:stops", "--size", "5", "--state", str(path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert result.stderr == f"Stopped and saved. Resume with: genoevo evolve --resume {path} --problem mine:stops\n"


def test_a_state_of_an_earlier_version_has_no_algorithm(mine):
    path = mine / "search.npz"
    evolve("--problem", "mine:Pairs", "--generations", 2, "--state", path)
    assert "algorithm" not in load(path)["about"]
    evolve("--resume", path, "--algorithm", "ga", "--problem", "mine:Pairs")


def test_an_algorithm_joins_by_its_name_and_refuses_settings_that_it_does_not_have(capsys, monkeypatch, mine):
    seen = []

    def begin(search, parts):
        seen.append(search.algorithm)
        return algorithms.ALGORITHMS["ga"].begin(search, parts)

    ga = algorithms.ALGORITHMS["ga"]
    monkeypatch.setitem(algorithms.ALGORITHMS, "other", replace(ga, begin=begin, options=frozenset()))
    for option in ("algorithm",):
        parameter = next(p for p in cli.commands["evolve"].params if p.name == option)
        monkeypatch.setattr(parameter.type, "choices", ("ga", "other"))
    path = mine / "search.npz"
    found = evolve("--problem", "mine:Pairs", "--algorithm", "other", "--generations", 2, "--state", path)
    assert found["algorithm"] == "other"
    assert seen == ["other"]
    evolve("--resume", path, "--problem", "mine:Pairs", "--generations", 3)
    message = refused(capsys, "--problem", "mine:Pairs", "--algorithm", "other", "--population", 5)
    assert "--population has no meaning for --algorithm other" in message
    assert "algorithm 'other', got 'ga'" in refused(
        capsys, "--resume", path, "--problem", "mine:Pairs", "--algorithm", "ga"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mine:nothing"], 2, "problem = 'mine:nothing': mine has no nothing"),
        (["mine:number"], 2, "mine holds no callable under the name number"),
        (["missing:f"], 2, "problem = 'missing:f': importing missing failed: ModuleNotFoundError"),
        (["mine:ones"], 2, "--size is required: the problem has no attribute 'size'"),
        (["mine:needy", "--size", 5], 2, "problem mine:needy needs --set depth=..."),
        (["mine:ones", "--size", 5, "--set", "shift=x"], 2, "shift must be a whole number, got 'x'"),
        (["mine:ones", "--size", 5, "--set", "factor=x"], 2, "factor must be a number, got 'x'"),
        (["mine:ones", "--size", 5, "--set", "step=1"], 2, "takes factor=..., shift=..., got 'step=1'"),
        (["mine:of_size", "--size", 5, "--set", "size=5"], 2, "is given by --size, not by --set, got 'size=5'"),
        (["mine:Exact", "--set", "rate=nan"], 2, "rate must be a number, got 'nan'"),
        (["mine:Pairs", "--set", "strict=1"], 2, "strict must be true or false, got '1'"),
        (["mine:Bounded", "--size", 5], 2, "--size must be the problem's own, 16, got 5"),
        (["mine:Mute"], 2, "Mute has no method __call__ that returns the fitness"),
        (["mine:Laid"], 2, "layout of the problem must be one such as FlatLayout, got 5"),
        (["mine:Refusing"], 2, "problem = 'mine:Refusing': RuntimeError: no data"),
        (["mine:Few"], 2, "random of the problem must return 100 genotypes of weights (1.0,), got 1 of (1.0,)"),
        (["mine:broken", "--size", 5], 1, "the fitness function raised ZeroDivisionError: division by zero"),
        (["mine:Pairs", "--algorithm", "gaa"], 2, "did you mean ga?"),
        (["mine.Pairs"], 2, "'mine.Pairs' is not one of"),
    ],
)
def test_a_mistake_is_one_line(capsys, arguments, code, message):
    assert message in refused(capsys, "--problem", *arguments, code=code)


def test_a_decode_that_fails_costs_a_line_and_not_the_search():
    result = CliRunner().invoke(cli, ["evolve", "--problem", "mine:Spoilt", "--generations", "2", "--json"])
    assert result.exit_code == 0
    assert "decode failed: KeyError: 'nothing'" in result.stderr
    assert json.loads(result.stdout)["decoded"] is None


def test_a_problem_without_an_optimum_has_a_curve_and_a_page(mine):
    pytest.importorskip("matplotlib")
    evolve("--problem", "mine:Bounded", "--generations", 4, "--plot", "curve.svg", "--report", "page.html")
    assert "optimum" not in (mine / "curve.svg").read_text()
    assert "The best genotype reaches" in (mine / "page.html").read_text()


def test_settings_of_a_file_are_checked(mine, capsys):
    path = mine / "search.npz"
    evolve("--problem", "mine:Pairs", "--generations", 2, "--state", path)
    state = load(path)
    for settings in ({"kind": [1]}, {"colour": 1}):
        save(path, {**state, "about": {**state["about"], "settings": settings}})
        refused(capsys, "--resume", path, "--problem", "mine:Pairs", "--generations", 4)
