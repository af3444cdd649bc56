import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def _names(requirements):
    return {requirement.split(">")[0].split("[")[0] for requirement in requirements}


def test_the_plain_install_needs_deap_with_its_moocore_and_numpy_alone():
    assert _names(PROJECT["dependencies"]) == {"deap", "moocore", "numpy"}


def test_packaging_is_asked_for_because_gymnasium_imports_it_without_asking():
    assert "packaging" in _names(PROJECT["optional-dependencies"]["mega"])


def test_no_requirement_has_an_upper_bound():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    assert not [requirement for group in groups for requirement in group if "<" in requirement or "==" in requirement]


def test_torch_is_pinned_for_the_two_commands_of_the_readme():
    constraints = (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    assert "torch==2.13.0" in constraints
