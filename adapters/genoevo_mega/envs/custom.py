"""Suites from outside this package: gymnasium's environments, and your own code, imported by name.

``gymnasium:Pendulum-v1,MountainCarContinuous-v0`` names tasks of gymnasium. ``mypackage.mysuite:make`` names a
callable. It is called as ``make(seed=..., goals=...)`` and returns a :class:`~genoevo_mega.envs.suite.Suite`.
:mod:`genoevo_runs.user_code` says which code may be imported.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any

from genoevo_mega.config.code import GYMNASIUM, gymnasium_ids, is_code
from genoevo_mega.envs.space import TaskSpace
from genoevo_mega.envs.suite import Suite
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError


def is_other(name: str) -> bool:
    """Return whether :func:`make_other` makes the suite called *name*."""
    return ":" in name


def make_other(name: str, seed: int, goals: int) -> Suite:
    """Return the suite that *name* names.

    Raises ConfigError, with a message of one line, if making the suite fails or the object does not fit
    :class:`~genoevo_mega.envs.suite.Suite`.
    """
    if name.startswith(GYMNASIUM):
        from genoevo_mega.envs.gymnasium import GymnasiumSuite

        return GymnasiumSuite.of(gymnasium_ids(name), seed, goals)
    if not is_code(name):
        raise ConfigError(f"suite = {name!r}: must be gymnasium:ID,ID or package.module:callable")
    make = user_code.imported("suite", name)
    try:
        suite: Suite = make(seed=seed, goals=goals)
        problem = _problem(suite)
    except Exception as error:
        raise ConfigError(
            f"suite = {name!r}: calling it with seed and goals failed: {user_code.line(error)}"
        ) from error
    if problem:
        raise ConfigError(f"suite = {name!r}: the returned object {problem}; see docs/tutorials/suite.rst")
    return suite


def _problem(suite: Any) -> str:
    """Return how an object violates the protocol of a suite, or an empty string."""
    names = getattr(suite, "names", None)
    if not _sequence_of(names, str) or not names or len(set(names)) < len(names):
        return f"must have names, a tuple of distinct strings, got {names!r}"
    for name in ("observation_size", "action_size", "goals"):
        value = getattr(suite, name, None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"must have {name}, a whole number above 0, got {value!r}"
    costs = getattr(suite, "costs", None)
    if (
        not _sequence_of(costs, (int, float))
        or len(costs) != len(names)
        or not all(0 < one < math.inf and one is not True for one in costs)
    ):
        return f"must have costs, a number above 0 for each of its {len(names)} tasks, got {costs!r}"
    used, allowed = getattr(suite, "action_dimensions", None), range(1, suite.action_size + 1)
    if used is not None and not (
        _sequence_of(used, int) and len(used) == len(names) and all(n in allowed and n is not True for n in used)
    ):
        return (
            f"must have action_dimensions, from 1 to {suite.action_size} for each of its {len(names)} tasks, "
            f"or none, got {used!r}"
        )
    spaces = getattr(suite, "spaces", None)
    if spaces is not None and (not _sequence_of(spaces, TaskSpace) or len(spaces) != len(names)):
        return f"must have spaces, a TaskSpace for each of its {len(names)} tasks, or none, got {spaces!r}"
    if not callable(getattr(suite, "make", None)):
        return "must have a method make(task)"
    try:
        pickle.dumps(suite)
    except Exception as error:
        return f"must be picklable, for worker processes: {user_code.line(error)}"
    return ""


def _sequence_of(value: Any, kind: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, kind) for one in value)
