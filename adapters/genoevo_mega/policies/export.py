"""Policies as files that run without this project: ONNX or TorchScript, one for each task.

Each holds one task's greedy policy: decoded weights as constants, without modules that the task does not use. For an
architecture whose structure does not evolve, only the parts of the other tasks are left out. A file is written, read
back by its runtime, and compared with the policy in the trained network.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from genoevo_mega.envs.space import TaskSpace, spaces_of
from genoevo_mega.experiments.costs import Costed, Costs
from genoevo_mega.networks import FixedNetwork
from genoevo_mega.networks.module_graph import THRESHOLD
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.policies.choice import Limit, choose, listed
from genoevo_mega.policies.own_units import OwnUnits
from genoevo_mega.policies.policy import Trained
from genoevo_runs.arrays import Floats
from genoevo_runs.errors import ConfigError, UserError

Format = Literal["onnx", "torchscript"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torchscript": ".pt"}
_PROBES, _CALLS = 256, 300


@dataclass(frozen=True)
class Exported:
    """One task's file and its costs, for one observation.

    ``full_...`` are the costs of a policy that uses MEGA's whole pool; None for other architectures.
    ``microseconds`` is the median time in the file's own runtime on one thread. ``difference`` is the largest
    difference of any action from the trained network, over random observations. ``frontier`` lists the genotypes that
    the task could be exported with, the cheapest first, see :func:`~genoevo_mega.policies.choice.listed`; it is empty
    for other architectures.

    The file takes (batch, observation_size), the flattened ``observation_shape`` of the task's own environment, and
    gives (batch, action_size), the flattened ``action_shape``, within ``action_low`` and ``action_high``.
    """

    task: str
    file: str
    observation_size: int
    observation_shape: list[int]
    action_size: int
    action_shape: list[int]
    action_low: list[float]
    action_high: list[float]
    modules: list[int]
    parameters: int
    multiply_adds: int
    full_multiply_adds: int | None
    microseconds: float
    full_microseconds: float | None
    difference: float
    frontier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def genotype(self) -> str:
        """``elite`` or ``settled``: which genotype of the task the file holds; empty for other architectures."""
        return next(("elite" if one["elite"] else "settled" for one in self.frontier if one["exported"]), "")


def export_tasks(
    trained: Trained,
    out: Path,
    tasks: str = "all",
    kind: Format = "onnx",
    threshold: float = THRESHOLD,
    progress: Callable[[int], None] = lambda done: None,
    limit: Limit | None = None,
) -> list[Exported]:
    """Write the chosen tasks' policies and ``policies.json`` into *out*, which must be new or empty.

    A policy is that of the task's elite. If the elite exceeds *limit*, it is that of the settled genotype within the
    limit whose estimated success is highest.

    *progress* is called with the number of tasks done. Raises UserError for an unknown task, a directory that is not
    empty, a package that is not installed, or a task without a policy within the limit.
    """
    if kind == "onnx" and (missing := [p for p in ("onnx", "onnxruntime") if not importlib.util.find_spec(p)]):
        raise UserError(f"--format onnx needs {' and '.join(missing)}: pip install 'genoevo[export]'")
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold = {threshold}: must be at least 0 and below 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"out = {str(out)!r}: exists and is not empty; choose another")
    chosen = trained.tasks(tasks)
    trained.policy(chosen[0])  # refuses before anything is written
    costs = Costs(trained.config, trained.suite, threshold)
    frontiers = {task: costs.of(trained.members[task]) if trained.members else [] for task in chosen}
    picked = _picked(trained, frontiers, limit or Limit())
    exporter = _Exporter(trained.with_genotypes({t: one.member.bits for t, one in picked.items()}), kind, threshold)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out = {str(out)!r}: cannot be written: {error.strerror}") from None
    exported = []
    try:
        for done, task in enumerate(chosen, 1):
            frontier = listed(frontiers[task], picked[task]) if task in picked else []
            exported.append(exporter.export(task, out, frontier))
            progress(done)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)  # it was new or empty
        raise
    content: dict[str, Any] = {**exporter.notes, "threshold": threshold, "cut": cut(trained, threshold)}
    content["limit"] = asdict(limit) if limit else None
    content["policies"] = [asdict(one) for one in exported]
    (out / "policies.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return exported


def cut(trained: Trained, threshold: float) -> str:
    """Describe what the files leave out."""
    network = trained.agent.actor_ema
    if isinstance(network, FixedNetwork):
        return network.of_other_tasks
    return f"connections whose share of the output is not above {threshold:g}, and modules without any"


def _picked(trained: Trained, frontiers: dict[int, list[Costed]], limit: Limit) -> dict[int, Costed]:
    network = trained.agent.actor_ema
    if not all(frontiers.values()):
        if limit:
            raise UserError(f"{limit}: architecture = {trained.config.architecture!r} has one policy for each task")
        return {}
    names = {trained.suite.names[task]: task for task in frontiers}
    full = TaskPolicy.of_whole_pool(network, trained.suite.action_size, trained.ahead(0)).multiply_adds
    found = {name: frontiers[task] for name, task in names.items()}
    chosen = choose(found, limit, full, frontiers=trained.config.frontier.size > 0)
    return {names[name]: one for name, one in chosen.items()}


class _Exporter:
    def __init__(self, trained: Trained, kind: Format, threshold: float) -> None:
        self.trained, self.kind, self.threshold = trained, kind, threshold
        self._files = _file_names(trained.suite.names)
        suite, config = trained.suite, trained.config
        self.notes: dict[str, Any] = {
            "format": kind,
            "suite": config.suite,
            "steps": trained.steps,
            "observation_size": suite.observation_size,
            "action_size": suite.action_size,
            "episode_length": config.environment.episode_length,
        }
        rng = torch.Generator().manual_seed(0)
        self.probes = torch.randn(len(suite.names), _PROBES, suite.observation_size, generator=rng)
        self.spaces = spaces_of(suite)
        for probes, space in zip(self.probes, self.spaces, strict=True):
            probes[:, space.observation_size :] = 0
        self.expected = trained.greedy(self.probes).numpy()
        network, modules = trained.agent.actor_ema, len(trained.agent.actor_ema.pool)
        self.full = TaskPolicy.of_whole_pool(network, suite.action_size, trained.ahead(0)) if modules else None

    def export(self, task: int, out: Path, frontier: list[dict[str, Any]]) -> Exported:
        name, space = self.trained.suite.names[task], self.spaces[task]
        probes = self.probes[task, :, : space.observation_size].contiguous().numpy()
        policy = self.trained.policy(task, threshold=self.threshold)
        path = out / f"{self._files[task]}{SUFFIXES[self.kind]}"
        runs = [self._write(policy, path, task)]
        with tempfile.TemporaryDirectory() as place:
            if self.full is not None:
                runs.append(self._write(self.full, Path(place) / path.name, task))
            microseconds = [round(1e6 * s, 1) for s in _latencies(runs, probes[:1])]
        expected = space.own_actions(self.expected[task]).reshape(len(probes), -1)
        return Exported(
            task=name,
            file=path.name,
            **_units(space),
            modules=list(policy.graph.inputs) if isinstance(policy, TaskPolicy) else [],
            parameters=policy.parameter_count,
            multiply_adds=policy.multiply_adds,
            full_multiply_adds=self.full.multiply_adds if self.full is not None else None,
            microseconds=microseconds[0],
            full_microseconds=microseconds[1] if self.full is not None else None,
            difference=float(np.abs(runs[0](probes) - expected).max()),
            frontier=frontier,
        )

    def _write(self, policy: TaskPolicy | FixedPolicy, path: Path, task: int) -> Callable[[Floats], Floats]:
        """Write a file in the task's own units, and return a function that runs it in its runtime."""
        space, suite = self.spaces[task], self.trained.suite
        own = OwnUnits(policy, space, suite.observation_size)
        if self.kind == "torchscript":
            return _torchscript(own, path)
        import onnxruntime

        from genoevo_mega.policies.onnx import INPUT, write_onnx

        notes = {"task": suite.names[task], **self.notes, **_units(space)}
        write_onnx(own, path, {name: str(value) for name, value in notes.items()})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda observations: np.asarray(session.run(None, {INPUT: observations})[0])


