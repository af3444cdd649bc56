"""Rollout workers that are actors of a Ray cluster.

A request carries the actions of its tasks, the answer their observations: both are small, so that Ray sends them
inside its messages; from 100 KiB on it uses its object stores. A worker has a core of a placement group, which Ray
spreads over the nodes. If a node is lost, Ray finds another core for its workers; if there is none, they share the
cores of others.

Ray repeats a request if the connection broke. A worker answers a repeated request as before, so that no step is
made twice, and it refuses one that overtook another, so that none is left out. This module does not import torch.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.shares import place
from genoevo_mega.envs.suite import Suite
from genoevo_mega.envs.worker import (
    BUILT,
    FIELDS,
    RESET,
    RESULTS,
    STEP,
    GoneError,
    Request,
    Simulators,
    refuse_failed,
    shapes,
)
from genoevo_runs import machine
from genoevo_runs.arrays import Arrays
from genoevo_runs.errors import UserError
from genoevo_runs.ray_cluster import connected, head, living_nodes

SETTING = "compute.rollouts = 'ray'"
_SLICES, _SLICE = 10, 5.0  # parts of the time limit of an answer, at least, and the seconds of a part, at most
_PATIENCE, _SHORT = 10.0, 0.1  # seconds that free cores are waited for after a node was lost, and the next time
_SENT = {STEP: ("actions",), RESET: ("goals", "evaluation")}
_RETURNED = {STEP: RESULTS, RESET: ("observations",)}
_PACKAGES = ("genoevo", "numpy", "scipy", "gymnasium", "metaworld", "mujoco")
"""The packages whose versions decide the bits of an episode."""


def _pack(arrays: Arrays, names: Sequence[str], tasks: Sequence[int]) -> bytes:
    return b"".join(arrays[name][tasks].tobytes() for name in names)


def _unpack(arrays: Arrays, names: Sequence[str], tasks: Sequence[int], rows: bytes) -> None:
    start = 0
    for name in names:
        kind, shape = FIELDS[name], (len(tasks), *arrays[name].shape[1:])
        count = int(np.prod(shape))
        arrays[name][tasks] = np.frombuffer(rows, kind, count, start).reshape(shape)
        start += count * np.dtype(kind).itemsize


def _new_arrays(suite: Suite) -> Arrays:
    return {name: np.zeros(shape, FIELDS[name]) for name, shape in shapes(suite).items()}


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that decide the bits of an episode; None if one is not installed."""
    return {name: machine.installed(name) for name in _PACKAGES}


class _Actor:
    """A worker on its node."""

    def __init__(self, suite: Suite, remembered: int) -> None:
        self._arrays, self._last = _new_arrays(suite), 0
        self._simulators, self._remembered = Simulators(suite), remembered
        self._answers: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()

    def other_version(self, theirs: dict[str, str | None]) -> str | None:
        return machine.other_version(theirs)

    def build(self, task: int) -> bytes:
        return self._simulators.build(task)

    def answer(self, number: int, operation: bytes, tasks: list[int], rows: bytes) -> tuple[bytes, bytes]:
        if number not in self._answers:
            if number != self._last + 1:
                raise RuntimeError(f"request {number} came after request {self._last}")
            self._last = number
            _unpack(self._arrays, _SENT[operation], tasks, rows)
            answer = self._simulators.answer(operation, tasks, self._arrays)
            self._answers[number] = answer, _pack(self._arrays, _RETURNED[operation], tasks)
            while len(self._answers) > self._remembered:
                self._answers.popitem(last=False)
        return self._answers[number]


class _Sent(NamedTuple):
    """A request under way: Ray's reference to its answer, what it is for, and where the results go."""

    reference: Any
    operation: bytes
    tasks: list[int]
    arrays: Arrays


