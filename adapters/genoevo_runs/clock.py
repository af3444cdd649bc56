"""Where a run's wall time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

IDLE = "idle"
"""The category of the time that no other claims."""


class Clock:
    """Seconds by category.

    Parameters
    ----------
    categories
        Their names, :data:`IDLE` among them.
    seconds
        Those of a run before it was interrupted; None for a new run.

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
        """Claim *seconds* that passed."""
        self.seconds[category] += seconds

    @property
    def wall(self) -> float:
        """Seconds since the run began, pauses between resumes not counted."""
        return time.perf_counter() - self._began

    def snapshot(self) -> dict[str, float]:
        """Seconds by category, an open block's among them; they sum to :attr:`wall`."""
        seconds = self._up_to_now()
        seconds[IDLE] += max(self.wall - sum(seconds.values()), 0.0)
        return seconds

    def _up_to_now(self) -> dict[str, float]:
        seconds = dict(self.seconds)
        if self._open is not None:
            category, began = self._open
            seconds[category] += time.perf_counter() - began
        return seconds
