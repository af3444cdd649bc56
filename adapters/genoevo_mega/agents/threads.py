"""Threads that share one piece of work, each a part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

_SMALLEST_PART = 32


def parts_for(threads: int, rows: int) -> int:
    """How many parts so many *threads* make of a batch of *rows*: no part so small that its products are."""
    return max(1, min(threads, rows // _SMALLEST_PART))


class Crew:
    """Runs one function on several parts at once, the first part in the calling thread.

    torch releases Python's lock while it computes. Parts are long, so that threads wait for one another a few times
    per update; torch's own threads do so at every operation, which costs dearly where another process uses the cores.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size - 1, thread_name_prefix="learner") if size > 1 else None

    def __call__(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Results in the order of *parts*; there are at most as many as the crew's size."""
        others = [self._pool.submit(function, part) for part in parts[1:]] if self._pool else []
        return [function(parts[0]), *(other.result() for other in others)]
