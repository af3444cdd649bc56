"""What a rollout worker does, in a process of this machine or on a node of a cluster.

A request is an operation and tasks. The answer holds the seconds that the request took and the tasks whose simulator
failed. This module does not import torch.
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs import checked
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.suite import Suite, TaskEnvironment
from genoevo_runs.arrays import Arrays

STEP, RESET = b"s", b"r"
BUILT = b"b"
_DONE, _FAILED = b"d", b"f"
FIELDS = {
    "actions": np.float32,
    "observations": np.float32,
    "rewards": np.float32,
    "terminated": np.bool_,
    "success": np.bool_,
    "active": np.bool_,
    "goals": np.int64,
    "evaluation": np.bool_,
}
RESULTS = ("observations", "rewards", "terminated", "success")


Request = tuple[int, int | None]
"""The slot of a request's arrays, and its group of tasks; None for all groups."""


class GoneError(Exception):
    """The reason why a worker gives no answer."""


class Worker(Protocol):
    """A worker as the pool sees it.

    Attributes
    ----------
    groups : list of lists of int
        The worker's tasks, by group.
    tasks : list of int
        The tasks of all groups.
    pending : deque of (int, int or None)
        Slot and group of each request that the worker has not answered yet, in order; None for all groups.

    """

    groups: list[list[int]]
    tasks: list[int]
    pending: deque[Request]

    def send(self, operation: bytes, request: Request) -> None:
        """Send a request for the active tasks of a group; a dead worker goes unnoticed until :meth:`receive`."""

    def receive(self, timeout: float) -> bytes:
        """Return the next answer.

        Raises
        ------
        GoneError
            If the worker died, or does not answer within *timeout* seconds.
        RolloutError
            If the worker reports that it cannot build an environment.

        """

    def finish_building(self, timeout: float) -> None:
        """Wait until every environment is built; raises as :meth:`receive` does."""

    def ask_to_end(self) -> None:
        """Ask the worker to end, without waiting for it."""

    def end(self, patience: float) -> None:
        """Wait *patience* seconds for the worker to end, then kill it."""


class Workers(Protocol):
    """What starts the workers of a pool.

    ``slots`` has arrays for each step that may be under way: the pool's rows of all tasks, by the names of
    :data:`FIELDS`. Workers find actions there and leave results, at the latest when their answer is received.
    """

    slots: list[Arrays]

    def start(self, index: int, groups: list[list[int]]) -> Worker:
        """Start worker number *index*, or its replacement, with its tasks by group; GoneError if that fails."""

    def close(self) -> None:
        """Give back what the workers shared."""


def shapes(suite: Suite) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of :data:`FIELDS`: a row per task."""
    tasks = len(suite.names)
    wide = {"actions": (tasks, suite.action_size), "observations": (tasks, suite.observation_size)}
    return {name: wide.get(name, (tasks,)) for name in FIELDS}


def read_answer(answer: bytes) -> tuple[float, dict[int, str]]:
    """Return the seconds that a request took, and the reasons of failures, by task."""
    failures = {int(task): reason for task, reason in json.loads(answer[9:] or b"{}").items()}
    return float(np.frombuffer(answer[1:9], np.float64)[0]), failures


def refuse_failed(answer: bytes) -> None:
    """Raise RolloutError if *answer* says that an environment could not be built."""
    if answer[:1] == _FAILED:
        raise RolloutError(answer[1:].decode())


class Simulators:
    """The environments of a worker's tasks, made by *suite*."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._environments: dict[int, TaskEnvironment] = {}
        self._over: set[int] = set()  # tasks whose episode terminated or failed: they take no step until their reset

    def build(self, task: int) -> bytes:
        """Build the environment of a task; the answer is :data:`BUILT` or a failure."""
        try:
            self._environments[task] = self._suite.make(task)
        except Exception as error:
            return _FAILED + f"{self._suite.names[task]} cannot be built: {_in_one_line(error)}".encode()
        return BUILT

    def answer(self, operation: bytes, tasks: Sequence[int], arrays: Arrays) -> bytes:
        """Step or reset *tasks* and return the answer.

        *arrays* have the rows of all tasks, by the names of :data:`FIELDS`: actions and goals are read, results
        written. Steps that were sent before it was known that an episode is over are not made.
        """
        began = time.perf_counter()
        act = _reset if operation == RESET else _step
        failures = {}
        for task in tasks:
            if operation == STEP and task in self._over:
                continue
            self._over.discard(task)
            try:
                if act(self._environments[task], arrays, task):
                    self._over.add(task)
            except Exception as error:
                failures[task] = _in_one_line(error)
                self._over.add(task)
                # The state of the old environment is unknown.
                if (built := self.build(task)) != BUILT:
                    return built
        seconds = np.float64(time.perf_counter() - began).tobytes()
        return _DONE + seconds + (json.dumps(failures).encode() if failures else b"")


def _reset(environment: TaskEnvironment, arrays: Arrays, task: int) -> bool:
    goal, evaluation = int(arrays["goals"][task]), bool(arrays["evaluation"][task])
    size = arrays["observations"].shape[1]
    _observe(arrays, task, checked.reset(environment, goal, evaluation=evaluation, size=size))
    return False


def _step(environment: TaskEnvironment, arrays: Arrays, task: int) -> bool:
    # Returns whether the episode is over.
    size = arrays["observations"].shape[1]
    observation, reward, terminated, success = checked.step(environment, arrays["actions"][task], size)
    _observe(arrays, task, observation)
    arrays["rewards"][task] = reward
    arrays["terminated"][task] = terminated
    arrays["success"][task] = success
    return bool(terminated)


def _observe(arrays: Arrays, task: int, observation: npt.NDArray[Any]) -> None:
    row = arrays["observations"][task]
    row[:] = observation  # a number beyond float32 becomes infinite, and is refused below
    # The sum of squares is quick to compute, and finite for all values but huge ones, which the second test accepts.
    if not math.isfinite(row.dot(row)) and not np.isfinite(row).all():
        raise FloatingPointError(f"the observation is not finite at {np.flatnonzero(~np.isfinite(row)).tolist()}")


def _in_one_line(error: Exception) -> str:
    if isinstance(error, checked.WrongValueError):
        return str(error)  # no line of the environment's code is wrong
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({os.path.basename(frame.filename)}, line {frame.lineno})"
