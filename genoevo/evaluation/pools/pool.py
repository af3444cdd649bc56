"""The base of all pools: batches, deadlines, and the replacement of workers."""

from __future__ import annotations

import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from genoevo._check import check_count, is_number
from genoevo._types import Floats, Ints, Words
from genoevo.evaluation.fitness import (
    Attempt,
    Evaluator,
    Failure,
    Fault,
    FitnessFunction,
    InProcess,
    Vectorised,
    as_evaluator,
    checked,
    tried,
)
from genoevo.population import Population

Cargo = tuple[Words, Ints, tuple[float, ...]]
Answer = tuple[Floats, dict[int, tuple[str, str, str]]]
"""Fitness, and for each row that failed what happened, the traceback, and the kind of fault."""


class WorkerLost(Exception):  # noqa: N818
    """A worker ended before it answered."""


class NodeLost(WorkerLost):
    """The machine of a worker is gone, which is not the fault of the genotypes that it evaluated."""


class Worker(ABC):
    """A worker, which takes one batch at a time."""

    @abstractmethod
    def wait_until_ready(self) -> None:
        """Return once the worker can take work; raise WorkerLost if it cannot start."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Return whether a worker that waits for work still runs."""

    @abstractmethod
    def send(self, cargo: Cargo) -> None:
        """Hand over a batch."""

    @abstractmethod
    def receive(self) -> Answer:
        """Return the answer to the batch; raise WorkerLost if none will come."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker, whatever it is doing."""


W = TypeVar("W", bound=Worker)

_NODES = 3
"""The number of lost machines after which a genotype, or a new worker, counts as their reason."""


