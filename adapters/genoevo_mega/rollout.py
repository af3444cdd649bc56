"""Worker processes that step several tasks each, through shared memory.

Actions, observations, rewards and flags lie in memory shared with the workers; a message is one byte per worker and
vector step. Workers are spawned without torch, leave the process group (Ctrl-C is the parent's to answer), and end
when their pipe closes, whatever becomes of the parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.errors import RolloutError
from genoevo_mega.tasks import Suite

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STEP, _RESET, _CLOSE, _DONE, _FAILED = b"s", b"r", b"c", b"d", b"f"
_FIELDS = {
    "actions": np.float32,
    "observations": np.float32,
    "rewards": np.float32,
    "terminated": np.bool_,
    "success": np.bool_,
    "active": np.bool_,
    "goals": np.int64,
    "evaluation": np.bool_,
}


@dataclass(frozen=True)
class Transition:
    """What one vector step gave: copies, one row per task; rows of inactive tasks keep their last values.

    ``observations`` (tasks, observation_size) float32 are the true next ones: nothing is reset by a step.
    """

    observations: Floats
    rewards: Floats
    terminated: Flags
    success: Flags


class RolloutPool:
    """Environments of all tasks of a suite, spread over worker processes.

    Parameters
    ----------
    suite
        Travels to the workers by pickle.
    workers
        Processes; at most one per task is started.

    Attributes
    ----------
    simulator_seconds, transport_seconds
        Time spent waiting for all steps and resets so far: while the busiest worker simulated, and the rest.
    busy_seconds
        Time that all workers together simulated.

    Raises
    ------
    RolloutError
        From any method, where a worker failed (its traceback is in the message) or died.

    """

    def __init__(self, suite: Suite, workers: int) -> None:
        self.suite = suite
        tasks = len(suite.names)
        context = multiprocessing.get_context("spawn")
        shapes = {"actions": (tasks, suite.action_size), "observations": (tasks, suite.observation_size)}
        raw = {
            name: (context.RawArray("B", int(np.prod(shape)) * np.dtype(dtype).itemsize), shape, dtype)
            for name, dtype in _FIELDS.items()
            for shape in [shapes.get(name, (tasks,))]
        }
        self._arrays = _views(raw)
        self.simulator_seconds = 0.0
        self.transport_seconds = 0.0
        self.busy_seconds = 0.0
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        count = min(workers, tasks)
        try:
            with _quiet_workers():
                for mine in _spread(suite.costs, count):
                    ours, theirs = context.Pipe()
                    process = context.Process(target=_work, args=(suite, mine, raw, theirs), daemon=True)
                    process.start()
                    theirs.close()
                    self._pipes.append(ours)
                    self._processes.append(process)
            self._await()
        except BaseException:
            self.close()
            raise

    def reset(self, goals: npt.NDArray[np.int64], mask: Flags | None = None, *, evaluation: bool = False) -> Floats:
        """Begin episodes with *goals* (tasks,) where *mask* is set, everywhere without one; all observations."""
        self._arrays["goals"][:] = goals
        self._arrays["evaluation"][:] = evaluation
        self._arrays["active"][:] = True if mask is None else mask
        self._send(_RESET)
        self._finish()
        return self._arrays["observations"].copy()

    def step(self, actions: Floats, active: Flags | None = None) -> Transition:
        """Step every task, or those of *active*, with *actions* (tasks, action_size) in [-1, 1]."""
        self.begin_step(actions, active)
        return self.finish_step()

    def begin_step(self, actions: Floats, active: Flags | None = None) -> None:
        """Let the workers begin what :meth:`step` does; nothing else may be asked before :meth:`finish_step`."""
        self._arrays["actions"][:] = actions
        self._arrays["active"][:] = True if active is None else active
        self._send(_STEP)

    def finish_step(self) -> Transition:
        """Wait for the step begun."""
        self._finish()
        names = ("observations", "rewards", "terminated", "success")
        return Transition(**{name: self._arrays[name].copy() for name in names})

    def close(self) -> None:
        """End the workers; may be called again."""
        for pipe in self._pipes:
            with suppress(OSError):  # it may be gone already
                pipe.send_bytes(_CLOSE)
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []

    def __enter__(self) -> RolloutPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, message: bytes) -> None:
        began = time.perf_counter()
        for index, pipe in enumerate(self._pipes):
            try:
                pipe.send_bytes(message)
            except OSError:
                raise self._death(index) from None
        self.transport_seconds += time.perf_counter() - began

    def _finish(self) -> None:
        began = time.perf_counter()
        busiest = self._await()
        waited = time.perf_counter() - began
        self.simulator_seconds += min(busiest, waited)
        self.transport_seconds += max(waited - busiest, 0.0)

    def _await(self) -> float:
        busiest = 0.0
        for index, pipe in enumerate(self._pipes):
            try:
                answer = pipe.recv_bytes()
            except (EOFError, OSError):
                raise self._death(index) from None
            if answer[:1] == _FAILED:
                raise RolloutError(f"rollout worker {index} failed: {answer[1:].decode()}")
            busy = float(np.frombuffer(answer[1:], np.float64)[0])
            self.busy_seconds += busy
            busiest = max(busiest, busy)
        return busiest

    def _death(self, index: int) -> RolloutError:
        self._processes[index].join(timeout=1)
        return RolloutError(f"rollout worker {index} died (exit code {self._processes[index].exitcode})")


def _spread(costs: Sequence[float], workers: int) -> list[list[int]]:
    # The dearest task first, each to the worker that has least to do so far (Graham 1969).
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += costs[task]
    return shares


@contextmanager
def _quiet_workers() -> Iterator[None]:
    # A worker is one thread; BLAS threads of its own would only compete with the learner's. A spawned child
    # takes the environment and the blocked signals as they are while it starts: a Ctrl-C must not reach it before
    # it has left the terminal's process group. Starting the resource tracker would unblock them again.
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


def _views(raw: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.frombuffer(memory, dtype).reshape(shape) for name, (memory, shape, dtype) in raw.items()}


def _work(suite: Suite, tasks: list[int], raw: dict[str, Any], pipe: Connection) -> None:
    _leave_the_group()
    arrays = _views(raw)
    task = tasks[0]
    try:
        environments = {}
        for task in tasks:
            environments[task] = suite.make(task)
        pipe.send_bytes(_DONE + np.float64(0).tobytes())
        while (message := pipe.recv_bytes()) != _CLOSE:
            began = time.perf_counter()
            for task in tasks:
                if arrays["active"][task]:
                    _act(environments[task], arrays, task, message)
            pipe.send_bytes(_DONE + np.float64(time.perf_counter() - began).tobytes())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Exception:
        pipe.send_bytes(_FAILED + f"{suite.names[task]}: {traceback.format_exc()}".encode())


def _leave_the_group() -> None:
    # What a terminal or a service manager sends to the whole group is the parent's to answer.
    os.setpgid(0, 0)
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # drops one that is pending
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _act(environment: Any, arrays: dict[str, npt.NDArray[Any]], task: int, message: bytes) -> None:
    if message == _RESET:
        goal, evaluation = int(arrays["goals"][task]), bool(arrays["evaluation"][task])
        arrays["observations"][task] = environment.reset(goal, evaluation=evaluation)
        return
    observation, reward, terminated, success = environment.step(arrays["actions"][task])
    arrays["observations"][task] = observation
    arrays["rewards"][task] = reward
    arrays["terminated"][task] = terminated
    arrays["success"][task] = success
