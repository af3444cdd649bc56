"""Validators whose messages name the argument, the allowed values and the given one."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real

import numpy as np


def shown(value: object) -> str:
    """Return the repr of *value* in one line of at most 80 characters, or its type if its repr raises."""
    if type(value) is int and value.bit_length() > 1000:  # Python writes no number of thousands of digits
        return f"an int of {value.bit_length():,} bits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever an object's own method raises
        return f"a {type(value).__name__} without a repr"
    return text if len(text) <= 80 else f"{text[:80]}..."


def is_number(value: object) -> bool:
    """Return whether *value* is a real number of Python or numpy, not a bool."""
    if type(value) is int or type(value) is float:  # most are, and the other way is slow
        return True
    return isinstance(value, Real) and not isinstance(value, bool)  # numpy's numbers are registered


def check_number(name: str, value: object) -> None:
    """Raise ValueError unless *value* is a real number, not a bool and not NaN."""
    if not is_number(value) or value != value:
        raise ValueError(f"{name} must be a number, got {shown(value)}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless *value* is a number, not a bool, and ``low <= value <= high``."""
    if not is_number(value) or not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, got {shown(value)}")


def check_at_least(name: str, value: float, low: float) -> None:
    """Raise ValueError unless *value* is a number, not a bool, and ``value >= low``."""
    if not is_number(value) or not value >= low:
        raise ValueError(f"{name} must be at least {low:g}, got {shown(value)}")


def is_whole(value: object) -> bool:
    """Return whether *value* is a whole number of Python or numpy, not a bool."""
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def check_integer(name: str, value: object) -> None:
    """Raise ValueError unless *value* is a whole number, not a bool."""
    if not is_whole(value):
        raise ValueError(f"{name} must be a whole number, got {shown(value)}")


def check_count(name: str, value: int, low: int) -> None:
    """Raise ValueError unless *value* is a whole number, not a bool, and at least *low*."""
    check_integer(name, value)
    check_at_least(name, value, low)


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise ValueError unless *value* is a whole number, not a bool, in [*low*, *high*] (None: no bound)."""
    if not is_whole(value) or value < low or (high is not None and value > high):  # type: ignore[operator]
        allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {allowed}, got {shown(value)}")


def check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise ValueError unless *value* is one of *allowed*."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}, got {shown(value)}")


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless *value* is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")


def check_type(name: str, value: object, kind: type) -> None:
    """Raise TypeError unless *value* is an instance of *kind*."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be of type {kind.__name__}, got {shown(value)}")


def check_callable(name: str, value: object) -> None:
    """Raise TypeError unless *value* can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {shown(value)}")


def check_generator(rng: object) -> None:
    """Raise TypeError unless *rng* is a ``numpy.random.Generator``."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
