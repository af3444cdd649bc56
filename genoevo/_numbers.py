"""Numbers from outside: what a user's function or array holds, taken as it is or refused, never cast.

Text is not a number even if it looks like one, nor are dates, complex numbers and None.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genoevo._check import shown
from genoevo._types import AnyArray, Flags, Floats, Ints

_REAL = "biuf"
"""The kinds of numpy's real numbers and truth values."""


def as_floats(name: str, value: object) -> Floats:
    """Return *value* as an array of float64, of its own shape.

    Taken are numbers and truth values of Python and numpy, whatever else has a ``__float__``, tensors (of any
    device, also those that require a gradient), and arrays and sequences of these. A masked element is NaN.
    Raises ValueError, which names *name*, for anything else, and for a whole number too large for a float.
    """
    try:
        return _floats(value)
    except Exception as error:  # an object's own conversion may raise anything
        raise ValueError(f"{name} must be numbers, got {shown(value)}") from error


def _floats(value: Any) -> Floats:
    if type(value) is float or (type(value) is np.ndarray and value.dtype == np.float64):
        return np.asarray(value)  # what most functions return, at once
    if callable(getattr(value, "detach", None)):  # a tensor
        value = value.detach().tolist()
    try:
        array = np.asarray(value)
    except Exception:
        if not isinstance(value, list | tuple):
            raise
        return np.array([_floats(item) for item in value])  # such as a tuple of tensors that require a gradient
    if array.dtype.kind == "O":
        return np.array([_number(item) for item in array.flat]).reshape(array.shape)
    if array.dtype.kind not in _REAL:
        raise ValueError(f"{array.dtype} is not a type of real numbers")
    with np.errstate(over="ignore"):  # of a longer float: an infinity
        floats = array.astype(np.float64, copy=False)
    return np.where(np.ma.getmaskarray(value), np.nan, floats) if np.ma.isMaskedArray(value) else floats


def _number(item: Any) -> float:
    if hasattr(item, "dtype") or hasattr(item, "detach"):
        return _floats(item).item()
    if not hasattr(type(item), "__float__"):
        raise ValueError(f"{shown(item)} is not a number")
    return float(item)  # may be too large


def as_array(name: str, value: object) -> AnyArray:
    """Return *value* as an array; ValueError, which names *name*, if its rows differ in length or it refuses."""
    try:
        return np.asarray(value)
    except Exception as error:  # an object's own conversion may raise anything
        raise ValueError(f"{name} must be an array, got {shown(value)}") from error


def are_bits(array: AnyArray) -> bool:
    """Return whether *array* holds zeros and ones, as numbers or truth values, and nothing else."""
    return array.dtype.kind in _REAL and bool(((array == 0) | (array == 1)).all())


def as_lengths(name: str, value: object, shape: tuple[int, ...] | None = None) -> Ints:
    """Return *value* as int64 of *shape* (None: its own); ValueError unless it is whole numbers of that shape."""
    array = as_array(name, value)
    if array.dtype.kind not in "iu" or (shape is not None and array.shape != shape):
        expected = "" if shape is None else f" of shape {shape}"
        raise ValueError(f"{name} must be whole numbers{expected}, got {shown(value)}")
    return array.astype(np.int64, copy=False)


def as_weights(name: str, value: object) -> tuple[float, ...]:
    """Return the weights of objectives; ValueError unless *value* is a sequence of finite numbers, at least one."""
    try:
        weights = as_floats(name, value)
    except ValueError:
        weights = np.empty(0)
    if weights.ndim != 1 or not weights.size or not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite numbers, at least one, got {shown(value)}")
    return tuple(weights.tolist())


def all_or_none(missing: Flags) -> bool:
    """Return whether each row of (n, k) flags is all true or all false."""
    return bool((missing.any(axis=1) == missing.all(axis=1)).all())
