import importlib.util
import tomllib

import pytest

from tests.pages import ROOT


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_rooms_is_that_of_the_contract_and_the_imports(figures):
    rooms = figures.rooms()
    assert list(rooms) == ["genoevo_cli", "genoevo_mega", "genoevo_sklearn", "genoevo_runs", "genoevo"]
    drawn = figures.ROOMS_SVG.read_text(encoding="utf-8")
    lines = [line for packages in rooms.values() for line in figures.lines_of(packages)]
    names = [name for room in rooms for floor in figures.floors(room) for name in floor]
    assert {"agents", "evolution", "evaluation"} <= set(names)
    missing = [text for text in lines + names if f">{text}<" not in drawn]
    assert missing == [], "python docs/figures.py rooms"


def test_the_engine_imports_what_its_contract_allows(figures):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert set(figures.rooms()["genoevo"]) == allowed
