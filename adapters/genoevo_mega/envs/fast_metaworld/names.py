"""A copy of a task's class, with substitutes for some of the names that its functions call.

Meta-World's rewards are the code of 50 tasks. They call ``np.linalg.norm``, ``reward_utils.tolerance`` and scipy's
``Rotation``. Each function is copied with other globals, so that it calls
:mod:`genoevo_mega.envs.fast_metaworld.numbers` instead. The code of the functions stays Meta-World's.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
from metaworld.utils import reward_utils

from genoevo_mega.envs.fast_metaworld import numbers

_SUBSTITUTES: dict[str, Any] = {
    "np": types.SimpleNamespace(
        **{**vars(np), "linalg": types.SimpleNamespace(**{**vars(np.linalg), "norm": numbers.norm})}
    ),
    "reward_utils": types.SimpleNamespace(**{**vars(reward_utils), "tolerance": numbers.tolerance}),
    "tolerance": numbers.tolerance,
    "Rotation": numbers.Rotation,
}


def with_substitutes(cls: type, base: type) -> type:
    """Return a subclass of *cls* and *base* with the name of *cls*; its copies of functions use the substitutes."""
    made = type(cls.__name__, (cls, base), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})
    # Static functions are called through the name of the class.
    found: dict[str, Any] = cls.__init__.__globals__  # type: ignore[misc]
    names = {name: made if value is cls else _SUBSTITUTES.get(name, value) for name, value in found.items()}
    for name, value in vars(cls).items():
        if isinstance(value, staticmethod):
            setattr(made, name, staticmethod(_copy(value.__func__, names)))
        elif isinstance(value, types.FunctionType) and name != "__init__":
            setattr(made, name, _copy(_undecorated(value), names))
    return made


def _undecorated(function: types.FunctionType) -> types.FunctionType:
    # assert_task_is_set wraps a function in one called inner; our tasks are always set.
    if function.__name__ == "inner" and function.__closure__:
        inner: types.FunctionType = function.__closure__[0].cell_contents
        return inner
    return function


def _copy(function: Any, names: dict[str, Any]) -> types.FunctionType:
    made = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made
