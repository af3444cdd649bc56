"""A round of a community whose genotypes keep a record of their episodes.

1. The elite of a task goes only if another genotype's record is better by more than its noise.
2. A genotype that is clearly worse than the elite is replaced by the best candidate; any other but the elite only if
   a candidate's score is better by the inertia.
3. Stages change by the growth rule, from the record of the task.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo._types import Flags, Floats, Ints, Origins
from genoevo.community.fitness import Estimate, FitnessRecord
from genoevo.community.settings import Selection


@dataclass(frozen=True, slots=True)
class RecordRound:
    """The result of one round. Arrays are (tasks, size) and count within a task's evaluated population.

    ``success``, ``relative_return``: the record of each genotype. ``age``: rounds with an episode. ``surrogate``: the
    score without episodes of each in the round before, NaN for none. ``elites`` (tasks,): the elite of each task.
    ``rejected``: genotypes that are clearly worse than the elite. ``kept`` (tasks,): the number of genotypes that
    stay. ``overlap``: the mean overlap between the elites of two tasks
    (:func:`~genoevo.community.overlap.mean_overlap`). ``grown``, ``shrunk``: task indices, and ``settled`` those of
    tasks whose frontier has changed. ``parents``, ``origins``: as in :class:`~genoevo.community.round.Round`; a
    genotype that stays is its own parent, of origin -1.
    """

    success: Estimate
    relative_return: Estimate
    age: Ints
    surrogate: Floats
    effective_modules: Ints
    elites: Ints
    rejected: Flags
    kept: Ints
    overlap: float
    grown: list[int]
    shrunk: list[int]
    settled: list[int]
    parents: Ints
    origins: Origins

    @property
    def survived(self) -> Flags:
        """Whether the elite of each task was its elite before, (tasks,) bool."""
        return np.asarray(self.elites == 0)

    @property
    def scores(self) -> Floats:
        """The success rate of each genotype's record, (tasks, size)."""
        return self.success.mean

    @property
    def restored(self) -> list[int]:
        """No task is rolled back: an elite stays until another is better."""
        return []


def choose_elites(record: FitnessRecord, used: Ints, rule: Selection) -> Ints:
    """Return the place of each task's elite, (tasks,): 0, the present one, unless another is better."""
    tasks, size = used.shape
    elites = np.zeros(tasks, np.int64)
    for place in range(1, size):
        challenger = np.full(tasks, place)
        elites = np.where(record.better(challenger, elites, used, rule), challenger, elites)
    return elites


def rejections(record: FitnessRecord, size: int, rule: Selection) -> Flags:
    """Return which of the first *size* genotypes of each task are clearly worse than its elite, the first of them.

    (tasks, size) bool.
    """
    return np.stack([record.clearly_worse(place, rule) for place in range(size)], axis=1)


def replacements(scores: Floats, rejected: Flags, inertia: float) -> Ints:
    """Return which candidates form the next generation, (tasks, size) places among them.

    *scores* (tasks, n) begin with the task's present genotypes, the elite first, which stays. *rejected*
    (tasks, size) marks genotypes that go whatever their score. A candidate whose score is -inf takes no place.
    """
    tasks, size = rejected.shape
    rows = np.tile(np.arange(size), (tasks, 1))
    for task in range(tasks):
        children = [c for c in size + np.argsort(scores[task, size:], kind="stable") if scores[task, c] > -np.inf]
        # Those that must go come first, then the others from the lowest score.
        for place in sorted(range(1, size), key=lambda p: (not rejected[task, p], scores[task, p])):
            better = children and scores[task, children[-1]] > scores[task, place] + inertia
            if children and (rejected[task, place] or better):
                rows[task, place] = children.pop()
    return rows
