"""The descent of the elites by first parents, from the records of the rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo.operators.reproduction import Origin
from genoevo_runs.arrays import Ints


@dataclass(frozen=True)
class Birth:
    """A genotype on a line of descent.

    ``round`` is the round that bred it, ``origin`` the operator, and ``donor`` the task of the second parent, if any.
    """

    round: int
    origin: Origin
    donor: int | None


def lines_of_descent(survivors: Ints, children: Ints) -> list[list[Birth]]:
    """Return for each task the births that lead to its current elite, oldest first.

    A line follows first parents, which belong to the same task. It starts at a fresh genotype or in the initial
    population. A child of origin -1 is an unchanged copy of its first parent, and not a birth.

    Parameters
    ----------
    survivors
        (rounds, tasks): index, within its population, of the genotype that becomes the first of the next.
    children
        (rounds, tasks, size - 1, 3): [origin, parent, parent] of the other genotypes of the next generation. A parent
        is a row of all populations together, or -1.

    """
    if not len(survivors):
        return []
    rounds, tasks, size = len(survivors), survivors.shape[1], children.shape[2] + 1
    every = np.arange(tasks)
    place = np.zeros(tasks, np.int64)  # the elite comes first in its population
    open_lines = np.ones(tasks, np.bool_)
    lines: list[list[Birth]] = [[] for _ in range(tasks)]
    for number in range(rounds - 1, -1, -1):
        born = children[number, every, np.maximum(place - 1, 0)]
        for task in np.flatnonzero((place > 0) & open_lines):
            origin, _, second = born[task].tolist()
            if origin >= 0:
                lines[task].append(Birth(number + 1, Origin(origin), second // size if second >= 0 else None))
            open_lines[task] = origin != Origin.FRESH
        place = np.where(place > 0, born[:, 1] % size, survivors[number])
    return [line[::-1] for line in lines]


def donations(lines: list[list[Birth]]) -> Ints:
    """Return (tasks, tasks): how often the first task's line has a parent from the second's population."""
    counts = np.zeros((len(lines), len(lines)), np.int64)
    for task, line in enumerate(lines):
        for birth in line:
            if birth.donor is not None:
                counts[task, birth.donor] += 1
    return counts
