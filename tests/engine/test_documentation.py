import doctest
import importlib

import pytest

from tests import pages

README = pages.OF_THE_ENGINE[0]


@pytest.mark.parametrize(
    "module",
    [
        "genoevo.layout",
        "genoevo.evolution.evolution",
        "genoevo.evolution.history",
        "genoevo.evolution.pareto",
        "genoevo.algorithms.p3",
    ],
)
def test_examples_in_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("page", pages.OF_THE_ENGINE, ids=str)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pages.run(page, pages.python()) >= (1 if page == README else 2)


def test_the_readmes_code_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pages.run(README, pages.python())
    assert capsys.readouterr().out == "target 40\n"