def _units(space: TaskSpace) -> dict[str, Any]:
    """Return the fields of :class:`Exported` that describe the units of a file."""
    return {
        "observation_size": space.observation_size,
        "observation_shape": list(space.observation_shape),
        "action_size": space.action_size,
        "action_shape": list(space.action_shape),
        "action_low": list(space.low),
        "action_high": list(space.high),
    }


def _torchscript(policy: OwnUnits, path: Path) -> Callable[[Floats], Floats]:
    with warnings.catch_warnings():
        # torch advises torch.export instead, whose files need Python.
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        torch.jit.trace(policy, torch.zeros(1, policy.inputs)).save(path)
        loaded = torch.jit.load(path)

    @torch.no_grad()
    def run(observations: Floats) -> Floats:
        return np.asarray(loaded(torch.from_numpy(observations)).numpy())

    return run


def _latencies(runs: list[Callable[[Floats], Floats]], observation: Floats) -> list[float]:
    """Return the median seconds of a call of each, called in turn so that both see the same machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times: list[list[float]] = [[] for _ in runs]
        for _ in range(_CALLS):
            for run, seconds in zip(runs, times, strict=True):
                began = time.perf_counter()
                run(observation)
                seconds.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return [statistics.median(seconds) for seconds in times]


def _file_names(tasks: Sequence[str]) -> list[str]:
    """Return a name of a file for each task, all different even where upper and lower case are not told apart.

    The names of a suite may hold what a file's may not: gymnasium's do, such as ALE/Pong-v5.
    """
    names: list[str] = []
    for task in tasks:
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in task)
        while name.casefold() in map(str.casefold, names):
            name += "_"
        names.append(name)
    return names
