"""The places of a task's genotypes: those of its population, and behind them those of its archive, if it has one."""

from __future__ import annotations

import numpy as np

from genoevo.community import RecordCommunity, TaskPopulations
from genoevo_runs.arrays import Ints


class Places:
    """The order in which the genotypes of *community* act, and the rows in which a generation of them is stored.

    Attributes
    ----------
    turns : int
        Turns of a round. In each of the first, a genotype of the population acts, in order. With archives there is
        one more, for a genotype of the task's archive.

    """

    def __init__(self, community: TaskPopulations) -> None:
        self._size, self._tasks = community.size, np.arange(len(community.tasks))
        self._archive = community.archive if isinstance(community, RecordCommunity) else None
        self._share = community.frontier.update_share if isinstance(community, RecordCommunity) else 0.0
        self.turns = self._size + (self._archive is not None)

    def acting(self, turns: Ints, rounds: int) -> Ints:
        """Return the place of each task's genotype that acts in its turn, (tasks,), after *rounds* rounds."""
        if self._archive is None:
            return turns
        return np.where(turns < self._size, turns, self._size + self._archive.acting(rounds))

    def trained(self, places: Ints, rng: np.random.Generator) -> Ints:
        """Return *places* of the population, (tasks,), for a share of the tasks replaced by places of the archive."""
        if self._archive is None:
            return places
        archived = rng.random(len(places)) < self._share
        return np.where(archived, self._size + self._archive.draw(rng), places)

    def rows(self, places: Ints) -> Ints:
        """Return the row of each task's genotype at *places* (tasks,) within a stored generation, (tasks,)."""
        own = self._tasks * self._size + places
        if self._archive is None:
            return own
        archived = self._tasks.size * self._size + self._tasks * self._archive.places + places - self._size
        return np.where(places < self._size, own, archived)
