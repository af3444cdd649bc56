"""What make demo and make test install: versions, hashes, licences."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
FILES = sorted(REQUIREMENTS.glob("*.txt"))


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", REQUIREMENTS / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(path):
    """Versions by name, and how many hashes there are for each."""
    entries = re.findall(
        r"^([\w.-]+)==([^\s;]+)((?:.*\\\n)(?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)", path.read_text(), re.M
    )
    return {name: (version, hashes.count("--hash")) for name, version, hashes in entries}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_has_a_version_and_hashes(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins(path)) == len(lines) > 0


@pytest.mark.parametrize("name", ["engine", "mega", "dev", "ray", "docs"])
def test_versions_are_those_of_the_constraints(name):
    known = constraints()
    wrong = {n: (v, known.get(n)) for n, (v, _) in pins(REQUIREMENTS / f"{name}.txt").items() if known.get(n) != v}
    assert wrong == {}


def test_what_the_demo_installs_is_part_of_what_the_tests_install():
    assert set(pins(REQUIREMENTS / "mega.txt")) < set(pins(REQUIREMENTS / "dev.txt"))


def test_torch_stands_apart_as_pypis_build_with_cuda_and_as_the_cpu_build():
    pypi, cpu = pins(REQUIREMENTS / "torch.txt"), pins(REQUIREMENTS / "torch-cpu.txt")
    assert pypi["torch"][0] == constraints()["torch"] == cpu["torch"][0].removesuffix("+cpu")
    assert pypi["torch"][1] >= 20
    assert "nvidia-cublas" in pypi
    assert set(cpu) == {"torch"}
    for name in ("engine", "mega", "dev", "ray", "docs"):
        assert not [pin for pin in pins(REQUIREMENTS / f"{name}.txt") if re.match(r"torch$|nvidia|cuda|triton", pin)]


def test_every_requirement_of_the_tests_is_pinned():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names, waiting = set(), list(extras["dev"])
    while waiting:
        name, inner = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", waiting.pop()).groups()
        if name == "genoevo":
            waiting += [requirement for extra in inner.split(",") for requirement in extras[extra]]
        else:
            names.add(name.lower())
    assert names - {"torch"} <= set(pins(REQUIREMENTS / "dev.txt")), "make pins"
    assert {"onnx", "metaworld"} <= names


def test_the_commands_of_the_readme_install_nothing_without_its_hash():
    makefile = (ROOT / "Makefile").read_text()
    rules = re.findall(
        r"^\.venv/(?:mega|dev|docs):.*\n((?:\t.*\n)+)|^\.venv-engine/installed:.*\n((?:\t.*\n)+)", makefile, re.M
    )
    installs = [line for rule in rules for line in "".join(rule).splitlines() if "pip install" in line]
    assert len(installs) == 8
    assert all("$(HASHED)" in line or line.endswith("$(THIS)") for line in installs)
    assert "--require-hashes" in re.search(r"^HASHED := (.*)", makefile, re.M).group(1)


def test_every_installed_dependency_has_a_licence_that_may_be_depended_on(licences):
    found = licences.dependencies()
    assert {"deap", "numpy", "torch", "metaworld", "hypothesis"} <= set(found)
    assert {name: text for name, text in found.items() if not licences.allowed(text)} == {}


def test_the_page_lists_every_dependency_and_licence(licences):
    page = licences.PAGE.read_text()
    missing = [name for name, text in licences.dependencies().items() if f"   * - {name}\n     - {text}" not in page]
    assert missing == [], "make licences"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-3.0-only", False),
        ("", False),
        ("MPL-2.0", True),
    ],
)
def test_which_licences_are_allowed(licences, expression, expected):
    assert licences.allowed(expression) == expected
