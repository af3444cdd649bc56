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
        self._claimed = sum(self.seconds.values())
        self._began = time.perf_counter() - self._claimed

    @contextmanager
    def __call__(self, category: str) -> Iterator[None]:
        """Claim the time of a block."""
        began = time.perf_counter()
        yield
        self.claim(category, time.perf_counter() - began)

    def claim(self, category: str, seconds: float) -> None:
        """Claim *seconds* that passed."""
        self.seconds[category] += seconds
        self._claimed += seconds

    @property
    def wall(self) -> float:
        """Seconds since the run began, pauses between resumes not counted."""
        return time.perf_counter() - self._began

    def snapshot(self) -> dict[str, float]:
        """Seconds by category, the unclaimed as ``idle``; they sum to :attr:`wall`."""
        return {**self.seconds, "idle": self.seconds["idle"] + max(self.wall - self._claimed, 0.0)}
