"""Code of the user's own, which a setting names as ``package.module:callable``: permission and import.

A user who types such a name has chosen to run the code. A name in a file or in a run directory has to be allowed
first.
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
"""The settings that may name code, and the environment variable of each.

The variable holds the names that a file or a run directory may have imported, separated by commas. Adapters fill this
registry with :func:`register`."""
_NAMES_CODE: dict[str, Callable[[str], bool]] = {}
_CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_code(name: str) -> bool:
    """Whether a name has the form of a callable to import."""
    return bool(_CODE.fullmatch(name))


def register(setting: str, variable: str, names_code: Callable[[str], bool] = is_code) -> None:
    """Register a setting that may name code.

    Parameters
    ----------
    setting
        The name of the setting, and of the option of the command line that allows a value.
    variable
        The environment variable that holds the allowed values.
    names_code
        Whether a value of the setting names code; :func:`is_code`, or a narrower test.

    """
    ALLOWED[setting], _NAMES_CODE[setting] = variable, names_code


def imported(setting: str, name: str) -> Callable[..., Any]:
    """Import the callable of that name; ConfigError, in one line, if it does not exist."""
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
    """Allow a name that the user has typed, in this process and in those that it starts.

    Then a run may name it, and it may be imported from the working directory. A name that is not code is ignored.
    """
    if not _NAMES_CODE[setting](name):
        return
    os.environ[ALLOWED[setting]] = ",".join(dict.fromkeys([*_allowed(setting), name]))
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # last, so that nothing there hides an installed package


def allow_inherited() -> None:
    """Allow in this process the names that the process which started it has allowed."""
    for setting, name in inherited():
        allow(setting, name)


def inherited() -> list[tuple[str, str]]:
    """Return all allowed names with their settings, for a process that does not inherit this environment."""
    return [(setting, name) for setting in ALLOWED for name in _allowed(setting)]


def check_allowed(named: dict[str, str], origin: Path) -> None:
    """Raise UserError unless all code in *named* is allowed and lies outside the directory *origin*.

    Parameters
    ----------
    named
        Values by setting; each setting must be registered.
    origin
        The run directory or the file that has these values.

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
    """Return an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
