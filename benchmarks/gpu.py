"""Measure learner and whole runs on a CUDA device, compare their numbers with the CPU's, and write one JSON file.

    python benchmarks/gpu.py [--out gpu.json] [--quick] [--limit 400] [--device cuda|cpu]

``make gpu`` runs it. Without a CUDA device it ends with one line and exit code 2; ``--device cpu`` tries the script
itself. The file holds, for the agents of the presets ``mt10`` (the paper's sizes) and ``laptop`` (residual critics):

- ``updates``: updates per second by precision, captured as a graph or not, and the share of the time for which the
  device's kernels keep it busy. Their time is the profiler's, of other updates of the same kind.
- ``agreement``: the largest relative difference of losses to those of the CPU in fp32, by precision, after equal
  updates, and both curves of the critics' loss.
- ``growth``: the same in fp32 if the pool grows after the graph was captured, and how many graphs there were.
- ``resume``: whether a run in two parts ends with the same bits as one in one part, through growth.
- ``runs``: environment steps and updates per second of whole runs, from their first updates on, with their shares of
  wall time, and the share for which the device is busy, by ``nvidia-smi``; one run of ``laptop`` on the CPU is beside
  them. Without Meta-World tasks are synthetic: see ``suite``.

A part that fails is named in ``errors``, with its traceback; the others are measured all the same. What is not done
after ``--limit`` seconds is such an error. The file is written after each part.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it

import argparse
import importlib.util
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_runs import Plan, resume, whole_runs
from sizes import Suite, transitions

from genoevo_mega.agents.cuda_graph import Captured, CudaGraph, Recorder
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.experiments import moving
from genoevo_mega.networks import Routing
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_mega.training.process import keep_freed_memory
from genoevo_runs.files import as_json
from genoevo_runs.machine import cores

TASKS = 10
PRESETS = ("mt10", "laptop")


class Learner:
    """An agent with batches and routings of its own preset, the same ones on every device.

    ``graphs`` are those that were captured.
    """

    def __init__(
        self, plan: Plan, name: str, device: str, precision: str = "fp32", *, captured: bool = False
    ) -> None:
        settings = {"sac": {"precision": precision}, "compute": {"device": device, "threads": cores()}}
        self.config = build_config(preset(name), settings)
        suite = Suite(TASKS)
        self.agent: SacAgent = make_agent(self.config, suite)  # type: ignore[arg-type]
        torch.set_num_threads(max(1, cores() // self.agent.threads))
        self.graphs: list[Recorder] = []
        self.agent._step = self.agent._gradient_step
        if captured and plan.recorder:
            self.agent._step = Captured(self.agent._gradient_step, self._graph(plan.recorder))
        self._scale_rewards()
        torch.manual_seed(0)
        self.batches = [self._there(transitions(self.config, suite)) for _ in range(8)]
        self.routings = routings(self.config)
        self.made = 0

    def _scale_rewards(self) -> None:
        """Have the scale of rewards, if they have one, be that of a run whose first episodes have ended."""
        arrays = self.agent.normaliser.state_arrays()
        if "rewards/largest" in arrays:
            arrays["rewards/largest"][:] = 5.0
            self.agent.normaliser.load_arrays(arrays)

    def _graph(self, recorder: Callable[[], Recorder]) -> Callable[[], Recorder]:
        return lambda: self.graphs.append(recorder()) or self.graphs[-1]  # type: ignore[func-returns-value]

    def _there(self, batch: Batch) -> Batch:
        on_cpu = batch.genotypes
        return Batch(*(tensor.to(self.agent.device) for tensor in batch))._replace(genotypes=on_cpu)

    def update(self) -> dict[str, torch.Tensor]:
        """Make an update with the next batch and the next routing."""
        batch, routing = (each[self.made % len(each)] for each in (self.batches, self.routings))
        self.made += 1
        return self.agent.update(batch, routing, routing)

    def grow(self) -> None:
        """Add a module to the pool, which tasks of the next stage read."""
        self.agent.grow()
        self.routings = routings(self.config, more=1)


def routings(config: Config, more: int = 0) -> list[Routing]:
    """Return what updates of a new run are routed by, with *more* modules than the start stage."""
    stage = {"genotypes": {"start_stage": config.genotypes.start_stage + more}}
    structure = make_structure(build_config(config.model_dump(), stage), list(Suite(TASKS).names), 1)
    rng, none = np.random.default_rng(0), torch.zeros(TASKS, config.sac.batch_size, dtype=torch.int64)
    return [structure.update_routing(none, rng) for _ in range(8)]


def updates(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a row for each preset, precision, and with and without capture."""
    for name in plan.presets:
        for precision in plan.precisions:
            for captured in (True, False) if plan.recorder else (False,):
                learner = Learner(plan, name, plan.device, precision, captured=captured)
                for _ in range(6):  # the first ones choose kernels, one captures
                    learner.update()
                plan.wait()
                began, made = time.perf_counter(), learner.made
                while time.perf_counter() - began < plan.seconds:
                    for _ in range(5):
                        learner.update()
                    plan.wait()
                each = (time.perf_counter() - began) / (learner.made - made)
                busy = kernel_seconds(plan, learner) / each if plan.device == "cuda" else None
                row = {"preset": name, "precision": precision, "captured": captured}
                yield {**row, "updates_per_second": 1 / each, "device_busy": busy}


