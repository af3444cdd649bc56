"""A rollout worker from both sides: the process as its parent sees it, and the function that runs in it.

A request has two bytes: the operation and the group of tasks. The answer holds the seconds that the request took and
the tasks whose simulator failed. This module does not import torch.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import select
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs import checked
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.suite import Suite, TaskEnvironment
from genoevo_runs.arrays import Arrays

SPAWN = multiprocessing.get_context("spawn")
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STEP, RESET, CLOSE = b"s", b"r", b"c"
_DONE, _BUILT, _FAILED = b"d", b"b", b"f"
ALL_GROUPS = 255
_SLICES = 10  # parts of the time limit of an answer
_AWAKE = 0.0005  # seconds for which a worker polls for the next request: a sleeping core is slow to wake
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


def views(raw: dict[str, Any]) -> Arrays:
    """Return arrays over shared memory, from (memory, shape, dtype) by name."""
    return {name: np.frombuffer(memory, dtype).reshape(shape) for name, (memory, shape, dtype) in raw.items()}


def read_answer(answer: bytes) -> tuple[float, dict[int, str]]:
    """Return the seconds that a request took, and the reasons of failures, by task."""
    failures = {int(task): reason for task, reason in json.loads(answer[9:] or b"{}").items()}
    return float(np.frombuffer(answer[1:9], np.float64)[0]), failures


class GoneError(Exception):
    """The reason why a worker gives no answer."""


class WorkerProcess:
    """A worker as its parent sees it; ``pending`` are the groups of the requests that it has not answered yet."""

    def __init__(self, suite: Suite, groups: list[list[int]], raw: dict[str, Any]) -> None:
        self.groups, self.tasks = groups, [task for group in groups for task in group]
        self.pending: deque[int | None] = deque()
        self._pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(suite, groups, raw, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Send a request; a dead worker goes unnoticed until :meth:`receive`."""
        with suppress(OSError):
            self._pipe.send_bytes(message)

    def receive(self, timeout: float) -> bytes:
        """Return the next answer.

        Raises
        ------
        GoneError
            If the worker died, or does not answer within *timeout* seconds.
        RolloutError
            If the worker reports that it cannot build an environment.

        """
        # In slices: if the whole process group is suspended for a while, this costs a slice and not the time limit.
        if not any(self._poll.poll(1000 * timeout / _SLICES) for _ in range(_SLICES)):
            raise GoneError(f"did not answer within {timeout:g} s")
        try:
            answer = self._pipe.recv_bytes()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            raise GoneError(f"died (exit code {self.process.exitcode})") from None
        if answer[:1] == _FAILED:
            raise RolloutError(answer[1:].decode())
        return answer

    def finish_building(self, timeout: float) -> None:
        """Wait until every environment is built; raises as :meth:`receive` does."""
        for _ in self.tasks:
            answer = self.receive(timeout)
            assert answer == _BUILT

    def end(self, patience: float) -> None:
        """Wait *patience* seconds for the process to end, then kill it."""
        self._pipe.close()
        if patience:
            self.process.join(timeout=patience)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


@contextmanager
def quiet_workers() -> Iterator[None]:
    """Start workers in this context: with one BLAS thread each, and with SIGINT and SIGTERM blocked.

    A worker is one thread: BLAS threads of its own would only compete with the learner's threads. A spawned child
    inherits the environment and the blocked signals at its start. A Ctrl-C must not reach it before it has left the
    terminal's process group.
    """
    # The start of the resource tracker would unblock the signals again.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP_SIGNALS)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def work(suite: Suite, groups: list[list[int]], raw: dict[str, Any], pipe: Connection) -> None:
    """Build the environments of all *groups* of tasks, then answer requests until the pipe closes."""
    _leave_the_group()
    arrays = views(raw)
    requests = {ALL_GROUPS: [task for group in groups for task in group], **dict(enumerate(groups))}
    environments: dict[int, TaskEnvironment] = {}
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    task = -1
    try:
        for task in requests[ALL_GROUPS]:
            environments[task] = suite.make(task)
            pipe.send_bytes(_BUILT)
        while (message := _receive(pipe, poll)) != CLOSE:
            began = time.perf_counter()
            act = _reset if message[:1] == RESET else _step
            failures = {}
            for task in requests[message[1]]:
                if not arrays["active"][task]:
                    continue
                try:
                    act(environments[task], arrays, task)
                except Exception as error:
                    failures[task] = _in_one_line(error)
                    environments[task] = suite.make(task)  # the state of the old one is unknown
            seconds = np.float64(time.perf_counter() - began).tobytes()
            pipe.send_bytes(_DONE + seconds + (json.dumps(failures).encode() if failures else b""))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Exception as error:
        pipe.send_bytes(_FAILED + f"{suite.names[task]} cannot be built: {_in_one_line(error)}".encode())


def _receive(pipe: Connection, poll: Any) -> bytes:
    until = time.perf_counter() + _AWAKE
    while not poll.poll(0) and time.perf_counter() < until:
        os.sched_yield()  # let other processes use this core
    return pipe.recv_bytes()


def _leave_the_group() -> None:
    # The parent handles the signals that a terminal or a service manager sends to the whole process group.
    os.setpgid(0, 0)
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # drops a pending signal
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _reset(environment: TaskEnvironment, arrays: Arrays, task: int) -> None:
    goal, evaluation = int(arrays["goals"][task]), bool(arrays["evaluation"][task])
    size = arrays["observations"].shape[1]
    _observe(arrays, task, checked.reset(environment, goal, evaluation=evaluation, size=size))


def _step(environment: TaskEnvironment, arrays: Arrays, task: int) -> None:
    size = arrays["observations"].shape[1]
    observation, reward, terminated, success = checked.step(environment, arrays["actions"][task], size)
    _observe(arrays, task, observation)
    arrays["rewards"][task] = reward
    arrays["terminated"][task] = terminated
    arrays["success"][task] = success


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
