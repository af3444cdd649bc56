"""JSON values: what a file gives back equal to what was saved, or a refusal before it is saved."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

import numpy as np

from genoevo._check import shown

_LEAVES = str, bool, int, float


def json_leaf(name: str, value: Any) -> Any:
    """Return *value*, which is not a list or dict, as JSON gives it back; TypeError, which names *name*, if it can't.

    A number of numpy becomes one of Python, an enumeration its value, a path its text, and a value of a derived type
    one of its plain type.
    """
    if isinstance(value, np.generic | Enum):
        return json_leaf(name, value.value if isinstance(value, Enum) else value.item())
    if isinstance(value, os.PathLike):
        return json_leaf(name, os.fspath(value))
    for kind in _LEAVES:
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    raise TypeError(f"{name} is {shown(value)}: a {type(value).__name__} is not JSON serializable")


def json_key(name: str, key: Any) -> str:
    """Return the key of a dict; TypeError unless it is text: JSON would make text of it.

    Of an enumeration it is the value.
    """
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"the keys of {name} must be text, got {shown(key)}")
    return str(key)


def json_value(name: str, value: Any) -> Any:
    """Return *value* as JSON gives it back, with arrays and tuples as lists.

    Raises TypeError for what JSON does not have, and ValueError for NaN, which is not equal to itself, and for what
    holds itself.
    """
    try:
        return _json_value(name, value)
    except RecursionError:
        raise ValueError(f"{name} holds itself, or lists and dicts too deep in one another") from None


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {json_key(name, key): _json_value(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(f"{name}.{place}", item) for place, item in enumerate(value)]
    leaf = json_leaf(name, value)
    if leaf != leaf:
        raise ValueError(f"{name} must not be NaN, which is not equal to itself")
    return leaf