class Pool(ABC, Generic[W]):
    """The base of all pools: batches, deadlines, and the replacement of workers."""

    def __init__(
        self,
        function: FitnessFunction | InProcess | Vectorised,
        *,
        workers: int | None = None,
        batch: int | None = None,
        timeout: float | None = None,
        failure: Failure | None = None,
    ) -> None:
        if workers is not None:
            check_count("workers", workers, 1)
        if batch is not None:
            check_count("batch", batch, 1)
        if timeout is not None and not (is_number(timeout) and timeout > 0):
            raise ValueError(f"timeout must be above 0 seconds, got {timeout!r}")
        self.evaluator = as_evaluator(function)
        self.batch, self.timeout, self.failure = batch, timeout, checked(failure)
        self.answered: Callable[[Attempt], object] | None = None  # called as answers arrive; NaN is what is not known
        self._idle: list[W] = []
        self._busy: dict[W, tuple[Ints, float]] = {}  # the rows of each, and its deadline
        self._nodes_lost: Counter[int] = Counter()  # by row
        self._prepare()
        self.workers = self._cores() if workers is None else workers

    @abstractmethod
    def _prepare(self) -> None:
        """Prepare for the first worker; all settings have been checked."""

    @abstractmethod
    def _cores(self) -> int:
        """Return the number of workers if the user gives none."""

    @abstractmethod
    def _start(self) -> W:
        """Begin to start one worker."""

    @abstractmethod
    def _wait(self, workers: Sequence[W], seconds: float | None) -> list[W]:
        """Return the workers that have answered or ended, after at most so many seconds."""

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Evaluate every genotype, in order."""
        values = np.full((len(population), len(population.weights)), np.nan)
        faults: dict[int, Fault] = {}
        batch = self.batch or -(-len(population) // (4 * self.workers))
        queue = deque(np.split(np.arange(len(population)), range(batch, len(population), batch)))
        self._drop_ended()
        self._nodes_lost.clear()
        try:
            while queue or self._busy:
                if hasty and faults:
                    queue.clear()
                self._hand_out(queue, population)
                for worker, rows in self._answered():
                    self._take(worker, rows, values, faults, queue)
                if self.answered is not None:
                    self.answered(Attempt(values, faults))
        finally:
            for worker in self._busy:  # nobody waits for these any more
                worker.kill()
            self._busy.clear()
        return Attempt(values, faults)

    def _drop_ended(self) -> None:
        # A worker that ended while idle did not end because of a genotype that it would now be given.
        ended = [worker for worker in self._idle if not worker.is_alive()]
        self._idle = [worker for worker in self._idle if worker not in ended]
        for worker in ended:
            worker.kill()

    def _hand_out(self, queue: deque[Ints], population: Population) -> None:
        wanted = min(self.workers - len(self._busy), len(queue))
        self._idle += self._started(wanted - len(self._idle))
        for _ in range(wanted):
            worker, rows = self._idle.pop(), queue.popleft()
            part = population[rows]
            worker.send((part.words, part.lengths, part.weights))
            limit = np.inf if self.timeout is None else self.timeout * len(rows)
            self._busy[worker] = rows, time.monotonic() + limit

    def _started(self, count: int) -> list[W]:
        """Start new workers and wait until they can take work; if that fails, all of them are killed."""
        fresh: list[W] = []
        try:
            for _ in range(count):
                fresh.append(self._start())
            for place in range(count):
                fresh[place] = self._ready(fresh[place])
        except BaseException as error:
            for worker in fresh:
                worker.kill()
            if isinstance(error, WorkerLost):
                raise RuntimeError(f"a worker could not start: it {error}") from error
            raise
        return fresh

    def _ready(self, worker: W) -> W:
        """Return the worker, or one in its place, once it can take work."""
        for _ in range(_NODES - 1):
            try:
                worker.wait_until_ready()
            except NodeLost:
                worker.kill()
                worker = self._start()
            else:
                return worker
        worker.wait_until_ready()
        return worker

    def _answered(self) -> list[tuple[W, Ints]]:
        """Return the workers that have answered, ended or hung, and their rows. Those that hang are killed."""
        if not self._busy:
            return []
        first = min(deadline for _, deadline in self._busy.values())
        seconds = None if first == np.inf else max(0.0, first - time.monotonic())
        ready = self._wait(list(self._busy), seconds)
        now = time.monotonic()
        late = [w for w, (_, deadline) in self._busy.items() if w not in ready and deadline <= now]
        for worker in late:
            worker.kill()
        return [(worker, self._busy.pop(worker)[0]) for worker in ready + late]

    def _take(self, worker: W, rows: Ints, values: Floats, faults: dict[int, Fault], queue: deque[Ints]) -> None:
        try:
            found, failed = worker.receive()
        except WorkerLost as lost:
            worker.kill()
            if isinstance(lost, NodeLost) and self._may_move(rows):
                queue.appendleft(rows)
            elif len(rows) > 1:
                queue.extend(np.split(rows, len(rows)))
            else:
                faults[int(rows[0])] = Fault(str(lost))
            return
        self._idle.append(worker)
        values[rows] = found
        for row, (what, trace, kind) in failed.items():
            faults[int(rows[row])] = Fault(what, RuntimeError(f"in a worker:\n{trace}") if trace else None, kind)

    def _may_move(self, rows: Ints) -> bool:
        """Count a lost machine for each of the rows; False if it was the last that one of them may have lost."""
        self._nodes_lost.update(rows.tolist())
        return max(self._nodes_lost[row] for row in rows.tolist()) < _NODES

    def close(self) -> None:
        """End all workers. A later evaluation starts new ones."""
        for worker in [*self._idle, *self._busy]:
            worker.kill()
        self._idle.clear()
        self._busy.clear()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def compute(evaluator: Evaluator, cargo: Cargo) -> Answer:
    """Return the answer to a batch. Exceptions become text, because not all of them can be pickled."""
    words, lengths, weights = cargo
    population = Population.unchecked(words, lengths, weights=weights)
    try:
        values, faults = tried(evaluator, population)
    except Exception as error:  # of an evaluator of the user's own, which must not end the worker
        fault = Fault(f"could not be called: {type(evaluator).__name__}.attempt raised", error)
        values, faults = np.full((len(lengths), len(weights)), np.nan), dict.fromkeys(range(len(lengths)), fault)
    return values, {row: (fault.what, _trace(fault.cause), fault.kind) for row, fault in faults.items()}


def _trace(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception(error))
