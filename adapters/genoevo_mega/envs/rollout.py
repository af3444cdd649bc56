"""The pool of worker processes that simulate the tasks of a suite, several tasks per worker.

Actions, observations, rewards and flags lie in memory shared with the workers; a message is two bytes per worker and
vector step. Workers are spawned without torch. They leave the process group, because the parent handles Ctrl-C. They
exit when their pipe closes, even if the parent crashed.

A run survives these faults:

- If a worker dies or does not answer in time, it is replaced, and the episodes of its tasks are lost.
- If a simulator raises, or returns a number that is not finite, the episode of its task is lost.

A lost episode ends without a last step. Its task takes no step until it is reset.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from genoevo_runs.arrays import Flags, Floats, Ints

_BUILDING = 10  # building may take this many times the time limit of an answer: the first environment needs imports


@dataclass(frozen=True)
class Fault:
    """The reason why the episodes of *tasks*, by name, were lost; *worker* is the number of their process."""

    worker: int
    reason: str
    tasks: tuple[str, ...]


class RolloutPool:
    """The environments of all tasks of a suite, spread over worker processes.

    Parameters
    ----------
    suite
        The suite; it travels to the workers by pickle.
    workers
        The number of processes; at most one per task is started.
    groups
        1, or 2 for a pool whose halves can be stepped separately, see :meth:`begin_step`.
    timeout
        The seconds that a worker may take for one answer; building an environment may take ten times as long.
    fault_limit
        The number of faults of one task that ends the run.

    Attributes
    ----------
    groups : tuple of int64 arrays
        The tasks of each group. Every worker has tasks of both groups, as equal in cost as possible.
    lost : (tasks,) bool
        The tasks whose episodes were lost since their last reset.
    simulator_seconds, transport_seconds : float
        The time spent waiting for all steps and resets so far: while the busiest worker simulated, and the rest.
    busy_seconds : float
        The simulation time so far, summed over all workers.

    Raises
    ------
    RolloutError
        From any method, with a message of one line, if an environment cannot be built, a worker cannot be replaced,
        or a task has had *fault_limit* faults.

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

    def reset(self, goals: Ints, mask: Flags | None = None, *, evaluation: bool = False) -> Floats:
        """Start episodes and return the observations of all tasks, (tasks, observation_size) float32.

        Read :attr:`lost` afterwards: a worker can die in a reset as well.

        Parameters
        ----------
        goals
            The goal of each task, (tasks,) int64.
        mask
            The tasks to reset, (tasks,) bool; None resets all tasks.
        evaluation
            Whether *goals* are evaluation goals.

        Raises
        ------
        RuntimeError
            If a step is under way.

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
        """Step every task, or the tasks that *active* marks, and return the result.

        *actions* are (tasks, action_size) float32 in [-1, 1], *active* (tasks,) bool.
        """
        self.begin_step(actions, active)
        return self.finish_step()

    def begin_step(self, actions: Floats, active: Flags | None = None, group: int | None = None) -> None:
        """Start a step of all tasks, or of one group of them; :meth:`finish_step` waits for its result.

        With a *group*, *actions* and *active* have a row for each of its tasks, in the order of :attr:`groups`. Each
        group starts and finishes once per step. One group steps while the caller computes actions for the other::

            first, second = pool.groups
            pool.begin_step(act(first), group=0)
            pool.begin_step(act(second), group=1)       # acts while the first group steps
            while ...:
                results = pool.finish_step(group=0)     # the second group still steps
                pool.begin_step(act(first), group=0)
                results = pool.finish_step(group=1)
                pool.begin_step(act(second), group=1)
            pool.finish_step()                          # all steps under way

        The results equal those of undivided steps. Raises RuntimeError if a step of these tasks is under way. A reset
        is only possible when no step is under way.
        """
        rows = self._rows(group)
        if any(group in (None, one) or one is None for worker in self._workers for one in worker.pending):
            raise RuntimeError("a step of these tasks is under way: call finish_step first")
        self._arrays["actions"][rows] = actions
        self._arrays["active"][rows] = ~self.lost[rows] if active is None else active & ~self.lost[rows]
        self._send(STEP, group)

    def finish_step(self, group: int | None = None) -> Transition:
        """Wait for all steps under way, or for the step of one *group*; return the rows of the group's tasks."""
        self._finish(group)
        rows = self._rows(group)
        names = ("observations", "rewards", "terminated", "success")
        return Transition(**{name: self._arrays[name][rows].copy() for name in names}, lost=self.lost[rows].copy())

    def take_faults(self) -> list[Fault]:
        """Return the faults since the last call."""
        taken, self._faults = self._faults, []
        return taken

    def close(self) -> None:
        """End the workers; a second call does nothing."""
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
        if any(worker.pending for worker in self._workers):
            raise RuntimeError("a step is under way: call finish_step first")

    def _send(self, request: bytes, group: int | None) -> None:
        began = time.perf_counter()
        message = request + bytes([ALL_GROUPS if group is None else group])
        for worker in self._workers:
            if group is None or worker.groups[group]:
                worker.pending.append(group)
                worker.send(message)
        self.transport_seconds += time.perf_counter() - began

    def _finish(self, group: int | None) -> None:
        began = time.perf_counter()
        busiest = max(self._answers(index, group) for index in range(len(self._workers)))
        waited = time.perf_counter() - began
        self.simulator_seconds += min(busiest, waited)
        self.transport_seconds += max(waited - busiest, 0.0)

    def _answers(self, index: int, group: int | None) -> float:
        # Answers come in the order of the requests. Returns the seconds that the worker was busy.
        worker, total = self._workers[index], 0.0
        while any(group in (None, one) or one is None for one in worker.pending):
            try:
                busy, failures = read_answer(worker.receive(self._timeout))
            except GoneError as error:
                self._replace(index, str(error))
                break
            worker.pending.popleft()
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
            raise RolloutError(f"rollout worker {index} {reason}, and its replacement {error}") from None

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
    # The costliest task comes first; each goes to the worker with the least load so far (Graham 1969).
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += costs[task]
    return shares


def _deal(share: list[int], costs: Sequence[float], groups: int, first: int) -> list[list[int]]:
    # Returns a worker's tasks, a list for each group. The group that comes first differs from worker to worker, so
    # workers with fewer tasks than groups do not all serve the same group.
    hands = _spread([costs[task] for task in share], groups)
    dealt = [[share[place] for place in hand] for hand in hands]
    return dealt[-(first % groups) :] + dealt[: -(first % groups)]
