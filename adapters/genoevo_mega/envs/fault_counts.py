"""The faults of workers and simulators that a pool survives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo_mega.envs.errors import RolloutError


@dataclass(frozen=True)
class Fault:
    """The reason why the episodes of *tasks*, by name, were lost; *worker* is the number of their worker."""

    worker: int
    reason: str
    tasks: tuple[str, ...]


class FaultCounts:
    """The faults of the tasks *names*, of which each task may have fewer than *limit*."""

    def __init__(self, names: tuple[str, ...], limit: int) -> None:
        self._names, self._limit = names, limit
        self._counts = np.zeros(len(names), np.int64)
        self._new: list[Fault] = []

    def add(self, worker: int, reason: str, tasks: list[int]) -> None:
        """Count a fault of *tasks*; RolloutError if one of them reaches the limit."""
        self._new.append(Fault(worker, reason, tuple(self._names[task] for task in tasks)))
        self._counts[tasks] += 1
        worst = tasks[int(self._counts[tasks].argmax())]
        if self._counts[worst] >= self._limit:
            raise RolloutError(
                f"{self._names[worst]} has had {self._counts[worst]} faults, which is the limit; "
                f"the last one: rollout worker {worker}: {reason}"
            )

    def take(self) -> list[Fault]:
        """Return the faults since the last call."""
        taken, self._new = self._new, []
        return taken
