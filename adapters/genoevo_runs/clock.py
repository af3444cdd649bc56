"""The wall time of a run by category."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

IDLE = "idle"
"""The category of time that no other category claims."""


class Clock:
    """A clock that adds up seconds by category.

    Parameters
    ----------
    categories
        Names, which include :data:`IDLE`.
    seconds
        Seconds by category of a resumed run; None for a new run.

    Attributes
    ----------
    seconds : dict of str to float
        Seconds by category so far, without an open block.

    """

    def __init__(self, categories: Sequence[str], seconds: dict[str, float] | None = None) -> None:
        self.seconds = dict.fromkeys(categories, 0.0) | (seconds or {})
        self._began = time.perf_counter() - sum(self.seconds.values())
        self._open: tuple[str, float] | None = None

    @contextmanager
    def __call__(self, category: str) -> Iterator[None]:
        """Claim the time of a block; blocks do not nest."""
        self._open = category, time.perf_counter()
        try:
            yield
        finally:
            self.seconds = self._up_to_now()
            self._open = None

    def claim(self, category: str, seconds: float) -> None:
        """Claim *seconds* of the past."""
        self.seconds[category] += seconds

    @property
    def wall(self) -> float:
        """Seconds since the run began, without the time between an interruption and resuming."""
        return time.perf_counter() - self._began

    def snapshot(self) -> dict[str, float]:
        """Return seconds by category, with an open block; they sum to :attr:`wall`."""
        seconds = self._up_to_now()
        seconds[IDLE] += max(self.wall - sum(seconds.values()), 0.0)
        return seconds

    def _up_to_now(self) -> dict[str, float]:
        seconds = dict(self.seconds)
        if self._open is not None:
            category, began = self._open
            seconds[category] += time.perf_counter() - began
        return seconds
