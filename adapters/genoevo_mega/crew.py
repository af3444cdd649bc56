"""Threads that share one piece of work, each a part of it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

_SMALLEST_PART = 32
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


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


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for reuse.

    By default glibc returns large blocks to the system, and every update then takes its memory anew, page by page: a
    tenth of its time. Without glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**31 - 1)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 1)  # other arenas give back whole heaps all the same