def kernel_seconds(plan: Plan, learner: Learner, number: int = 20) -> float:
    """Return the seconds for which kernels of an update keep the device busy."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(number):
            learner.update()
        plan.wait()
    on_device = [
        (event.time_range.start, event.time_range.end)
        for event in profile.events() or ()
        # A range that a name was given to contains pauses.
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.name.startswith(("Optimizer.", "##"))
    ]
    return 1e-6 * covered(on_device) / number


def covered(ranges: list[tuple[float, float]]) -> float:
    """Return the length of the union of ranges, which may overlap."""
    total, end = 0.0, -float("inf")
    for begin, stop in sorted(ranges):
        total += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    return total


def curves(learner: Learner, number: int, grow_after: int | None = None) -> list[dict[str, float]]:
    """Return the metrics of *number* updates; the pool grows after *grow_after* of them."""
    found = []
    for made in range(number):
        if made == grow_after:
            learner.grow()
        found.append({name: float(value) for name, value in learner.update().items()})
    return found


def difference(found: list[dict[str, float]], expected: list[dict[str, float]]) -> float:
    """Return the largest difference of losses, relative to the largest absolute loss of that kind."""
    pairs = []
    for name in ("critic_loss", "actor_loss"):
        ours, theirs = (np.array([row[name] for row in rows]) for rows in (found, expected))
        pairs.append(float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12)))
    return max(pairs)


def agreement(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a row for each preset and precision."""
    for name in plan.presets:
        expected = curves(Learner(plan, name, "cpu"), plan.compared)
        for precision in plan.precisions:
            found = curves(Learner(plan, name, plan.device, precision, captured=True), plan.compared)
            losses = {"critic_loss": [row["critic_loss"] for row in found]}
            row = {"preset": name, "precision": precision, "updates": plan.compared, **losses}
            first, last = difference(found[:10], expected[:10]), difference(found, expected)
            on_cpu = [row["critic_loss"] for row in expected]
            yield {**row, "critic_loss_of_cpu": on_cpu, "difference_of_10": first, "difference": last}


def growth(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a row for each preset."""
    for name in plan.presets:
        expected = curves(Learner(plan, name, "cpu"), 20, grow_after=10)
        learner = Learner(plan, name, plan.device, captured=True)
        found = curves(learner, 20, grow_after=10)
        yield {"preset": name, "graphs": len(learner.graphs), "difference": difference(found, expected)}


PARTS: dict[str, Callable[[Plan], Iterator[dict[str, Any]]]] = {
    "resume": resume,
    "growth": growth,
    "updates": updates,
    "agreement": agreement,
    "runs": whole_runs,
}
"""The parts, those first that tell whether the path works at all."""


class OutOfTime(BaseException):
    """The limit is over; no part may take this for an error of its own, such as a worker that died."""


@contextmanager
def noted_errors(name: str, errors: dict[str, str]) -> Iterator[None]:
    """Keep the traceback of an error in a part."""
    try:
        yield
    except (Exception, OutOfTime):  # the other parts are worth their time
        errors[name] = traceback.format_exc()
        print(f"{name} failed:\n{errors[name]}", file=sys.stderr)


@contextmanager
def ended_at(deadline: float) -> Iterator[None]:
    """Raise OutOfTime at a time of ``time.monotonic``, at once if that has gone, but not within a call of C."""

    def late(number: int, frame: object) -> None:
        raise OutOfTime("no time was left, see --limit")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(1e-3, deadline - time.monotonic()))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def measure(
    plan: Plan, limit: float = 400.0, write: Callable[[dict[str, Any]], object] | None = None
) -> dict[str, Any]:
    """Return everything that the file holds, and *write* it after each part; *limit* is in seconds."""
    keep_freed_memory()
    config = build_config(preset("mt10"), {"compute": {"device": plan.device, "threads": cores()}})
    found: dict[str, Any] = {"machine": moving.facts(Path(), config), "seconds": {}, "errors": {}}
    deadline = time.monotonic() + limit
    for name, part in PARTS.items():
        began, found[name] = time.perf_counter(), []
        with noted_errors(name, found["errors"]), ended_at(deadline):
            for row in part(plan):
                found[name].append(row)
                shown = {key: value for key, value in row.items() if not isinstance(value, list)}
                print(f"{name}: {shown}", file=sys.stderr, flush=True)
        found["seconds"][name] = time.perf_counter() - began
        if write is not None:
            write(found)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the file; return 0, 1 if a part failed, or 2 if there is no device."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the file that is written")
    parser.add_argument("--quick", action="store_true", help="shorter turns")
    parser.add_argument("--limit", type=float, default=400.0, help="seconds after which nothing more is measured")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the script itself")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("--device = 'cuda': torch finds no CUDA device here, so nothing is measured", file=sys.stderr)
        return 2
    seconds, compared, run_seconds = (1.0, 20, 10.0) if given.quick else (3.0, 100, 30.0)
    suite = "mt10" if importlib.util.find_spec("metaworld") else "synthetic"
    recorder = CudaGraph if given.device == "cuda" else None
    plan = Plan(given.device, PRESETS, seconds, compared, run_seconds, suite, recorder)
    found = measure(plan, given.limit, lambda so_far: given.out.write_text(as_json(so_far) + "\n", encoding="utf-8"))
    print(f"wrote {given.out}")
    return 1 if found["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
