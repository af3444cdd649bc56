"""The growth rule on the record of a task: an interval says whether it improves, and a new module is tried first.

The best score of single episodes, with which :class:`~genoevo.community.growth_rule.GrowthHistory` compares, cannot
be beaten after one lucky success. Here a task improves if the lower bound of its success rate, or while it has none
of its mean return, rises above that of its last improvement. Few lucky episodes prove a low bound only, and what
falls clearly below its best has it to reach again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genoevo._types import Flags, Floats, Ints
from genoevo.community.fitness import Estimate, FitnessRecord
from genoevo.state import State, check_array, check_state

_FAILS = 0.05  # a success rate below this is none
_LEAST = 0.1  # standard errors by which a bound must rise: it converges for ever if success stays where it is


@dataclass(slots=True)
class RecordHistory:
    """The history of each task as far as growth by record needs it; every array is (tasks,).

    Attributes
    ----------
    stagnant : int64
        Rounds since the last improvement; 0 while a new module has not been judged.
    best_success, best_return : float64
        Lower bounds of success rate and mean return at the last improvement; -inf before the first.
    waiting : bool
        Whether the newest module has been added and no episode has judged its use yet.
    unused : int64
        Rounds in a row in which the elite did not use the newest module.

    """

    stagnant: Ints
    best_success: Floats
    best_return: Floats
    waiting: Flags
    unused: Ints

    @classmethod
    def fresh(cls, tasks: int) -> RecordHistory:
        """Return the history of *tasks* before their first round."""
        low = np.full(tasks, -np.inf)
        none = np.zeros(tasks, np.int64)
        return cls(none, low, low.copy(), np.zeros(tasks, np.bool_), none.copy())

    def update(
        self, record: FitnessRecord, seen: Flags, mastered: Flags, confidence: float, newest: Floats, threshold: float
    ) -> None:
        """Add a round; it says nothing of tasks that were not *seen* (tasks,) in any episode.

        *newest* (tasks, size) is each genotype's share of the output that the task's newest module carries; above
        *threshold* it is used. The first genotype of a task is its elite.
        """
        judged = ((newest > threshold) & (record.age[:, : newest.shape[1]] > 0)).any(axis=1)
        self.waiting &= ~judged
        success, mean_return = record.task_success, record.task_return
        by_success, proven_success = _risen(success, self.best_success, confidence)
        by_return, proven_return = _risen(mean_return, self.best_return, confidence)
        fails = (record.task_successes <= _FAILS * record.task_episodes) & np.isneginf(self.best_success)
        better = by_success & ~fails | by_return & fails
        self.best_success = np.where(better & ~fails, proven_success, _fallen(success, self.best_success, confidence))
        self.best_return = np.where(better, proven_return, _fallen(mean_return, self.best_return, confidence))
        self.stagnant = np.where(better | mastered | self.waiting, 0, self.stagnant + seen)
        self.unused = np.where(newest[:, 0] > threshold, 0, self.unused + seen)

    def forget(self, grown: list[int], shrunk: list[int]) -> None:
        """Start anew for tasks whose stage has changed: they have `patience` rounds to improve again."""
        for tasks in (grown, shrunk):
            self.stagnant[tasks] = 0
            self.unused[tasks] = 0
        self.waiting[grown] = True
        self.waiting[shrunk] = False

    def as_arrays(self) -> dict[str, Any]:
        """Return copies of the five arrays by name."""
        return {name: getattr(self, name).copy() for name in self.__slots__}

    @classmethod
    def from_state(cls, state: State, tasks: int) -> RecordHistory:
        """Return what :meth:`as_arrays` gave; ValueError names an array that is missing or does not fit."""
        check_state("a community's growth history", state, cls.__slots__)
        fresh, arrays = cls.fresh(tasks).as_arrays(), {}
        for name, empty in fresh.items():
            arrays[name] = check_array(name, state[name], empty.dtype.type, (tasks,))
        for name in ("stagnant", "unused"):
            if (arrays[name] < 0).any():
                raise ValueError(f"{name} of a community's growth history must be at least 0")
        for name in ("best_success", "best_return"):
            if np.isnan(arrays[name]).any():
                raise ValueError(f"{name} of a community's growth history must be a number")
        return cls(**arrays)


def _risen(estimate: Estimate, best: Floats, confidence: float) -> tuple[Flags, Floats]:
    """Return whether the lower bound of *estimate* has risen above *best*, and that bound."""
    bound = estimate.mean - confidence * estimate.error
    return bound > best + _LEAST * estimate.error, bound


def _fallen(estimate: Estimate, best: Floats, confidence: float) -> Floats:
    """Return *best*, or the upper bound of *estimate* if that is lower; NaN is no bound."""
    return np.asarray(np.fmin(best, estimate.mean + max(confidence, 1.0) * estimate.error))
