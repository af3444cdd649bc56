"""The values that environments return, checked: those of another type or shape are refused, never cast.

The functions here are the only ones that call ``reset``, ``step`` and ``render`` of an environment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import DrawnEnvironment, TaskEnvironment
from genoevo_runs.arrays import Floats
from genoevo_runs.errors import abbreviated

_SEQUENCES = (tuple, list)
_NUMBERS, _FLAGS = (float, int, np.floating, np.integer), (bool, np.bool_)
_LARGEST = float(np.finfo(np.float32).max)
_RETURNS = "expected 4 values: observation, reward, terminated, success"
_GYM = "that looks like the info of gym's step(), which is not part of a task"
_GYMNASIUM = "that looks like gymnasium's step(), whose truncated and info are not part of a task"


class WrongValueError(Exception):
    """A value of an environment of another type or shape; the message names method, value and what is allowed."""


def reset(environment: TaskEnvironment, goal: int, *, evaluation: bool, size: int) -> npt.NDArray[Any]:
    """Start an episode; return its first observation, real numbers (size,)."""
    return observation("reset", environment.reset(goal, evaluation=evaluation), (size,))


def step(environment: TaskEnvironment, action: Floats, size: int) -> tuple[npt.NDArray[Any], float, bool, bool]:
    """Make a step; return the observation, real numbers (size,), reward, terminated and success.

    Raises
    ------
    WrongValueError
        For a value of another type or shape.
    FloatingPointError
        For a reward that is not finite, as float32.

    """
    returned = environment.step(action)
    if not isinstance(returned, _SEQUENCES) or len(returned) != 4:
        hint = f" ({_GYMNASIUM})" if isinstance(returned, _SEQUENCES) and len(returned) == 5 else ""
        raise WrongValueError(f"step() returned {described(returned)}; {_RETURNS}{hint}")
    seen, reward, terminated, success = returned
    array = observation("step", seen, (size,))
    number("step() returned reward", reward)
    flag("step() returned terminated", terminated)
    flag("step() returned success", success, f" ({_GYM})" if isinstance(success, dict) else "")
    if not -_LARGEST <= reward <= _LARGEST:
        raise FloatingPointError(f"the reward is {abbreviated(reward)}")
    return array, reward, terminated, success


def picture(environment: DrawnEnvironment) -> npt.NDArray[np.uint8]:
    """Return a picture of the present state, (height, width, 3) uint8; WrongValueError for anything else."""
    value = environment.render()
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
        raise WrongValueError(f"render() returned {described(value)}; expected a uint8 array (height, width, 3)")
    return value


def number(name: str, value: Any) -> None:
    """Raise WrongValueError unless *value* is a real number, of Python or a numpy scalar; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise WrongValueError(f"{name} = {described(value)}; expected a number")


def flag(name: str, value: Any, hint: str = "") -> None:
    """Raise WrongValueError unless *value* is True or False, of Python or numpy."""
    if not isinstance(value, _FLAGS):
        raise WrongValueError(f"{name} = {described(value)}; expected True or False{hint}")


def observation(method: str, value: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return the observation that *method* gave as an array; WrongValueError unless it is real numbers of *shape*."""
    try:
        array = np.asarray(value)
    except ValueError:  # a tuple or list of things of different shapes
        array = np.empty((), object)
    if array.dtype.kind not in "fiub" or array.shape != shape:
        pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)
        hint = " (that looks like gymnasium's reset(), whose info is not part of a task)" if pair else ""
        raise WrongValueError(
            f"{method}() returned the observation {described(value)}; expected numbers of shape {shape}{hint}"
        )
    return array


def described(value: Any) -> str:
    """Return the type of a value, with its shape or with a short value, for a message."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    if isinstance(value, tuple | list) and len(value) <= 6:
        return f"{type(value).__name__} of {len(value)} ({', '.join(map(_kind, value))})"
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return f"{abbreviated(value)} ({type(value).__name__})"
    return _kind(value)


def _kind(value: Any) -> str:
    return described(value) if isinstance(value, np.ndarray) else type(value).__name__
