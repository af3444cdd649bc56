"""What the documentation points to is there; ``make docs`` checks references, ``make linkcheck`` addresses."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT


def directories(root):
    """The top directories of a clone or a source archive that are the project's, as pyproject.toml lists them.

    Not whatever lies there: a user's runs and sweeps do, too. Git would know, but there is none in an archive.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    archived = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    return [name for name in archived if (root / name).is_dir()]


TOP = "|".join(directories(ROOT))
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


def test_what_a_user_makes_in_a_clone_is_no_part_of_it(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("docs", "runs/demo", "sweeps", "mine"):
        (tmp_path / name).mkdir(parents=True)
    assert directories(tmp_path) == ["docs"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a source archive: what git tracks is not known")
def test_every_directory_that_git_tracks_is_a_part():
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout
    tops = {path.partition("/")[0] for path in tracked.splitlines() if "/" in path}
    assert {name for name in tops if not name.startswith(".")} == set(directories(ROOT))


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
    assert [name for name in named if not name.startswith("/")] == [], "pages are named from docs/: they move"
    assert [name for name in named if not (ROOT / "docs" / f"{name[1:]}.rst").is_file()] == []


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
