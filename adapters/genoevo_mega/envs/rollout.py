"""The pool of workers that simulate the tasks of a suite, several tasks per worker.

Workers are processes of this machine (:mod:`genoevo_mega.envs.local_workers`) or actors of a Ray cluster
(:mod:`genoevo_mega.envs.ray_workers`). A vector step, its order and its results are the same with both.

A run survives these faults:

- If a worker dies, alone or with its node, or does not answer in time, it is replaced, and the episodes of its tasks
  are lost.
- If a simulator raises, or returns a number that is not finite, the episode of its task is lost.

A lost episode ends without a last step. Its task takes no step until it is reset.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.fault_counts import Fault, FaultCounts
from genoevo_mega.envs.local_workers import LocalWorkers
from genoevo_mega.envs.ray_workers import RayWorkers
from genoevo_mega.envs.shares import deal, spread
from genoevo_mega.envs.slots import Slots, meet
from genoevo_mega.envs.suite import Suite
from genoevo_mega.envs.transition import Transition
from genoevo_mega.envs.worker import RESET, RESULTS, STEP, GoneError, Request, Worker, Workers, read_answer
from genoevo_runs.arrays import Flags, Floats, Ints

_BUILDING = 10  # building may take this many times the time limit of an answer: the first environment needs imports


class RolloutPool:
    """The environments of all tasks of a suite, spread over workers.

    Parameters
    ----------
    suite
        The suite; it travels to the workers by pickle.
    workers
        The number of workers; at most one per task is started.
    rollouts
        ``local`` for processes of this machine, ``ray`` for actors of a Ray cluster.
    groups
        1, or 2 for a pool whose halves can be stepped separately, see :meth:`begin_step`.
    ahead
        The number of steps that may be under way beyond one.
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
        self,
        suite: Suite,
        workers: int,
        *,
        rollouts: Literal["local", "ray"] = "local",
        groups: int = 1,
        ahead: int = 0,
        timeout: float = 120.0,
        fault_limit: int = 10,
    ) -> None:
        self.suite, self._timeout = suite, timeout
        tasks = len(suite.names)
        self.simulator_seconds = self.transport_seconds = self.busy_seconds = 0.0
        self.lost = np.zeros(tasks, np.bool_)
        self._faults = FaultCounts(suite.names, fault_limit)
        shares = spread(suite.costs, min(workers, tasks))
        dealt = [deal(share, suite.costs, groups, first) for first, share in enumerate(shares)]
        self.groups = tuple(
            np.array(sorted(task for mine in dealt for task in mine[group]), np.int64) for group in range(groups)
        )
        self._workers: list[Worker] = []
        slots = 1 + ahead
        self._starter: Workers = (
            RayWorkers(suite, shares, slots, timeout) if rollouts == "ray" else LocalWorkers(suite, slots)
        )
        self._slots = self._starter.slots
        self._under_way = Slots(slots)
        # Reasons by task, for each worker and slot: a failure is told when its step is finished.
        self._failures: list[dict[int, dict[int, str]]] = [{} for _ in shares]
        try:
            for index, mine in enumerate(dealt):
                self._workers.append(self._starter.start(index, mine))
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

        Read :attr:`lost` afterwards: a worker can die in a reset as well. Workers reset after the steps that they
        have under way, so that it waits for these. Rows of tasks that are not reset mean nothing if steps are under
        way; else they are those of before.

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
            If as many steps are under way as possible.

        """
        request = self._under_way.free(None), None
        arrays = self._slots[request[0]]
        chosen = np.ones(len(self.lost), np.bool_) if mask is None else mask
        arrays["goals"][:] = goals
        arrays["evaluation"][:] = evaluation
        arrays["active"][:] = chosen
        self.lost &= ~chosen
        self._send(RESET, request)
        self._receive(request)
        self._lose_failed(request)
        return arrays["observations"].copy()

    def step(self, actions: Floats, active: Flags | None = None) -> Transition:
        """Step every task, or the tasks that *active* marks, and return the result.

        *actions* are (tasks, action_size) float32 in [-1, 1], *active* (tasks,) bool. RuntimeError if a step is under
        way.
        """
        if self._under_way:
            raise RuntimeError("a step is under way: call finish_step first")
        self.begin_step(actions, active)
        return self.finish_step()

    def begin_step(self, actions: Floats, active: Flags | None = None, group: int | None = None) -> None:
        """Start a step of all tasks, or of one group of them; :meth:`finish_step` waits for its result.

        With *ahead*, steps may be started before earlier ones are finished. A task whose episode terminates or fails
        takes none of the later ones that are under way; its rows of them mean nothing.

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
            pool.finish_step()                          # of both groups

        The results equal those of undivided steps. Raises RuntimeError if as many steps of these tasks are under way
        as possible.
        """
        rows, request = self._rows(group), (self._under_way.free(group), group)
        arrays = self._slots[request[0]]
        arrays["actions"][rows] = actions
        arrays["active"][rows] = ~self.lost[rows] if active is None else active & ~self.lost[rows]
        self._under_way.begin(request)
        self._send(STEP, request)

    def finish_step(self, group: int | None = None) -> Transition:
        """Wait for the oldest step under way, of all groups or of one; return the rows of its tasks.

        Rows of tasks that took no step are those of before if no other step was under way since, else they mean
        nothing. RuntimeError if no step is under way.
        """
        request, rows = self._under_way.oldest(group), self._rows(group)
        self._receive(request)
        self._lose_failed(request)
        self._under_way.finish(request)
        results = {name: self._slots[request[0]][name][rows].copy() for name in RESULTS}
        return Transition(**results, lost=self.lost[rows].copy())

    def drop(self) -> None:
        """Wait for all steps under way and forget their results, as well as failures of simulators in them."""
        for request in self._under_way:
            self._receive(request)
        self._under_way.clear()
        for kept in self._failures:
            kept.clear()

    def take_faults(self) -> list[Fault]:
        """Return the faults since the last call."""
        return self._faults.take()

    def close(self) -> None:
        """End the workers; a second call does nothing."""
        for worker in self._workers:
            worker.ask_to_end()
        for worker in self._workers:
            worker.end(patience=5)
        self._workers = []
        self._starter.close()

    def __enter__(self) -> RolloutPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------- messages

    def _rows(self, group: int | None) -> Any:
        return slice(None) if group is None else self.groups[group]

    def _send(self, operation: bytes, request: Request) -> None:
        began = time.perf_counter()
        slot, group = request
        active = self._slots[slot]["active"]
        for worker in self._workers:
            if active[worker.tasks if group is None else worker.groups[group]].any():
                worker.pending.append(request)
                worker.send(operation, request)
        self.transport_seconds += time.perf_counter() - began

    def _receive(self, request: Request) -> None:
        began = time.perf_counter()
        busiest = max(self._answers(index, request) for index in range(len(self._workers)))
        waited = time.perf_counter() - began
        self.simulator_seconds += min(busiest, waited)
        self.transport_seconds += max(waited - busiest, 0.0)

    def _answers(self, index: int, request: Request) -> float:
        # Answers come in the order of the requests: those of earlier steps are kept in their slots. Returns the
        # seconds that the worker was busy.
        worker, total = self._workers[index], 0.0
        while any(meet(one, request) for one in worker.pending):
            try:
                busy, failures = read_answer(worker.receive(self._timeout))
            except GoneError as error:
                self._replace(index, str(error))
                break
            slot, _ = worker.pending.popleft()
            total += busy
            self._failures[index].setdefault(slot, {}).update(failures)
        self.busy_seconds += total
        return total

    # --------------------------------------------------------------------------------------------------- faults

    def _lose_failed(self, request: Request) -> None:
        for index, kept in enumerate(self._failures):
            for task, reason in kept.pop(request[0], {}).items():
                self._lose(index, reason, [task])

    def _replace(self, index: int, reason: str) -> None:
        worker = self._workers[index]
        worker.end(patience=0)
        self._failures[index].clear()  # its episodes are lost anyway
        self._lose(index, reason, worker.tasks)
        try:
            self._workers[index] = self._starter.start(index, worker.groups)
            self._workers[index].finish_building(_BUILDING * self._timeout)
        except GoneError as error:
            raise RolloutError(f"rollout worker {index} {reason}, and its replacement {error}") from None

    def _lose(self, index: int, reason: str, tasks: list[int]) -> None:
        self.lost[tasks] = True
        for arrays in self._slots:
            for name in RESULTS:
                arrays[name][tasks] = 0
        self._faults.add(index, reason, tasks)
