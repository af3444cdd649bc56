"""A pool of threads that share one piece of work."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")


def useful_threads(threads: int, rows: int, smallest: int, at_once: int = 1) -> int:
    """Return how many of *threads* can share an update with a batch of *rows*: each has at least *smallest* rows.

    Of *at_once* losses each has all rows.
    """
    if threads < at_once:
        return 1
    return at_once * max(1, min(threads // at_once, rows // smallest))


class ShardPool:
    """A pool that runs one function on several shards at once, the first of them in the calling thread.

    torch releases Python's lock while it computes. Shards are long, so that threads wait for one another a few times
    per update. torch's own threads do so at every operation, which is slow if another process uses the cores.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # torch gives its number of threads to a new thread when that first asks. BLAS, called directly, does not ask,
        # and would take all cores.
        self._pool = ThreadPoolExecutor(size - 1, "learner", torch.get_num_threads) if size > 1 else None

    def meanwhile(
        self, one: Callable[[Callable[[], None]], Result], other: Callable[[], Other]
    ) -> tuple[Result, Other]:
        """Return the results of both functions.

        *one* gets a function that begins *other* in another thread. It calls that when it leaves Python's lock alone
        for long: two threads that both want the lock wait for one another longer than they compute. If it never does,
        or there is one thread, *other* follows.
        """
        calls, begun = itertools.count(), []

        def begin() -> None:  # several shards may call it
            if self._pool and next(calls) == 0:
                begun.append(self._pool.submit(other))

        try:
            result = one(begin)
        finally:
            wait(begun)
        return result, begun[0].result() if begun else other()

    def map(self, function: Callable[[Item], Result], shards: Sequence[Item]) -> list[Result]:
        """Return the results in the order of *shards*, of which there are at most :attr:`size`."""
        others = [self._pool.submit(function, shard) for shard in shards[1:]] if self._pool else []
        try:
            first = function(shards[0])
        finally:  # no shard outlives the call
            wait(others)
        return [first, *(other.result() for other in others)]
