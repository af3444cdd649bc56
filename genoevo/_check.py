"""Validators whose messages name the argument, the allowed values and the given one."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, got {value!r:.80}")


def check_at_least(name: str, value: float, low: float) -> None:
    """Raise ValueError unless ``value >= low``."""
    if not value >= low:
        raise ValueError(f"{name} must be at least {low:g}, got {value!r:.80}")


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise ValueError unless *value* is a whole number, not a bool, in [*low*, *high*] (None: no bound)."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {allowed}, got {value!r:.80}")


def check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise ValueError unless *value* is one of *allowed*."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}, got {value!r:.80}")


def check_generator(rng: object) -> None:
    """Raise TypeError unless *rng* is a ``numpy.random.Generator``."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
