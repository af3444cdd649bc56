"""Where a run's wall time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

CATEGORIES = ("simulator", "transport", "acting", "replay", "learning", "evolving", "checkpointing", "idle")


class Clock:
    """Seconds by category; what no category claims is idle. ``seconds`` survives resuming."""

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds = dict.fromkeys(CATEGORIES, 0.0) | (seconds or {})
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
        """Seconds by category, an open block's among them and the unclaimed as ``idle``; they sum to :attr:`wall`."""
        seconds = self._up_to_now()
        seconds["idle"] += max(self.wall - sum(seconds.values()), 0.0)
        return seconds

    def _up_to_now(self) -> dict[str, float]:
        seconds = dict(self.seconds)
        if self._open is not None:
            category, began = self._open
            seconds[category] += time.perf_counter() - began
        return seconds
