import array
import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "engine.py"
    spec = importlib.util.spec_from_file_location("engine_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SIZE, module.LENGTH = 20, 50
    return module


def test_every_turn_of_ours_and_of_deap_takes_time(benchmark):
    for turn in (benchmark.ours(20, 50, 2), benchmark.deap(list), benchmark.deap(array.array, typecode="b")):
        assert turn() > 0


def test_tables_have_a_row_per_size_and_length(benchmark):
    rows = benchmark.scaling([5, 10], [70, 128])
    assert [(row["size"], row["length"]) for row in rows] == [(5, 70), (5, 128), (10, 70), (10, 128)]
    assert rows[1]["held_over_bits"] == 1 + 16 / (128 / 8)
    assert all(row["held_over_allowed"] < 1 < row["peak_over_bits"] for row in rows)


def test_the_loop_and_the_batch_decode_the_same(benchmark):
    assert benchmark.decoding(20, 5)["ratio"] > 0


def test_a_population_travels_as_little_more_than_its_bits(benchmark):
    assert benchmark.transport(100, 2000)["bytes_per_genotype"] < 2000 / 8 + 40


def test_a_community_is_timed_for_each_number_of_tasks(benchmark):
    assert [row["tasks"] for row in benchmark.communities([2, 3])] == [2, 3]
