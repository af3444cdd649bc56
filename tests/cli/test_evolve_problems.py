"""``genoevo evolve`` on the problems of the library: its result, its curve, and what it refuses."""

import json
import sys

import pytest
from click.testing import CliRunner

from genoevo import Population
from genoevo.problems import PROBLEMS, Trap
from genoevo_cli.main import cli


def test_evolve_prints_one_json_object_and_solves_onemax():
    result = CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--size", "100", "--seed", "1", "--json"])
    content = json.loads(result.stdout)
    assert (content["solved"], content["best"], content["genotype"]) == (True, 100.0, "1" * 100)


def test_evolve_gives_the_same_for_the_same_seed():
    arguments = ["evolve", "--problem", "trap", "--size", "20", "--generations", "30", "--json", "--seed"]
    runs = [json.loads(CliRunner().invoke(cli, [*arguments, seed]).stdout) for seed in ("5", "5", "6")]
    for run in runs:
        del run["seconds"], run["seed"]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problem", "onemx"], "onemax"),
        (["--problem", "trap", "--size", "7"], "multiple of"),
        (["--problem", "onemax", "--size", "0"], "0"),
        (["--problem", "onemax", "--mutation-rate", "nan"], "nan"),
        (["--problem", "hiff", "--size", "48"], "size must be a power of 2, got 48"),
        (["--problem", "nk", "--set", "k=11"], "k must be a whole number from 0 to 10, got 11"),
        (["--problem", "nk", "--set", "k=two"], "k must be a whole number, got 'two'"),
        (["--problem", "nk", "--set", "k=1_0"], "k must be a whole number, got '1_0'"),
        (["--problem", "nk", "--set", "k=\uff13"], "k must be a whole number, got '\uff13'"),
        (["--problem", "nk", "--set", "j=3"], "takes k=..., neighbours=..., instance=..., shuffle=..., got 'j=3'"),
        (["--problem", "trap", "--set", "order"], "takes order=..., shuffle=..., got 'order'"),
        (["--problem", "onemax", "--set", "order=3"], "takes nothing, got 'order=3'"),
        (["--problem", "knapsack", "--set", "infeasible=drop"], "must be one of penalty, repair, got 'drop'"),
        (
            ["--problem", "onemax", "--resize-rate", "0.2"],
            "resize-rate must be 0 if all genotypes have 100 bits, got 0.2",
        ),
        (["--problem", "onemax", "--plot", "curve.pdf"], "--plot must end in .png or .svg, got 'curve.pdf'"),
        (["--problem", "onemax", "--plot", "no-such/curve.png"], "directory 'no-such' does not exist"),
    ],
)
def test_bad_input_to_evolve_is_one_line_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", *arguments])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_evolves(problem):
    arguments = ["evolve", "--problem", problem, "--generations", "5", "--json"]
    content = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert content["problem"] == problem
    assert content["best"] <= content["optimum"]
    assert len(content["genotype"]) == content["length"]


def test_evolve_takes_the_settings_of_a_problem():
    arguments = ["evolve", "--problem", "trap", "--size", "12", "--set", "order=3", "--generations", "1", "--json"]
    content = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert content["best"] == Trap(12, order=3)(Population.from_genotypes([content["genotype"]]))[0]


@pytest.mark.parametrize("problem", ["variable-onemax", "segment-trap"])
def test_evolve_resizes_where_lengths_vary_unless_it_is_told_not_to(problem):
    arguments = ["evolve", "--problem", problem, "--generations", "20", "--json"]
    genotypes = [
        json.loads(CliRunner().invoke(cli, [*arguments, *rate]).stdout)["genotype"]
        for rate in ([], ["--resize-rate", "0.1"], ["--resize-rate", "0"])
    ]
    assert genotypes[0] == genotypes[1] != genotypes[2]


def test_evolve_ends_with_the_generation_that_finds_the_optimum():
    content = json.loads(CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--json"]).stdout)
    arguments = ["evolve", "--problem", "onemax", "--json", "--generations"]
    enough, short = (
        json.loads(CliRunner().invoke(cli, [*arguments, str(n)]).stdout)
        for n in (content["generations"], content["generations"] - 1)
    )
    assert (enough["solved"], short["solved"]) == (True, False)
    assert enough["generations"] == content["generations"]


@pytest.mark.parametrize(("name", "head"), [("curve.png", b"\x89PNG"), ("curve.SVG", b"<?xml")])
def test_evolve_draws_the_convergence_curve_and_still_prints_one_json_object(name, head, tmp_path):
    path = tmp_path / name
    result = CliRunner().invoke(cli, ["evolve", "--problem", "onemax", "--size", "20", "--plot", str(path), "--json"])
    assert json.loads(result.stdout)["solved"]
    assert path.read_bytes().startswith(head)


def test_the_convergence_curve_shows_best_median_quartiles_and_optimum(tmp_path):
    arguments = ["evolve", "--problem", "onemax", "--size", "20", "--plot", str(tmp_path / "curve.svg")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    text = (tmp_path / "curve.svg").read_text()
    for label in ("best so far", "population: median", "population: quartiles", "optimum 20", "evaluations"):
        assert f"<!-- {label} -->" in text


def test_without_matplotlib_plot_says_what_to_install_before_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["evolve", "--problem", "onemax", "--plot", str(tmp_path / "curve.png")])
    captured = capsys.readouterr()
    assert stop.value.code == 1
    assert captured.err == "genoevo: --plot needs matplotlib: pip install 'genoevo[plot]'\n"
    assert captured.out == ""
