"""The growth rule on the record of a task: an interval says whether it improves, and a new module is tried first.

The best score of single episodes, with which :class:`~genoevo.community.growth_rule.GrowthHistory` compares, cannot
be beaten after one lucky success. Here a task improves if the lower bound of its success rate, or while it has none
of its mean return, rises above that of its last improvement. Few lucky episodes prove a low bound only, and what
falls clearly below its best has it to reach again. The record forgets slowly, so that it shows a rise late: a task
whose success rose within the last rounds is not held for one that needs a module either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genoevo._types import Flags, Floats, Ints
from genoevo.community.fitness import Estimate, FitnessRecord
from genoevo.state import State, check_array, check_state

_LATER = ("recent_episodes", "recent_successes")  # states of genoevo before them are read
_FAILS = 0.05  # a success rate below this is none
_LEAST = 0.1  # standard errors by which a bound must rise: it converges for ever if success stays where it is


@dataclass(slots=True)
class RecordHistory:
    """The history of each task as far as growth by record needs it; arrays are (tasks,) unless they say otherwise.

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
    recent_episodes, recent_successes : float64
        (tasks, patience): those of the last rounds, the newest last.

    """

    stagnant: Ints
    best_success: Floats
    best_return: Floats
    waiting: Flags
    unused: Ints
    recent_episodes: Floats
    recent_successes: Floats

    @classmethod
    def fresh(cls, tasks: int, patience: int) -> RecordHistory:
        """Return the history of *tasks* before their first round, which remembers *patience* rounds."""
        low = np.full(tasks, -np.inf)
        none = np.zeros(tasks, np.int64)
        rounds = np.zeros((tasks, patience))
        return cls(none, low, low.copy(), np.zeros(tasks, np.bool_), none.copy(), rounds, rounds.copy())

    def update(
        self,
        record: FitnessRecord,
        counted: tuple[Floats, Floats],
        mastered: Flags,
        confidence: float,
        newest: Floats,
        threshold: float,
    ) -> None:
        """Add a round of *counted* episodes and successes, (tasks,) each; it says nothing of a task without episodes.

        *newest* (tasks, size) is each genotype's share of the output that the task's newest module carries; above
        *threshold* it is used. The first genotype of a task is its elite.
        """
        seen = counted[0] > 0
        self.recent_episodes = _appended(self.recent_episodes, counted[0], seen)
        self.recent_successes = _appended(self.recent_successes, counted[1], seen)
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

    def rising(self, confidence: float) -> Flags:
        """Return whether each task's success rose within the last rounds, (tasks,).

        The rate of the later half must exceed that of the earlier half by more than *confidence* standard errors of
        the difference.
        """
        half = self.recent_episodes.shape[1] // 2
        earlier, later = (
            (self.recent_successes[:, half].sum(axis=1), self.recent_episodes[:, half].sum(axis=1))
            for half in (slice(half), slice(half, None))
        )
        both = earlier[1] > 0
        rate = (earlier[0] + later[0] + 1) / (earlier[1] + later[1] + 2)
        error = np.sqrt(rate * (1 - rate) * (1 / np.maximum(earlier[1], 1) + 1 / np.maximum(later[1], 1)))
        rise = later[0] / np.maximum(later[1], 1) - earlier[0] / np.maximum(earlier[1], 1)
        return np.asarray(both & (rise > confidence * error))

    def forget(self, grown: list[int], shrunk: list[int]) -> None:
        """Start anew for tasks whose stage has changed: they have `patience` rounds to improve again."""
        for tasks in (grown, shrunk):
            self.stagnant[tasks] = 0
            self.unused[tasks] = 0
        self.waiting[grown] = True
        self.waiting[shrunk] = False

    def as_arrays(self) -> dict[str, Any]:
        """Return copies of the arrays by name."""
        return {name: getattr(self, name).copy() for name in self.__slots__}

    @classmethod
    def from_state(cls, state: State, tasks: int, patience: int) -> RecordHistory:
        """Return what :meth:`as_arrays` gave; ValueError names an array that is missing or does not fit."""
        fresh = cls.fresh(tasks, patience).as_arrays()
        check_state("a community's growth history", state, [name for name in fresh if name not in _LATER])
        state, arrays = {**{name: fresh[name] for name in _LATER}, **state}, {}
        for name, empty in fresh.items():
            arrays[name] = check_array(name, state[name], empty.dtype.type, empty.shape)
        episodes, successes = (arrays[name] for name in _LATER)
        if not (np.isfinite(episodes) & (successes >= 0) & (successes <= episodes)).all():
            raise ValueError("recent_successes of a community's growth history must be from 0 to recent_episodes")
        for name in ("stagnant", "unused"):
            if (arrays[name] < 0).any():
                raise ValueError(f"{name} of a community's growth history must be at least 0")
        for name in ("best_success", "best_return"):
            if np.isnan(arrays[name]).any():
                raise ValueError(f"{name} of a community's growth history must be a number")
        return cls(**arrays)


def _appended(rounds: Floats, newest: Floats, seen: Flags) -> Floats:
    """Return *rounds* (tasks, patience) without the oldest and with the *newest*, for tasks that were *seen*."""
    return np.where(seen[:, None], np.concatenate([rounds[:, 1:], newest[:, None]], axis=1), rounds)


def _risen(estimate: Estimate, best: Floats, confidence: float) -> tuple[Flags, Floats]:
    """Return whether the lower bound of *estimate* has risen above *best*, and that bound."""
    bound = estimate.mean - confidence * estimate.error
    return bound > best + _LEAST * estimate.error, bound


def _fallen(estimate: Estimate, best: Floats, confidence: float) -> Floats:
    """Return *best*, or the upper bound of *estimate* if that is lower; NaN is no bound."""
    return np.asarray(np.fmin(best, estimate.mean + max(confidence, 1.0) * estimate.error))
