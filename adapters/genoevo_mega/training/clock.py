"""The categories of a training run's wall time."""

from __future__ import annotations

from genoevo_runs.clock import IDLE, Clock

CATEGORIES = ("simulator", "transport", "acting", "replay", "learning", "evolving", "checkpointing", IDLE)


def training_clock(seconds: dict[str, float] | None = None) -> Clock:
    """Return the clock of a new run, or of one that took *seconds* by category before."""
    return Clock(CATEGORIES, seconds)
