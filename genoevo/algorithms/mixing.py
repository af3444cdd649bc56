"""Local search and optimal mixing of several solutions side by side: each step asks for all of them at once."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from genoevo._bits import flip_bits
from genoevo._types import Flags, Ints, Words
from genoevo.algorithms.solutions import Answer, Solutions
from genoevo.evolution.pending import Pending

Steps = Generator[Pending, Answer, Solutions]
_FEW_PAIRS = 4_096  # of a solution and a donor: up to so many, to compare all is as fast as to draw
_MOST_PAIRS = 1 << 20  # compared at once
_TRIES = 4


def climb(start: Solutions, rng: np.random.Generator) -> Steps:
    """Improve each solution by single flips until none is better: first-improvement hill climbing.

    A pass flips the bits of a solution in random order and keeps a flip that is strictly better. Bits that were tried
    since the last improvement are left out. There is another pass if the last one improved the solution.

    Source: Goldman and Punch 2014, Parameter-less population pyramid.
    """
    words, merit, numbers = start.words.copy(), start.merit.copy(), start.numbers.copy()
    current = Solutions(words, start.lengths, merit, numbers, start.weight)  # changes with the arrays
    places = np.arange(int(start.lengths.max()))
    order = np.zeros((len(start), len(places)), dtype=np.int64)  # bits of the present pass
    tried = np.zeros(order.shape, dtype=np.bool_)  # by bit
    due = np.zeros_like(order)  # places in the order whose bits the pass tries, from *turn* to *last*
    turn, last = np.zeros(len(start), dtype=np.int64), np.zeros(len(start), dtype=np.int64)
    improved = np.ones(len(start), dtype=np.bool_)
    rows = np.arange(len(start))
    while True:
        turns = turn[rows]
        ended = turns >= last[rows]
        if np.count_nonzero(ended):  # half as long as any()
            again, rows = rows[ended & improved[rows]], rows[~ended | improved[rows]]
            if not len(rows):
                return current
            bits, exists = _shuffled(start.lengths[again], len(places), rng)
            untried = exists & ~tried[again[:, None], bits]
            order[again], due[again] = bits, np.argsort(~untried, axis=1, kind="stable")
            turn[again], last[again], improved[again] = 0, untried.sum(axis=1), False
            continue
        at = due[rows, turns]
        bits = order[rows, at]
        changed = words.take(rows, axis=0)
        flip_bits(changed, np.arange(len(rows)), bits)
        answer = yield current.children(changed, rows)
        turn[rows], tried[rows, bits] = turns + 1, True
        better = answer.merit > merit[rows]
        if np.count_nonzero(better):
            risen = rows[better]
            words[risen], merit[risen] = changed[better], answer.merit[better]
            numbers[risen], improved[risen] = answer.numbers[better], True
            tried[risen] = False
            tried[risen, bits[better]] = True
            due[risen], turn[risen], last[risen] = places, at[better] + 1, start.lengths[risen]


def _shuffled(lengths: Ints, most: int, rng: np.random.Generator) -> tuple[Ints, Flags]:
    """Return the bits of each row in a random order, (n, most), and where there is one: less than *most* may be."""
    places = np.arange(most)
    if (lengths == most).all():
        bits = rng.permuted(np.tile(places, (len(lengths), 1)), axis=1)  # draws what permutation() draws
        return bits, np.ones(bits.shape, dtype=np.bool_)
    bits = np.zeros((len(lengths), most), dtype=np.int64)
    for row, length in zip(bits, lengths.tolist(), strict=True):
        row[:length] = rng.permutation(length)
    return bits, places < lengths[:, None]


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
    current = Solutions(words, start.lengths, merit, numbers, start.weight)  # changes with the arrays
    choose = _different if until_different else _any
    for cluster in clusters:
        rows, chosen = choose(words, donors.words, cluster, rng)
        if not len(rows):
            continue
        own = words.take(rows, axis=0)  # a third of the time of words[rows]
        changed = own ^ ((own ^ donors.words.take(chosen, axis=0)) & cluster)
        answer = yield current.children(changed, rows, donors.numbers[chosen])
        kept = answer.merit >= merit[rows]
        rows = rows[kept]
        words[rows], merit[rows], numbers[rows] = changed[kept], answer.merit[kept], answer.numbers[kept]
    return current


def _different(words: Words, donors: Words, cluster: Words, rng: np.random.Generator) -> tuple[Ints, Ints]:
    # The rows for which a donor differs in the cluster, and one such donor of each. Of few pairs all are compared. Of
    # many, donors are drawn until one differs, which is the same distribution, and the rows that are left compared.
    used = cluster.nonzero()[0]
    own, theirs = words[:, used] & cluster[used], donors[:, used] & cluster[used]
    if len(own) * len(theirs) <= _FEW_PAIRS:
        return _compared(np.arange(len(own)), own, theirs, rng)
    if (theirs == theirs[0]).all():
        rows = np.flatnonzero((own != theirs[0]).any(axis=1))
        return rows, rng.integers(0, len(theirs), len(rows))
    chosen, left = np.zeros(len(own), dtype=np.int64), np.arange(len(own))
    for _ in range(_TRIES):
        chosen[left] = rng.integers(0, len(theirs), len(left))
        left = left[(own[left] == theirs[chosen[left]]).all(axis=1)]
        if not len(left):
            return np.arange(len(own)), chosen
    found = np.ones(len(own), dtype=np.bool_)
    found[left] = False
    block = max(1, _MOST_PAIRS // len(theirs))
    for first in range(0, len(left), block):
        rows, donors_of = _compared(left[first : first + block], own, theirs, rng)
        found[rows], chosen[rows] = True, donors_of
    rows = np.flatnonzero(found)
    return rows, chosen[rows]


def _compared(rows: Ints, own: Words, theirs: Words, rng: np.random.Generator) -> tuple[Ints, Ints]:
    differs = np.zeros((len(rows), len(theirs)), dtype=np.bool_)
    for word, others in zip(own[rows].T, theirs.T, strict=True):  # one by one: any() of few words is slow
        differs |= word[:, None] != others
    some = np.flatnonzero(differs.any(axis=1))
    if not len(some):
        return some, some
    upto = differs[some].cumsum(axis=1)
    wanted = (rng.random(len(some)) * upto[:, -1]).astype(np.int64)
    return rows[some], (upto > wanted[:, None]).argmax(axis=1)


def _any(words: Words, donors: Words, cluster: Words, rng: np.random.Generator) -> tuple[Ints, Ints]:
    chosen = rng.integers(0, len(donors), len(words))
    differs = np.zeros(len(words), dtype=np.bool_)
    for word in cluster.nonzero()[0]:
        differs |= (words[:, word] ^ donors[:, word].take(chosen)) & cluster[word] != 0
    rows = np.flatnonzero(differs)
    return rows, chosen[rows]
