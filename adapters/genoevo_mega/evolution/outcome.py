"""What the episodes of a round have shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.episodes import Ended
from genoevo_runs.arrays import Ints, restore_array


@dataclass(frozen=True)
class Outcome:
    """A round, task by task; arrays are (tasks,).

    ``success`` and ``mean_return`` average over the task's genotypes, ``episodes`` were driven by them,
    ``effective_modules`` is its elite's, ``grown``, ``shrunk`` and ``restored`` are task indices. ``descent``
    holds JSON values for the round's record: ``elite``, the bit strings of the next generation's elites by task, but
    for those that are still the same, ``genealogy``, see :func:`_genealogy`, and, where gradient steps change
    genotypes, ``rewritten``, how many of a task's genes they have changed since the last round.
    """

    success: npt.NDArray[np.float64]
    mean_return: npt.NDArray[np.float64]
    best_score: npt.NDArray[np.float64]
    effective_modules: Ints
    grown: list[int]
    shrunk: list[int]
    restored: list[int]
    episodes: Ints
    descent: dict[str, Any] = field(default_factory=dict)


class Tally:
    """What the episodes since the last round have shown; all arrays are (tasks, genotypes)."""

    def __init__(self, tasks: int, genotypes: int) -> None:
        self.episodes = np.zeros((tasks, genotypes), np.int64)
        self.successes = np.zeros((tasks, genotypes), np.int64)
        self.returns = np.zeros((tasks, genotypes), np.float64)

    def add(self, ended: Ended, genotype: Ints | int) -> None:
        """Credit ended episodes, n of them, to the genotypes (n,) that drove them."""
        self.episodes[ended.tasks, genotype] += 1
        self.successes[ended.tasks, genotype] += ended.success
        self.returns[ended.tasks, genotype] += ended.returns

    def take(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Success rates and mean returns; counts from nothing again."""
        means = self.successes / self.episodes, self.returns / self.episodes
        for array in self.state_arrays().values():
            array[:] = 0
        return means

    def state_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The counts by name."""
        return {"episodes": self.episodes, "successes": self.successes, "returns": self.returns}

    def load_arrays(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take up :meth:`state_arrays`; ValueError where they do not fit."""
        for name, own in self.state_arrays().items():
            restore_array(name, own, arrays[name])
        if ((self.successes < 0) | (self.successes > self.episodes)).any():
            raise ValueError(f"of {self.episodes.tolist()} episodes {self.successes.tolist()} cannot have succeeded")
