"""Suites that are not Meta-World: gymnasium's environments, and your own, imported by name.

``gymnasium:Pendulum-v1,MountainCarContinuous-v0`` names gymnasium's tasks. ``mypackage.mysuite:make`` names a
callable that is called as ``make(seed=..., goals=...)`` and returns a :class:`~genoevo_mega.tasks.Suite`. Such a name
is code: who types it has chosen to run it; one that stands in a file has to be allowed, see :func:`check_allowed`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genoevo_mega.errors import ConfigError, UserError
from genoevo_mega.tasks import Suite

ALLOWED = "GENOEVO_ALLOW_SUITE"
"""Environment variable: names of suites, separated by commas, that a run directory may have imported."""
_GYMNASIUM = "gymnasium:"
_CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_code(name: str) -> bool:
    """Whether a suite's name is that of a callable to import."""
    return bool(_CODE.fullmatch(name)) and not name.startswith(_GYMNASIUM)


def is_other(name: str) -> bool:
    """Whether :func:`make_other` makes the suite of that name."""
    return ":" in name


def make_other(name: str, seed: int, goals: int) -> Suite:
    """The suite that *name* names; ConfigError, one line, where it cannot be made or lacks what a suite has."""
    if name.startswith(_GYMNASIUM):
        from genoevo_mega.control import GymnasiumSuite

        return GymnasiumSuite.of(name.removeprefix(_GYMNASIUM).split(","), seed, goals)
    if not is_code(name):
        raise ConfigError(f"suite = {name!r}: must be gymnasium:ID,ID or package.module:callable")
    module, _, attribute = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise ConfigError(f"suite = {name!r}: importing {module} failed: {_line(error)}") from error
    if not callable(make):
        what = "has no" if make is None else "holds no callable under the name"
        raise ConfigError(f"suite = {name!r}: {module} {what} {attribute}")
    try:
        suite = make(seed=seed, goals=goals)
    except Exception as error:
        raise ConfigError(f"suite = {name!r}: calling it with seed and goals failed: {_line(error)}") from error
    if problem := _problem(suite):
        raise ConfigError(f"suite = {name!r}: what it returns {problem}; see docs/suites.rst")
    return suite


def allow(name: str) -> None:
    """Let this process and those it starts import a suite from the working directory, and for a run that names it.

    For a name that the user has typed. Other names are left alone.
    """
    if not is_code(name):
        return
    os.environ[ALLOWED] = ",".join(dict.fromkeys([*_allowed(), name]))
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # last, so that nothing there hides an installed package


def allow_inherited() -> None:
    """In a process that was started where :func:`allow` was called: the same."""
    for name in _allowed():
        allow(name)


def check_allowed(name: str, origin: Path) -> None:
    """UserError unless the code that a run directory or a file names was allowed and lies outside that directory."""
    if not is_code(name):
        return
    if name not in _allowed():
        raise UserError(
            f"{origin} names the suite {name}, which is code; if you trust it, say so with "
            f"--suite {name} or {ALLOWED}={name}"
        )
    top = name.partition(":")[0].partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except ValueError:  # the module in memory was not imported from anywhere
        return
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or [])]
    inside = origin.resolve()
    if any(place and Path(place).resolve().is_relative_to(inside) for place in places):
        raise UserError(f"suite {name}: {top} lies in {origin}, from which no code is run")


def _allowed() -> list[str]:
    return [name for name in os.environ.get(ALLOWED, "").split(",") if name]


def _problem(suite: Any) -> str:
    """What keeps an object from being a suite, or nothing."""
    names = getattr(suite, "names", None)
    if not _sequence_of(names, str) or not names or len(set(names)) < len(names):
        return f"must have names, a tuple of different texts, and has {names!r}"
    for name in ("observation_size", "action_size", "goals"):
        value = getattr(suite, name, None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"must have {name}, a whole number above 0, and has {value!r}"
    costs = getattr(suite, "costs", None)
    if not _sequence_of(costs, (int, float)) or len(costs) != len(names) or min(costs) <= 0:
        return f"must have costs, a number above 0 for each of its {len(names)} tasks, and has {costs!r}"
    if not callable(getattr(suite, "make", None)):
        return "must have a method make(task)"
    try:
        pickle.dumps(suite)
    except Exception as error:
        return f"must travel to worker processes by pickle: {_line(error)}"
    return ""


def _sequence_of(value: Any, kind: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, kind) for one in value)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
