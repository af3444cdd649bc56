"""What a search and a population look like, in a terminal and in a notebook."""

import io
import sys

import numpy as np
import pytest

from genoevo import Community, Evolution, Genotype, Population, StagedLayout
from genoevo.evaluation import Failure, InProcess
from genoevo.evolution import progress
from genoevo.progress import ProgressBar


@pytest.fixture
def population():
    population = Population.from_genotypes(["0110", "1" * 70, "0"], weights=(-1,))
    population.fitness = [3, 1.5, 4]
    return population


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "LIVE_INTERVAL", 0.0)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)


def console(**settings):
    rich = pytest.importorskip("rich.console")
    return rich.Console(file=io.StringIO(), width=100, **settings)


def test_a_population_of_nobody_has_a_repr(population):
    assert repr(population[[]]) == "Population(0 genotypes, 0 evaluated)"


def test_a_population_is_a_small_table_with_its_best(population):
    table = population._repr_html_()
    for cell in ("Population of 3 genotypes", "1..70", "(-1.0,)", "(1.5,)", f"{'1' * 64}..."):
        assert f">{cell}<" in table


@pytest.mark.parametrize("rows", [[], [0]], ids=["nobody", "unevaluated"])
def test_a_population_without_a_best_is_a_table_too(population, rows):
    assert "best" not in population[rows].unevaluated()._repr_html_()


def test_an_objective_of_weight_zero_breaks_no_repr():
    genotype = Genotype("01", weights=(1, 0))
    genotype.fitness.values = (2, 3)
    assert genotype.fitness.values == (2, 0)
    assert "(2.0, 0.0)" in Population.from_genotypes([genotype])._repr_html_()


def test_a_search_tells_how_far_it_is(population):
    evolution = Evolution(sum, population.unevaluated(), seed=1)
    assert repr(evolution) == f"Evolution(generation 0, 0 evaluations, {evolution.population})"
    evolution.run(2)
    assert repr(evolution) == f"Evolution(generation 2, 5 evaluations, best 0, {evolution.population})"


def test_a_search_is_a_small_table_with_its_best_and_its_failures(population):
    evaluate = InProcess(lambda g: sum(g) if len(g) > 1 else None, failure=Failure(action="worst"))
    evolution = Evolution(evaluate, population.unevaluated(), seed=1)
    assert "best" not in evolution._repr_html_()
    evolution.run(1)
    for cell in ("best fitness", "2", "0110", "failed evaluations", "1"):
        assert f">{cell}<" in evolution._repr_html_()


def test_a_community_tells_how_far_it_is_and_is_a_table_of_its_tasks():
    one = Community(StagedLayout(precision=2), ["<a>", "b"], seed=1)
    assert repr(one) == "Community(2 tasks of 3 genotypes, 0 rounds)"
    assert f'>&lt;a&gt;</th><td style="text-align: left">stage 3, {one.population[0]}<' in one._repr_html_()


def test_what_a_table_shows_is_text(population):
    class Odd(Evolution):
        pass

    Odd.__name__ = "<script>"
    assert "<script>" not in Odd(sum, population, seed=1)._repr_html_()


def test_progress_is_lines_where_there_is_no_terminal(population, at_once):
    shown = console()
    with ProgressBar(4, target=0, console=shown) as bar:
        Evolution(sum, population.unevaluated(), seed=1, callbacks=[bar]).run(2)
    assert shown.file.getvalue().splitlines() == [
        "generation 1 of at most 4  3 evaluations  best 0 of 0",
        "generation 2 of at most 4  5 evaluations  best 0 of 0",
    ]


def test_progress_without_an_end_is_shown_too(population, at_once):
    shown = console()
    with ProgressBar(console=shown) as bar:
        Evolution(sum, population.unevaluated(), seed=1, callbacks=[bar]).run(1)
    assert shown.file.getvalue() == "generation 1  3 evaluations  best 0\n"


def test_progress_is_a_bar_on_a_terminal_and_is_taken_away_in_the_end(population, at_once):
    shown = console(force_terminal=True)
    with ProgressBar(4, console=shown) as bar:
        Evolution(sum, population.unevaluated(), seed=1, callbacks=[bar]).run(2)
        assert "1/4" in shown.file.getvalue()
    assert shown.file.getvalue().endswith("\x1b[2K")


def test_a_short_search_shows_nothing(population):
    shown = console()
    with ProgressBar(4, console=shown) as bar:
        Evolution(sum, population.unevaluated(), seed=1, callbacks=[bar]).run(2)
    assert shown.file.getvalue() == ""


def test_a_notebook_without_widgets_gets_lines(population, at_once, monkeypatch):
    shown = console(force_jupyter=True)
    lines = []
    monkeypatch.setattr(shown, "print", lambda line, **_: lines.append(line))
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with ProgressBar(console=shown) as bar:
        Evolution(sum, population.unevaluated(), seed=1, callbacks=[bar]).run(1)
    assert lines == ["generation 1  3 evaluations  best 0"]


def test_without_rich_a_bar_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(ImportError, match=r"a progress bar needs rich: pip install genoevo\[notebook\]"):
        ProgressBar()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generations": 0}, "generations must be at least 1, got 0"),
        ({"generations": 2.5}, "generations must be a whole number, got 2.5"),
        ({"target": np.nan}, "target must be a number, got"),
    ],
)
def test_a_bar_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ProgressBar(**settings)
