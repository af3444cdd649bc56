"""The measurement for machines with a GPU, on the CPU at a small size."""

import importlib
import itertools
import json
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.mega.test_capture import RecordedGraph

MODULES = ("gpu", "gpu_runs", "sizes", "reporting")


@pytest.fixture(scope="module")
def gpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        yield importlib.import_module("gpu")
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def found(gpu):
    before = torch.get_num_threads()
    plan = gpu.Plan("cpu", ("smoke",), 0.01, 12, 1.5, "pendulum,point", RecordedGraph)
    yield gpu.measure(plan)
    torch.set_num_threads(before)


def test_no_part_fails_and_the_file_is_json(gpu, found):
    assert found["errors"] == {}
    assert json.loads(json.dumps(found)).keys() >= {"machine", *gpu.PARTS}


def test_captured_updates_are_measured_beside_others(found):
    rows = [(row["precision"], row["captured"]) for row in found["updates"]]
    assert rows == [("fp32", True), ("fp32", False), ("bf16", True), ("bf16", False)]
    assert all(row["updates_per_second"] > 0 for row in found["updates"])


def test_losses_agree_with_themselves_and_differ_by_rounding(found):
    exact, rounded = found["agreement"]
    assert exact["difference"] < 1e-5
    assert 0 < rounded["difference_of_10"] < 0.5
    assert len(exact["critic_loss"]) == len(exact["critic_loss_of_cpu"]) == 12


def test_growth_begins_a_second_graph_and_changes_no_loss(found):
    [row] = found["growth"]
    assert row["graphs"] == 2
    assert row["difference"] < 1e-5


def test_a_run_in_two_parts_through_growth_has_the_bits_of_one(found):
    [row] = found["resume"]
    assert row == {"equal": True, "modules": 3, "grew": True}


def test_whole_runs_make_updates(found):
    assert [row["device"] for row in found["runs"]] == ["cpu", "cpu"]
    assert all(sum(row["shares"].values()) == pytest.approx(1) for row in found["runs"])


def test_a_part_that_fails_is_named_and_the_others_are_measured(gpu, monkeypatch):
    def fails(plan):
        yield {"row": 1}
        raise RuntimeError("the driver is too old")

    monkeypatch.setattr(gpu, "PARTS", {"first": fails, "second": lambda plan: iter([{"row": 2}])})
    found = gpu.measure(gpu.Plan("cpu", (), 0, 0, 0, "", None))
    assert (found["first"], found["second"]) == ([{"row": 1}], [{"row": 2}])
    assert "the driver is too old" in found["errors"]["first"]


def test_a_part_that_hangs_is_ended_and_what_was_measured_before_is_written(gpu, monkeypatch):
    def hangs(plan):
        yield {"row": float("nan")}
        time.sleep(60)

    monkeypatch.setattr(gpu, "PARTS", {"first": hangs, "second": lambda plan: itertools.repeat({"row": 2})})
    written = []
    gpu.measure(gpu.Plan("cpu", (), 0, 0, 0, "", None), 0.2, lambda found: written.append(gpu.as_json(found)))
    first, last = map(json.loads, written)
    assert (first["first"], "second" in first) == ([{"row": None}], False)
    assert all("no time was left" in last["errors"][name] for name in ("first", "second"))


def test_the_device_is_as_busy_as_nvidia_smi_samples(gpu, monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '40\\n80\\n[N/A]\\n'; touch {tmp_path}/told; exec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    runs = importlib.import_module("gpu_runs")
    with runs.Utilization("cuda") as utilization:
        utilization.begin()
        while not (tmp_path / "told").exists():
            time.sleep(0.01)
    assert utilization.share == 0.6
    with runs.Utilization("cpu") as utilization:
        utilization.begin()
    assert utilization.share is None


def test_the_time_of_kernels_that_overlap_counts_once(gpu):
    assert gpu.covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == 4.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_ends_with_one_line(gpu, capsys):
    assert gpu.main([]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "no CUDA device" in line
