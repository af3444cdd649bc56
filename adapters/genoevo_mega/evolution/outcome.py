"""The statistics of a round's episodes, and the result of the round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_runs.arrays import Arrays, Doubles, Ints, restore_array


@dataclass(frozen=True)
class RoundResult:
    """The result of a round, task by task; arrays are (tasks,).

    ``success`` and ``mean_return`` are averages over the genotypes of a task, ``episodes`` the number of their
    episodes, and ``effective_modules`` those of the elite. ``grown``, ``shrunk`` and ``restored`` are task indices.
    ``descent`` holds JSON values for the record of the round:

    - ``elite``: the bit strings of new elites, by task; elites that have not changed are left out;
    - ``genealogy``: the origin and the parents of every genotype of the next generation;
    - ``rewritten``, if gradient steps train codes: the number of genes of each task that they have changed.
    """

    success: Doubles
    mean_return: Doubles
    best_score: Doubles
    effective_modules: Ints
    grown: list[int]
    shrunk: list[int]
    restored: list[int]
    episodes: Ints
    descent: dict[str, Any] = field(default_factory=dict)


class EpisodeStatistics:
    """Episodes, successes and returns since the last round; all arrays are (tasks, genotypes)."""

    def __init__(self, tasks: int, genotypes: int) -> None:
        self.episodes = np.zeros((tasks, genotypes), np.int64)
        self.successes = np.zeros((tasks, genotypes), np.int64)
        self.returns = np.zeros((tasks, genotypes), np.float64)

    def add(self, finished: FinishedEpisodes, genotype: Ints | int) -> None:
        """Credit n finished episodes to the genotypes (n,) that acted in them."""
        self.episodes[finished.tasks, genotype] += 1
        self.successes[finished.tasks, genotype] += finished.success
        self.returns[finished.tasks, genotype] += finished.returns

    def take(self) -> tuple[Doubles, Doubles]:
        """Return success rates and mean returns, and reset the counts."""
        means = self.successes / self.episodes, self.returns / self.episodes
        for array in self.state_arrays().values():
            array[:] = 0
        return means

    def state_arrays(self) -> Arrays:
        """Return the counts by name."""
        return {"episodes": self.episodes, "successes": self.successes, "returns": self.returns}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        for name, own in self.state_arrays().items():
            restore_array(name, own, arrays[name])
        if ((self.successes < 0) | (self.successes > self.episodes)).any():
            raise ValueError(f"of {self.episodes.tolist()} episodes {self.successes.tolist()} cannot have succeeded")
