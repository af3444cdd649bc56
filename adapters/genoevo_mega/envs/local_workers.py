"""Rollout workers that are processes of this machine.

Actions, observations, rewards and flags lie in memory shared with the workers, in a slot for each step that may be
under way. A request has three bytes: the operation, the slot and the group of tasks. Workers are spawned without
torch. They leave the process group, because the parent handles Ctrl-C. They exit when their pipe closes, even if the
parent crashed.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from genoevo_mega.envs.suite import Suite
from genoevo_mega.envs.worker import BUILT, FIELDS, GoneError, Request, Simulators, refuse_failed, shapes
from genoevo_runs.arrays import Arrays

SPAWN = multiprocessing.get_context("spawn")
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLOSE = b"c"
_ALL_GROUPS = 255
_SLICES = 10  # parts of the time limit of an answer
_AWAKE = 0.0005  # seconds for which a worker polls for the next request: a sleeping core is slow to wake


class LocalWorkers:
    """What starts worker processes; see :class:`~genoevo_mega.envs.worker.Workers`."""

    def __init__(self, suite: Suite, slots: int) -> None:
        self._suite = suite
        self._raw = [
            {
                name: (
                    SPAWN.RawArray("B", int(np.prod(shape)) * np.dtype(FIELDS[name]).itemsize),
                    shape,
                    FIELDS[name],
                )
                for name, shape in shapes(suite).items()
            }
            for _ in range(slots)
        ]
        self.slots = [_views(raw) for raw in self._raw]

    def start(self, index: int, groups: list[list[int]]) -> WorkerProcess:  # noqa: D102
        with _quiet_workers():
            return WorkerProcess(self._suite, groups, self._raw)

    def close(self) -> None:  # noqa: D102
        pass  # the memory is freed with the arrays


class WorkerProcess:
    """A worker process; see :class:`~genoevo_mega.envs.worker.Worker`."""

    def __init__(self, suite: Suite, groups: list[list[int]], raw: list[dict[str, Any]]) -> None:
        self.groups, self.tasks = groups, [task for group in groups for task in group]
        self.pending: deque[Request] = deque()
        self._pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_work, args=(suite, groups, raw, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    def send(self, operation: bytes, request: Request) -> None:  # noqa: D102
        slot, group = request
        with suppress(OSError):
            self._pipe.send_bytes(operation + bytes([slot, _ALL_GROUPS if group is None else group]))

    def receive(self, timeout: float) -> bytes:  # noqa: D102
        # In slices: if the whole process group is suspended for a while, this costs a slice and not the time limit.
        if not any(self._poll.poll(1000 * timeout / _SLICES) for _ in range(_SLICES)):
            raise GoneError(f"did not answer within {timeout:g} s")
        try:
            answer = self._pipe.recv_bytes()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            raise GoneError(f"died (exit code {self.process.exitcode})") from None
        refuse_failed(answer)
        return answer

    def finish_building(self, timeout: float) -> None:  # noqa: D102
        for _ in self.tasks:
            answer = self.receive(timeout)
            assert answer == BUILT

    def ask_to_end(self) -> None:  # noqa: D102
        with suppress(OSError):
            self._pipe.send_bytes(_CLOSE)

    def end(self, patience: float) -> None:  # noqa: D102
        self._pipe.close()
        if patience:
            self.process.join(timeout=patience)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def _views(raw: dict[str, Any]) -> Arrays:
    """Return arrays over shared memory, from (memory, shape, dtype) by name."""
    return {name: np.frombuffer(memory, dtype).reshape(shape) for name, (memory, shape, dtype) in raw.items()}


@contextmanager
def _quiet_workers() -> Iterator[None]:
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


def _work(suite: Suite, groups: list[list[int]], raw: list[dict[str, Any]], pipe: Connection) -> None:
    """Build the environments of all *groups* of tasks, then answer requests until the pipe closes."""
    _leave_the_group()
    slots = [_views(each) for each in raw]
    simulators = Simulators(suite)
    requests = {_ALL_GROUPS: [task for group in groups for task in group], **dict(enumerate(groups))}
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        for task in requests[_ALL_GROUPS]:
            pipe.send_bytes(answer := simulators.build(task))
            if answer != BUILT:
                return
        while (message := _receive(pipe, poll)) != _CLOSE:
            arrays = slots[message[1]]
            active = [task for task in requests[message[2]] if arrays["active"][task]]
            pipe.send_bytes(simulators.answer(message[:1], active, arrays))


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
