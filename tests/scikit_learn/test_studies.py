"""The comparisons run, small: what is done is not done again, and a table and a picture show it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def study(monkeypatch, tmp_path):
    """Return a function that runs a study with arguments, and returns its records."""
    monkeypatch.syspath_prepend(STUDIES)
    path = tmp_path / "found.jsonl"

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "SIZE", 4)
        monkeypatch.setattr(sys, "argv", [name, "--seeds", "1", "--out", str(path), *arguments])
        module.main()
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    yield run
    sys.modules.pop("comparison", None)
    assert path.with_suffix(".png").stat().st_size > 1000


def test_selectors_are_compared_at_the_same_number_of_fits(study, capsys):
    command = ("sklearn_selection", "--budget", "30", "--data", "breast cancer", "--methods")
    found = study(*command, "genetic", "random subsets", "sequential", "sklearn-genetic")
    assert [(one["method"], one["seed"]) for one in found] == [("genetic", 1), ("random subsets", 1)]
    assert 12 <= found[0]["fits"] <= found[1]["fits"] == 30
    printed = capsys.readouterr().out
    assert "sequential: one step of 30 features takes 90 fits, the budget is 30" in printed
    assert "sklearn-genetic: ModuleNotFoundError" in printed
    assert study(*command, "genetic", "all features")[:2] == found


def test_searches_of_architectures_are_compared_at_the_same_number_of_fits(study, capsys):
    found = study(
        "sklearn_architecture", "--budget", "24", "--epochs", "1", "--methods", "genetic", "random", "Optuna TPE"
    )
    assert [one["method"] for one in found] == ["genetic", "random"]
    assert all(12 <= one["fits"] <= 24 and 1 <= len(one["layers"]) <= 6 for one in found)
    printed = capsys.readouterr().out
    assert "Optuna TPE: optuna is not installed" in printed
    assert "difference" in printed


def test_the_table_has_the_paired_difference_with_its_standard_error(monkeypatch):
    monkeypatch.syspath_prepend(STUDIES)
    comparison = importlib.import_module("comparison")
    sys.modules.pop("comparison")
    found = [
        {"data": "d", "method": method, "seed": seed, "accuracy": accuracy}
        for method, values in {"genetic": (0.5, 0.7), "other": (0.6, 0.9, 0.1)}.items()
        for seed, accuracy in enumerate(values)
    ]
    _, genetic, other = comparison.table(found, {"accuracy": ".2f"}, "genetic").splitlines()
    assert genetic.split() == ["d", "genetic", "2", "0.60", "+-", "0.10"]
    assert other.split()[-3:] == ["+0.15", "+-", "0.05"]
