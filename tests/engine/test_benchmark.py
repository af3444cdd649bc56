import array
import importlib
import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="module")
def modules():
    """The benchmark of the engine, made small, and what all benchmarks have in common."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        engine, reporting = map(importlib.import_module, ("engine", "reporting"))
        patch.setattr(engine, "SIZE", 20)
        patch.setattr(engine, "LENGTH", 150)
        yield SimpleNamespace(engine=engine, reporting=reporting)
        for name in ("engine", "reporting"):
            del sys.modules[name]


@pytest.fixture
def benchmark(modules, monkeypatch):
    """The benchmark of the engine by a clock that goes on by a second whenever somebody looks at it."""
    seconds = itertools.count()
    monkeypatch.setattr(modules.reporting, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    return modules.engine


def test_of_functions_that_take_turns_the_fastest_turn_of_each_counts(modules, monkeypatch):
    clock = SimpleNamespace(now=0)
    monkeypatch.setattr(modules.reporting, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    order, spent = [], {"a": iter([5, 3, 4]), "b": iter([7, 9, 8])}

    def turn(name):
        order.append(name)
        clock.now += next(spent[name])

    assert modules.reporting.fastest(3, lambda: turn("a"), lambda: turn("b")) == [3, 7]
    assert order == ["a", "b"] * 3


def test_a_turn_gives_seconds_per_generation(benchmark):
    assert benchmark.ours(20, 50, generations=4)() == 1 / 4
    assert benchmark.deap(list)() == benchmark.deap(array.array, typecode="b")() == 1


def test_others_are_compared_with_ours_by_everybodys_fastest_turn(benchmark, monkeypatch):
    for name, times in {"ours": [3, 2], "deap": [8, 9], "pymoo": [7, 6], "pygad": [5, 4]}.items():
        monkeypatch.setattr(benchmark, name, lambda *a, times=times, **k: iter(times).__next__)
    ratios, milliseconds = benchmark.compared(turns=2)
    assert ratios == {"deap_list": 4, "deap_array": 4, "pymoo": 3, "pygad": 2}
    assert list(milliseconds.values()) == [2000, 2000, 8000, 8000, 6000, 4000]
    assert list(milliseconds) == ["genoevo", "genoevo_mixed", "deap_list", "deap_array", "pymoo", "pygad"]


def test_tables_have_a_row_per_size_and_length(benchmark):
    rows = benchmark.scaling([5, 10], [70, 128])
    assert [(row["size"], row["length"]) for row in rows] == [(5, 70), (5, 128), (10, 70), (10, 128)]
    assert [row["ns_per_bit"] for row in rows] == [1e9 / (5 * 70), 1e9 / (5 * 128), 1e9 / (10 * 70), 1e9 / (10 * 128)]
    assert rows[1]["held_over_bits"] == 1 + 16 / (128 / 8)
    assert all(row["held_over_allowed"] < 1 < row["peak_over_bits"] for row in rows)


def test_decoding_is_timed_for_each_genotype(benchmark):
    assert benchmark.decoding(20, 5) == pytest.approx({"loop_us": 1e6 / 5, "batch_us": 1e6 / 20, "ratio": 4})


def test_the_batch_must_decode_as_the_loop_does(benchmark, monkeypatch):
    decode = benchmark.decode_population
    monkeypatch.setattr(benchmark, "decode_population", lambda *given: np.roll(decode(*given), 1, axis=1))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        benchmark.decoding(20, 5)


def test_a_population_travels_as_little_more_than_its_bits(benchmark):
    found = benchmark.transport(100, 2000)
    assert 2000 / 8 < found["bytes_per_genotype"] < 2000 / 8 + 40
    assert found["us_per_genotype"] == pytest.approx(1e6 / 100)


def test_a_community_is_timed_for_each_number_of_tasks(benchmark):
    assert benchmark.communities([2, 4]) == [
        {"tasks": 2, "ms": 1e3, "us_per_task": 1e6 / 2},
        {"tasks": 4, "ms": 1e3, "us_per_task": 1e6 / 4},
    ]


FOUND = {"pymoo": 2.5}, {"speed": 0.5, "decoding": {"ratio": 4.0}, "scaling": [{"size": 5}, {"size": 10}]}


@pytest.mark.parametrize("quick", [False, True])
def test_a_report_as_json_is_all_that_was_measured(modules, monkeypatch, capsys, quick):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--json", *(["--quick"] if quick else [])])
    asked = []
    modules.reporting.report("", lambda quick: asked.append(quick) or FOUND)
    assert json.loads(capsys.readouterr().out) == {"ratios": FOUND[0], "figures": FOUND[1]}
    assert asked == [quick]


def test_a_report_for_people_has_a_line_for_each_number_and_a_table_for_each_group(modules, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    modules.reporting.report("", lambda quick: FOUND)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[:2] == [["pymoo", "2.50", "x"], ["speed", "0.5"]]
    assert lines[2:] == [["decoding"], ["ratio"], ["4"], ["scaling"], ["size"], ["5"], ["10"]]
