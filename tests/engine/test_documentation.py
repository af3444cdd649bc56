import doctest
import importlib
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in sorted((ROOT / "docs" / "tutorial").glob("*.rst")) if page.stem != "index"]


@pytest.mark.parametrize("module", ["genoevo.layout", "genoevo.evolution", "genoevo.history"])
def test_examples_in_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("page", [ROOT / "docs" / "engine.rst", *PAGES], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted > 10
    assert results.failed == 0


def test_the_readmes_code_runs(capsys):
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", text)
    exec("\n".join(map(textwrap.dedent, blocks)), {})
    assert capsys.readouterr().out == "(100.0,)\ntarget 40\n"


def test_there_is_a_tutorial_page_for_each_step():
    assert {page.stem for page in PAGES} == {
        "first_run",
        "problem",
        "layout",
        "operator",
        "distributing",
        "resuming",
    }
