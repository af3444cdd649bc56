"""Code of the user's own, named ``package.module:callable`` by a setting: whether it may be imported, and its import.

Such a name is code: who types it has chosen to run it; one that stands in a file or a run has to be allowed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genoevo_runs.errors import ConfigError, UserError

ALLOWED: dict[str, str] = {}
"""The settings that may name code, and the environment variable of each: names, separated by commas, that a file or
a run directory may have imported. Adapters fill it with :func:`register`."""
_NAMES_CODE: dict[str, Callable[[str], bool]] = {}
_CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_code(name: str) -> bool:
    """Whether a name has the form of a callable to import."""
    return bool(_CODE.fullmatch(name))


def register(setting: str, variable: str, names_code: Callable[[str], bool] = is_code) -> None:
    """Let *setting* name code, once the user allows it.

    Parameters
    ----------
    setting
        The setting, which is also the option of the command line that allows a name.
    variable
        The environment variable that holds the allowed names.
    names_code
        Whether a value of the setting is code; :func:`is_code`, or narrower.

    """
    ALLOWED[setting], _NAMES_CODE[setting] = variable, names_code


def imported(setting: str, name: str) -> Callable[..., Any]:
    """The callable of that name; ConfigError, one line, where there is none."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise ConfigError(f"{setting} = {name!r}: importing {module} failed: {line(error)}") from error
    if not callable(found):
        what = "has no" if found is None else "holds no callable under the name"
        raise ConfigError(f"{setting} = {name!r}: {module} {what} {attribute}")
    called: Callable[..., Any] = found
    return called


def allow(setting: str, name: str) -> None:
    """Let this process and those it starts import *name* from the working directory, and for a run that names it.

    For a name that the user has typed. Names that are no code are left alone.
    """
    if not _NAMES_CODE[setting](name):
        return
    os.environ[ALLOWED[setting]] = ",".join(dict.fromkeys([*_allowed(setting), name]))
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # last, so that nothing there hides an installed package


def allow_inherited() -> None:
    """In a process that was started where :func:`allow` was called: the same."""
    for setting, name in inherited():
        allow(setting, name)


def inherited() -> list[tuple[str, str]]:
    """Settings and names of all code that was allowed, for a process that cannot see this one's environment."""
    return [(setting, name) for setting in ALLOWED for name in _allowed(setting)]


def check_allowed(named: dict[str, str], origin: Path) -> None:
    """UserError unless all code that *named* has, by setting, was allowed and lies outside the directory *origin*.

    *origin* is the run directory or the file that the names stand in.
    """
    for setting, name in named.items():
        _check(setting, name, origin)


def _check(setting: str, name: str, origin: Path) -> None:
    if not _NAMES_CODE[setting](name):
        return
    if name not in _allowed(setting):
        raise UserError(
            f"{origin} names the {setting} {name}, which is code; if you trust it, say so with "
            f"--{setting} {name} or {ALLOWED[setting]}={name}"
        )
    top = name.partition(":")[0].partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except ValueError:  # the module in memory was not imported from anywhere
        return
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or [])]
    inside = origin.resolve()
    if any(place and Path(place).resolve().is_relative_to(inside) for place in places):
        raise UserError(f"{setting} {name}: {top} lies in {origin}, from which no code is run")


def _allowed(setting: str) -> list[str]:
    return [name for name in os.environ.get(ALLOWED[setting], "").split(",") if name]


def line(error: Exception) -> str:
    """An error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
