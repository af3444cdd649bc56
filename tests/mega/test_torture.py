"""Short forms of ``make torture``."""

import importlib
from pathlib import Path

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parent)
    fuzz, torture = map(importlib.import_module, ("fuzz", "torture"))


def test_runs_that_are_killed_end_as_the_run_that_is_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # its processes look for it there
    # Tasks whose environments are there at once: what is killed is what writes checkpoints.
    result = torture.torture(runs=4, jobs=1, seed=7, folder=tmp_path, suite="point,car")
    assert result["identical"] == 4, result
    assert sum(result["kills"].values()) >= 4


def test_whatever_is_read_ends_in_a_documented_error(tmp_path):
    result = fuzz.fuzz(300, tmp_path)
    assert result["inputs"] >= 300
    assert all(result["refused"][target] > 0 for target in result["tried"]), result


def test_the_fuzzer_sees_what_is_no_documented_error(tmp_path, monkeypatch):
    class Careless(fuzz.Fuzzer):
        def metrics_lines(self, draw):
            with self.input("metrics"):
                raise KeyError(draw(fuzz.SCALARS))

    monkeypatch.setattr(fuzz, "Fuzzer", Careless)
    monkeypatch.setattr(fuzz, "SHARES", {"metrics_lines": 100})
    with pytest.raises(KeyError):
        fuzz.fuzz(5, tmp_path)
