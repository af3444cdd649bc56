"""What the documentation points to is there; ``make docs`` checks references, ``make linkcheck`` addresses."""

import re
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

TOP = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")))
PATHS = re.compile(rf"(?<![\w/.-])((?:{TOP})/[\w./*-]*[\w*])")
FILES = re.compile(r"``(\w[\w.-]*\.(?:py|rst|sh|txt|toml|yaml))``")
WRITTEN_BY_RUNS = {"config.yaml", "sweep.yaml", "file.yaml", "mine.yaml"}
"""Names of files that commands write or readers have."""


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, Path("CHANGELOG.rst"), Path("validation/README.rst")], ids=str)
def test_paths_of_the_repository_exist(page):
    missing = [found for found in PATHS.findall(text_of(page)) if not any(ROOT.glob(found))]
    assert missing == []


def test_there_are_such_paths():
    assert sum(len(PATHS.findall(text_of(page))) for page in PAGES) > 30


def test_files_that_are_named_alone_exist_somewhere():
    there = {path.name for top in TOP.split("|") for path in (ROOT / top).rglob("*") if path.is_file()}
    there |= {path.name for path in ROOT.iterdir()} | WRITTEN_BY_RUNS
    assert {
        (str(page), name) for page in PAGES for name in FILES.findall(text_of(page)) if name not in there
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pictures_and_scripts_exist(page):
    named = re.findall(r"\.\. (?:image|figure|literalinclude|include):: (\S+)", text_of(page))
    assert [name for name in named if not ((ROOT / page).parent / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_that_are_referred_to_exist(page):
    named = re.findall(r":doc:`(?:[^`<]*<)?([\w./-]+)>?`", text_of(page))
    assert [name for name in named if not ((ROOT / page).parent / f"{name}.rst").is_file()] == []


def test_every_page_is_reached_from_the_index():
    reached, waiting = set(), [ROOT / "docs" / "index.rst"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            listed = re.findall(r"\.\. toctree::\n((?:   :.*\n)*)\n((?:   \S+\n)+)", page.read_text(encoding="utf-8"))
            waiting += [page.parent / f"{name}.rst" for _, names in listed for name in names.split()]
    assert reached == set((ROOT / "docs").rglob("*.rst"))


def test_names_of_tests_within_a_page_are_names_of_tests():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"``(test_\w+\.py)``, ``(\w+)``", "\n".join(map(text_of, PAGES)))
    assert named
    assert [name for _, name in named if name not in tests] == []
