"""Whole runs on a device, for ``gpu.py``: exact resumption, and how fast they are."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch

from genoevo_mega.agents.cuda_graph import Recorder
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training.build import kernels_or_reason
from genoevo_mega.training.status import Status
from genoevo_runs.machine import cores

_GROWS: dict[str, Any] = {
    "suite": "pendulum-4goals,point-4goals",
    "steps": 240,
    "environment": {"episode_length": 10},
    "critic": {"kind": "residual", "width": 20, "task_embedding": 3},
    "value": {"loss": "hl-gauss", "bins": 21},
    "normalise": {"rewards": True},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 10, "batch_size": 8},
    "loggers": [],
    "evaluation": {"at_end": False},
}


class Plan(NamedTuple):
    """What is measured where, for how many seconds or updates.

    ``recorder`` makes what records graphs, None if nothing is captured. ``suite`` is that of whole runs.
    """

    device: str
    presets: tuple[str, ...]
    seconds: float
    compared: int
    run_seconds: float
    suite: str
    recorder: Callable[[], Recorder] | None

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that the device has."""
        return ("fp32", "tf32", "bf16") if self.device == "cuda" else ("fp32", "bf16")

    def wait(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def resume(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield whether a run in two parts has the bits of one in one part."""
    config = build_config(preset("smoke"), _GROWS, {"compute": {"device": plan.device}})
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole", Path(folder) / "parts"
        for directory, steps in ((whole, config.steps), (parts, config.steps // 2)):
            runs.create(directory, config, ["benchmark"], lambda status: None).run(steps)
        runs.resume(parts).run(config.steps)
        ends = [runs.info(directory) for directory in (whole, parts)]
    modules = ends[0]["pool_size"]
    equal = ends[0]["digest"] == ends[1]["digest"]
    yield {"equal": equal, "modules": modules, "grew": modules > config.genotypes.start_stage}


class Watch:
    """An observer that notes when a run has made its first updates, calling *begin* then, and how far it comes."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self.noted: list[tuple[float, int, int]] = []

    def __call__(self, status: Status) -> None:
        """Note first and last step after ten updates."""
        if status.updates >= 10:
            if not self.noted:
                self._begin()
            self.noted[1:] = [(time.perf_counter(), status.steps, status.updates)]

    def rates(self) -> dict[str, float]:
        """Return steps and updates per second; 0 if the run was over before."""
        if len(self.noted) < 2:
            return {"steps_per_second": 0.0, "updates_per_second": 0.0}
        (began, steps, updates), (ended, last, made) = self.noted
        spent = ended - began
        return {"steps_per_second": (last - steps) / spent, "updates_per_second": (made - updates) / spent}


class Utilization:
    """The share of time for which the device ran kernels, from :meth:`begin` to the end, as ``nvidia-smi`` says."""

    _QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "500")

    def __init__(self, device: str) -> None:
        self._wanted = device == "cuda" and shutil.which(self._QUERY[0]) is not None
        self._process: subprocess.Popen[str] | None = None
        self.share: float | None = None

    def begin(self) -> None:
        """Begin to sample."""
        if self._wanted:
            which = () if not torch.cuda.is_available() else (f"--id=GPU-{torch.cuda.get_device_properties(0).uuid}",)
            self._process = subprocess.Popen([*self._QUERY, *which], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, place: TracebackType | None) -> None:
        if self._process is None:
            return
        self._process.terminate()
        lines, _ = self._process.communicate()
        samples = [float(line) for line in lines.splitlines() if line.strip().isdigit()]
        self.share = statistics.mean(samples) / 100 if samples else None


def whole_runs(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a row for each preset on the device, and for the last one on the CPU."""
    for name, device in [*((name, plan.device) for name in plan.presets), (plan.presets[-1], "cpu")]:
        compiled = device == "cpu" and kernels_or_reason() is None
        settings = {
            "suite": plan.suite,
            "steps": 10**8,
            "loggers": [],
            "sac": {"random_steps": 20},
            "compute": {
                "device": device,
                "workers": max(1, min(cores() - 1, 10)),
                "threads": cores(),
                "kernels": "compiled" if compiled else "torch",
            },
            "schedule": {"time_limit_minutes": plan.run_seconds / 60},
            "checkpoints": {"every": 0},
            "evaluation": {"at_end": False},
        }
        with tempfile.TemporaryDirectory() as folder, Utilization(device) as utilization:
            watch, config = Watch(utilization.begin), build_config(preset(name), settings)
            trainer = runs.create(Path(folder) / "run", config, ["benchmark"], watch)
            trainer.run(10**8)
        seconds = trainer.state.clock.snapshot()
        shares = {part: spent / sum(seconds.values()) for part, spent in seconds.items()}
        row = {"preset": name, "device": device, "suite": plan.suite, **watch.rates()}
        yield {**row, "device_busy": utilization.share, "shares": shares}
