"""Local search and optimal mixing of several solutions side by side: each step asks for all of them at once."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from genoevo._types import Ints, Words
from genoevo.algorithms.solutions import Answer, Solutions
from genoevo.evolution.pending import Pending

Steps = Generator[Pending, Answer, Solutions]
_ONE = np.uint64(1)


def climb(start: Solutions, rng: np.random.Generator) -> Steps:
    """Improve each solution by single flips until none is better: first-improvement hill climbing.

    A pass flips the bits of a solution in random order and keeps a flip that is strictly better. Bits that were tried
    since the last improvement are left out. There is another pass if the last one improved the solution.

    Source: Goldman and Punch 2014, Parameter-less population pyramid.
    """
    words, merit, numbers = start.words.copy(), start.merit.copy(), start.numbers.copy()
    places = np.arange(int(start.lengths.max()))
    order = np.zeros((len(start), len(places)), dtype=np.int64)
    tried = np.zeros(order.shape, dtype=np.bool_)  # by bit
    due = np.zeros(order.shape, dtype=np.bool_)  # by place in the order of the present pass
    improved = np.ones(len(start), dtype=np.bool_)
    rows = np.arange(len(start))
    while True:
        at = due[rows].argmax(axis=1)
        ended = ~due[rows, at]
        if ended.any():
            again, rows = rows[ended & improved[rows]], rows[~ended | improved[rows]]
            if not len(rows):
                return Solutions(words, start.lengths, merit, numbers, start.weight)
            for row in again:
                bits = rng.permutation(start.lengths[row])
                order[row, : len(bits)], due[row, : len(bits)] = bits, ~tried[row, bits]
            improved[again] = False
            continue
        bits = order[rows, at]
        changed = words[rows]
        changed[np.arange(len(rows)), bits >> 6] ^= _ONE << (bits & 63).astype(np.uint64)
        current = Solutions(words, start.lengths, merit, numbers, start.weight)
        answer = yield current.children(changed, rows)
        due[rows, at], tried[rows, bits] = False, True
        better = answer.merit > merit[rows]
        if better.any():
            risen = rows[better]
            words[risen], merit[risen] = changed[better], answer.merit[better]
            numbers[risen], improved[risen] = answer.numbers[better], True
            tried[risen] = False
            tried[risen, bits[better]] = True
            due[risen] = (places > at[better][:, None]) & (places < start.lengths[risen][:, None])


def mix(
    start: Solutions, donors: Solutions, clusters: Words, rng: np.random.Generator, *, until_different: bool
) -> Steps:
    """Copy, cluster by cluster, the bits of a random donor into each solution, and keep them unless they are worse.

    Parameters
    ----------
    start, donors
        The solutions to improve, and where their bits come from.
    clusters
        (C, W) uint64: a mask of bits for each cluster, in the order of use, within every solution's length.
    rng
        The source of all randomness.
    until_different
        True: the donor is one that differs from the solution in the cluster, if there is any, as P3 has it. False: it
        is any; if it does not differ, nothing is evaluated, as LTGA has it.

    Notes
    -----
    Source: Thierens and Bosman 2011, Optimal mixing evolutionary algorithms; Goldman and Punch 2014.

    """
    words, merit, numbers = start.words.copy(), start.merit.copy(), start.numbers.copy()
    choose = _different if until_different else _any
    for cluster in clusters:
        rows, chosen = choose(words, donors.words, cluster, rng)
        if not len(rows):
            continue
        changed = words[rows] ^ ((words[rows] ^ donors.words[chosen]) & cluster)
        current = Solutions(words, start.lengths, merit, numbers, start.weight)
        answer = yield current.children(changed, rows, donors.numbers[chosen])
        kept = answer.merit >= merit[rows]
        rows = rows[kept]
        words[rows], merit[rows], numbers[rows] = changed[kept], answer.merit[kept], answer.numbers[kept]
    return Solutions(words, start.lengths, merit, numbers, start.weight)


def _different(words: Words, donors: Words, cluster: Words, rng: np.random.Generator) -> tuple[Ints, Ints]:
    # The rows for which a donor differs in the cluster, and one such donor of each.
    differs = np.any((words[:, None] ^ donors) & cluster, axis=2)
    rows = np.flatnonzero(np.any(differs, axis=1))
    if not len(rows):
        return rows, rows
    upto = differs[rows].cumsum(axis=1)
    wanted = (rng.random(len(rows)) * upto[:, -1]).astype(np.int64)
    return rows, (upto > wanted[:, None]).argmax(axis=1)


def _any(words: Words, donors: Words, cluster: Words, rng: np.random.Generator) -> tuple[Ints, Ints]:
    chosen = rng.integers(0, len(donors), len(words))
    rows = np.flatnonzero(((words ^ donors[chosen]) & cluster).any(axis=1))
    return rows, chosen[rows]
