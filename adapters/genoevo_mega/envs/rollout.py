"""Worker processes that step several tasks each, through shared memory.

Actions, observations, rewards and flags lie in memory shared with the workers; a message is two bytes per worker and
vector step. Workers are spawned without torch, leave the process group (Ctrl-C is the parent's to answer), and end
when their pipe closes, whatever becomes of the parent.

What a run survives: a worker that dies or does not answer in time is replaced, and the episodes of its tasks are
lost; a simulator that raises or gives a number that is not finite loses its own episode. A lost episode is as if it
had ended without a last step; its task takes no step until it is reset.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.suite import Suite
from genoevo_mega.envs.transition import Transition
from genoevo_mega.envs.worker import (
    ALL_GROUPS,
    CLOSE,
    FIELDS,
    RESET,
    SPAWN,
    STEP,
    GoneError,
    WorkerProcess,
    quiet_workers,
    read_answer,
    views,
)
from genoevo_runs.arrays import Flags, Floats

_BUILDING = 10  # times the time limit of an answer: an environment's first needs imports


@dataclass(frozen=True)
class Fault:
    """Why the episodes of *tasks*, by name, were lost; *worker* is the number of their process."""

    worker: int
    reason: str
    tasks: tuple[str, ...]


class RolloutPool:
    """Environments of all tasks of a suite, spread over worker processes.

    Parameters
    ----------
    suite
        Travels to the workers by pickle.
    workers
        Processes; at most one per task is started.
    groups
        1, or 2 for a pool whose halves can be stepped apart, see :meth:`begin_step`.
    timeout
        Seconds that a worker may take for one answer; for building an environment it may take ten times as long.
    fault_limit
        Faults of one task that end it all.

    Attributes
    ----------
    groups
        Tasks of each group. Every worker has tasks of both, as equal in cost as can be.
    lost
        (tasks,), whose episodes were lost since they were last reset.
    simulator_seconds, transport_seconds
        Time spent waiting for all steps and resets so far: while the busiest worker simulated, and the rest.
    busy_seconds
        Time that all workers together simulated.

    Raises
    ------
    RolloutError
        From any method, in one line: an environment cannot be built, a worker cannot be replaced, or a task has had
        *fault_limit* faults.

    """

    def __init__(
        self, suite: Suite, workers: int, *, groups: int = 1, timeout: float = 120.0, fault_limit: int = 10
    ) -> None:
        self.suite, self._timeout, self._fault_limit = suite, timeout, fault_limit
        tasks = len(suite.names)
        shapes = {"actions": (tasks, suite.action_size), "observations": (tasks, suite.observation_size)}
        self._raw = {
            name: (SPAWN.RawArray("B", int(np.prod(shape)) * np.dtype(dtype).itemsize), shape, dtype)
            for name, dtype in FIELDS.items()
            for shape in [shapes.get(name, (tasks,))]
        }
        self._arrays = views(self._raw)
        self.simulator_seconds = self.transport_seconds = self.busy_seconds = 0.0
        self.lost = np.zeros(tasks, np.bool_)
        self._fault_counts = np.zeros(tasks, np.int64)
        self._faults: list[Fault] = []
        shares = _spread(suite.costs, min(workers, tasks))
        dealt = [_deal(share, suite.costs, groups, first) for first, share in enumerate(shares)]
        self.groups = tuple(
            np.array(sorted(task for mine in dealt for task in mine[group]), np.int64) for group in range(groups)
        )
        self._workers: list[WorkerProcess] = []
        try:
            with quiet_workers():
                self._workers += [WorkerProcess(suite, mine, self._raw) for mine in dealt]
            for worker in self._workers:
                worker.finish_building(_BUILDING * timeout)
        except GoneError as error:
            self.close()
            raise RolloutError(f"a rollout worker {error} while it built its environments") from None
        except BaseException:
            self.close()
            raise

    def reset(self, goals: npt.NDArray[np.int64], mask: Flags | None = None, *, evaluation: bool = False) -> Floats:
        """Begin episodes with *goals* (tasks,) where *mask* is set, everywhere without one; all observations.

        See :attr:`lost` afterwards: a worker can die in a reset as well.
        """
        self._check_finished()
        chosen = np.ones(len(self.lost), np.bool_) if mask is None else mask
        self._arrays["goals"][:] = goals
        self._arrays["evaluation"][:] = evaluation
        self._arrays["active"][:] = chosen
        self.lost &= ~chosen
        self._send(RESET, None)
        self._finish(None)
        return self._arrays["observations"].copy()

    def step(self, actions: Floats, active: Flags | None = None) -> Transition:
        """Step every task, or those of *active*, with *actions* (tasks, action_size) in [-1, 1]."""
        self.begin_step(actions, active)
        return self.finish_step()

    def begin_step(self, actions: Floats, active: Flags | None = None, group: int | None = None) -> None:
        """Let the workers begin what :meth:`step` does, for all tasks or for one group of them.

        With a *group*, *actions* and *active* have a row for each of its tasks, in the order of :attr:`groups`. Each
        half is begun and finished once per step, and one half steps while the caller acts for the other::

            first, second = pool.groups
            pool.begin_step(act(first), group=0)
            pool.begin_step(act(second), group=1)       # acts while the first half steps
            while ...:
                results = pool.finish_step(group=0)     # the second half steps on
                pool.begin_step(act(first), group=0)
                results = pool.finish_step(group=1)
                pool.begin_step(act(second), group=1)
            pool.finish_step()                          # whatever was begun

        The results are those of undivided steps. A reset may come only when all that was begun is finished.
        """
        rows = self._rows(group)
        if any(group in (None, begun) or begun is None for worker in self._workers for begun in worker.begun):
            raise RuntimeError("this step was begun already: finish_step comes first")
        self._arrays["actions"][rows] = actions
        self._arrays["active"][rows] = ~self.lost[rows] if active is None else active & ~self.lost[rows]
        self._send(STEP, group)

    def finish_step(self, group: int | None = None) -> Transition:
        """Wait for all steps begun, or for that of one *group*; the result has the rows of the group's tasks."""
        self._finish(group)
        rows = self._rows(group)
        names = ("observations", "rewards", "terminated", "success")
        return Transition(**{name: self._arrays[name][rows].copy() for name in names}, lost=self.lost[rows].copy())

    def take_faults(self) -> list[Fault]:
        """The faults since this was last called."""
        taken, self._faults = self._faults, []
        return taken

    def close(self) -> None:
        """End the workers; may be called again."""
        for worker in self._workers:
            worker.send(CLOSE)
        for worker in self._workers:
            worker.end(patience=5)
        self._workers = []

    def __enter__(self) -> RolloutPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------- messages

    def _rows(self, group: int | None) -> Any:
        return slice(None) if group is None else self.groups[group]

    def _check_finished(self) -> None:
        if any(worker.begun for worker in self._workers):
            raise RuntimeError("a step is under way: finish_step comes first")

    def _send(self, request: bytes, group: int | None) -> None:
        began = time.perf_counter()
        message = request + bytes([ALL_GROUPS if group is None else group])
        for worker in self._workers:
            if group is None or worker.groups[group]:
                worker.begun.append(group)
                worker.send(message)
        self.transport_seconds += time.perf_counter() - began

    def _finish(self, group: int | None) -> None:
        began = time.perf_counter()
        busiest = max(self._answers(index, group) for index in range(len(self._workers)))
        waited = time.perf_counter() - began
        self.simulator_seconds += min(busiest, waited)
        self.transport_seconds += max(waited - busiest, 0.0)

    def _answers(self, index: int, group: int | None) -> float:
        # Answers come in the order of the requests. Seconds that the worker was busy.
        worker, total = self._workers[index], 0.0
        while any(group in (None, begun) or begun is None for begun in worker.begun):
            try:
                busy, failures = read_answer(worker.receive(self._timeout))
            except GoneError as error:
                self._replace(index, str(error))
                break
            worker.begun.popleft()
            total += busy
            for task, reason in failures.items():
                self._lose(index, reason, [task])
        self.busy_seconds += total
        return total

    # --------------------------------------------------------------------------------------------------- faults

    def _replace(self, index: int, reason: str) -> None:
        worker = self._workers[index]
        worker.end(patience=0)
        self._lose(index, reason, worker.tasks)
        try:
            with quiet_workers():
                self._workers[index] = WorkerProcess(self.suite, worker.groups, self._raw)
            self._workers[index].finish_building(_BUILDING * self._timeout)
        except GoneError as error:
            raise RolloutError(f"rollout worker {index} {reason}, and the one in its place {error}") from None

    def _lose(self, index: int, reason: str, tasks: list[int]) -> None:
        self.lost[tasks] = True
        for name in ("observations", "rewards", "terminated", "success"):
            self._arrays[name][tasks] = 0
        self._faults.append(Fault(index, reason, tuple(self.suite.names[task] for task in tasks)))
        self._fault_counts[tasks] += 1
        worst = tasks[int(self._fault_counts[tasks].argmax())]
        if self._fault_counts[worst] >= self._fault_limit:
            raise RolloutError(
                f"{self.suite.names[worst]} has had {self._fault_counts[worst]} faults, which is the limit; "
                f"the last one: rollout worker {index}: {reason}"
            )


def _spread(costs: Sequence[float], workers: int) -> list[list[int]]:
    # The dearest task first, each to the worker that has least to do so far (Graham 1969).
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += costs[task]
    return shares


def _deal(share: list[int], costs: Sequence[float], groups: int, first: int) -> list[list[int]]:
    # A worker's tasks, a list for each group; where they are fewer than groups, workers begin with another group.
    hands = _spread([costs[task] for task in share], groups)
    dealt = [[share[place] for place in hand] for hand in hands]
    return dealt[-(first % groups) :] + dealt[: -(first % groups)]