class RayWorker:
    """An actor; see :class:`~genoevo_mega.envs.worker.Worker`."""

    def __init__(self, cluster: RayWorkers, groups: list[list[int]], options: dict[str, Any]) -> None:
        self.groups, self.tasks = groups, [task for group in groups for task in group]
        self.pending: deque[Request] = deque()
        self._ray, self._head, self._slots, self._sent = cluster.ray, cluster.head, cluster.slots, 0
        # Ray repeats calls without limit, but starts no actor again: a new one would not know the episodes.
        actor = cluster.ray.remote(max_restarts=0, max_task_retries=-1, **options)(_Actor)
        # At most one request of each group and slot is under way, and a reset.
        self._handle = actor.remote(cluster.suite, len(groups) * len(cluster.slots) + 1)
        self._other_version = self._handle.other_version.remote(versions())
        self._building = [self._handle.build.remote(task) for task in self.tasks]
        self._requests: deque[_Sent] = deque()

    def send(self, operation: bytes, request: Request) -> None:  # noqa: D102
        self._head.check()
        slot, group = request
        arrays = self._slots[slot]
        chosen = self.tasks if group is None else self.groups[group]
        tasks = [task for task in chosen if arrays["active"][task]]
        self._sent += 1
        rows = _pack(arrays, _SENT[operation], tasks)
        try:
            reference = self._handle.answer.remote(self._sent, operation, tasks, rows)
        except self._ray.exceptions.RayError as error:  # rows for the object store, which has no room, nor the disk
            reference = error
        self._requests.append(_Sent(reference, operation, tasks, arrays))

    def receive(self, timeout: float) -> bytes:  # noqa: D102
        sent = self._requests.popleft()
        answer: bytes
        answer, rows = self._get(sent.reference, timeout)
        refuse_failed(answer)
        _unpack(sent.arrays, _RETURNED[sent.operation], sent.tasks, rows)
        return answer

    def finish_building(self, timeout: float) -> None:  # noqa: D102
        if other := self._get(self._other_version, timeout):
            raise UserError(f"{SETTING}: {other}")
        for reference in self._building:
            answer = self._get(reference, timeout)
            refuse_failed(answer)
            assert answer == BUILT

    def ask_to_end(self) -> None:  # noqa: D102
        if self._head.is_lost:
            return  # Ray would wait for it
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._handle)

    def end(self, patience: float) -> None:  # noqa: D102
        self.ask_to_end()

    def _get(self, reference: Any, timeout: float) -> Any:
        # In slices: if this process is suspended for a while, this costs a slice and not the time limit.
        if isinstance(reference, Exception):
            raise GoneError(f"could not be asked ({_reason(reference)})")
        slices = max(_SLICES, math.ceil(timeout / _SLICE))
        for _ in range(slices):
            try:
                return self._ray.get(reference, timeout=timeout / slices)
            except self._ray.exceptions.GetTimeoutError:
                self._head.check()
            except self._ray.exceptions.RayError as error:
                raise GoneError(f"died ({_reason(error)})") from None
        raise GoneError(f"did not answer within {timeout:g} s")


class RayWorkers:
    """What starts actors; see :class:`~genoevo_mega.envs.worker.Workers`.

    Parameters
    ----------
    suite
        The suite.
    shares
        The tasks of each worker.
    slots
        The number of steps that may be under way.
    timeout
        The seconds that the workers' cores may take to become free.

    Raises
    ------
    UserError
        If Ray is not installed or does not start, or if the cluster has fewer cores than there are *shares*.
    RolloutError
        If the cores do not become free.

    """

    def __init__(self, suite: Suite, shares: Sequence[Sequence[int]], slots: int, timeout: float) -> None:
        self.ray, self.suite = connected(SETTING), suite
        self.slots = [_new_arrays(suite) for _ in range(slots)]
        self.head = head(self.ray, RolloutError)
        cores = sum(self._nodes().values())
        if cores < len(shares):
            raise UserError(
                f"compute.workers = {len(shares)}: must be at most {cores:g} with {SETTING}, the number of the "
                f"cluster's cores: --set compute.workers={int(cores)}, or add nodes with ray start"
            )
        self._group = self.ray.util.placement_group([{"CPU": 1}] * len(shares), strategy="SPREAD")
        if not self._group.wait(timeout):
            self.close()
            raise RolloutError(
                f"{len(shares)} of the Ray cluster's {cores:g} cores were not free within {timeout:g} s"
            )
        nodes = self.ray.util.placement_group_table(self._group)["bundles_to_node_id"]
        loads = [sum(suite.costs[task] for task in share) for share in shares]
        self._bundles = place(loads, [nodes[bundle] for bundle in range(len(shares))])
        self._started: set[int] = set()
        self._patience = _PATIENCE

    def start(self, index: int, groups: list[list[int]]) -> RayWorker:  # noqa: D102
        self.head.wait()
        if index in self._started and not self._has_cores():
            return RayWorker(self, groups, {"num_cpus": 0, "scheduling_strategy": self._shared(index)})
        self._started.add(index)
        bundle = self.ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            self._group, placement_group_bundle_index=self._bundles[index]
        )
        return RayWorker(self, groups, {"num_cpus": 1, "scheduling_strategy": bundle})

    def _nodes(self) -> dict[str, float]:
        """Return the cores of each living node that has any."""
        return living_nodes(self.ray)

    def _has_cores(self) -> bool:
        # All workers of a lost node wait together: only the first one waits.
        found: bool = self._group.wait(self._patience)
        self._patience = _PATIENCE if found else _SHORT
        return found

    def _shared(self, index: int) -> Any:
        """Return a place for a worker without a core of its own."""
        nodes = sorted(self._nodes())
        if not nodes:
            raise GoneError("has no node left to run on")
        return self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            nodes[index % len(nodes)], soft=True
        )

    def close(self) -> None:  # noqa: D102
        if self.head.is_lost:
            return
        with suppress(self.ray.exceptions.RayError):
            self.ray.util.remove_placement_group(self._group)


def _reason(error: Exception) -> str:
    """Return the cause that one of Ray's errors of many lines names."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = re.findall(r"because (its (?:node|worker process) has died)", str(error))
    return causes[-1] if causes else lines[-1] if "creation task" in lines[0] else lines[0]
