"""Who the winning genotypes come from, by first parents, out of the rounds' records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoevo.operators.reproduction import Origin
from genoevo_runs.arrays import Ints


@dataclass(frozen=True)
class Birth:
    """A genotype on a line of descent.

    ``round`` bred it; ``origin`` says how; ``donor`` is the task of the second parent, None where there was none.
    """

    round: int
    origin: Origin
    donor: int | None


def lines_of_descent(survivors: Ints, children: Ints) -> list[list[Birth]]:
    """For each task the births that lead to its present elite, the oldest first.

    The line follows first parents, which are of the task itself, and ends at a fresh genotype or one of the first
    generation. A child of origin -1 is its first parent, unchanged, and no birth.

    Parameters
    ----------
    survivors
        (rounds, tasks): the place, within its population, of the genotype that each round kept as the next first.
    children
        (rounds, tasks, size - 1, 3): [origin, parent, parent] of the next generation's further places; parents are
        rows of all populations together, -1 where there is none.

    """
    if not len(survivors):
        return []
    rounds, tasks, size = len(survivors), survivors.shape[1], children.shape[2] + 1
    every = np.arange(tasks)
    place = np.zeros(tasks, np.int64)  # the elite is the first of its population
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
    """(tasks, tasks): how often the first task's winning line took from the second's population."""
    counts = np.zeros((len(lines), len(lines)), np.int64)
    for task, line in enumerate(lines):
        for birth in line:
            if birth.donor is not None:
                counts[task, birth.donor] += 1
    return counts
