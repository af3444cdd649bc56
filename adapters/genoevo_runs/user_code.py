"""Code of the user's own, which a setting names as ``package.module:callable``: permission and import.

A user who types such a name has chosen to run the code. A name in a file or in a run directory has to be allowed
first. Code inside a run directory is never run.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from genoevo_runs.errors import ConfigError, UserError

ALLOWED: dict[str, str] = {}
"""The settings that may name code, and the environment variable of each.

The variable holds the names that a file or a run directory may have imported, separated by commas. Adapters fill this
registry with :func:`register`."""
_CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class _Reading(NamedTuple):
    """How the values of a setting are read, see :func:`register`."""

    names_code: Callable[[str], bool]
    parts: Callable[[str], list[str]]


_NAMES_CODE: dict[str, _Reading] = {}


def is_code(name: str) -> bool:
    """Whether a name has the form of a callable to import."""
    return bool(_CODE.fullmatch(name))


def register(
    setting: str,
    variable: str,
    names_code: Callable[[str], bool] = is_code,
    parts: Callable[[str], list[str]] = lambda name: [name],
) -> None:
    """Register a setting that may name code.

    Parameters
    ----------
    setting
        The name of the setting, and of the option of the command line that allows a value.
    variable
        The environment variable that holds the allowed values.
    names_code
        Whether a value of the setting names code; :func:`is_code`, or another test.
    parts
        The names of code in a value that may hold several; each ends with ``module:name`` and has no comma. By
        default the value is the only one.

    """
    ALLOWED[setting], _NAMES_CODE[setting] = variable, _Reading(names_code, parts)


def imported(setting: str, name: str, fits: Callable[[object], bool] = callable) -> Any:
    """Import the callable of that name, or what else *fits*; ConfigError, in one line, if it does not exist."""
    module, _, attribute = name.partition(":")
    found = getattr(import_module(setting, name, module), attribute, None)
    if not fits(found):
        what = "has no" if found is None else "holds no callable under the name"
        raise ConfigError(f"{setting} = {name!r}: {module} {what} {attribute}")
    return found


def import_module(setting: str, name: str, module: str) -> ModuleType:
    """Import the *module* that the setting's value *name* needs; ConfigError, in one line, if that fails."""
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise ConfigError(f"{setting} = {name!r}: importing {module} failed: {line(error)}") from error


def allow(setting: str, name: str) -> None:
    """Allow a name that the user has typed, in this process and in those that it starts.

    Then a run may name it, and it may be imported from the working directory. A name that is not code is ignored.
    """
    if parts := _parts(setting, name):
        os.environ[ALLOWED[setting]] = ",".join(dict.fromkeys([*_allowed(setting), *parts]))
        _search_here()


def allow_inherited() -> None:
    """Allow in this process the names that the process which started it has allowed."""
    for setting, name in inherited():
        allow(setting, name)


def inherited() -> list[tuple[str, str]]:
    """Return all allowed names with their settings, for a process that does not inherit this environment."""
    return [(setting, name) for setting in ALLOWED for name in _allowed(setting)]


def options(named: dict[str, str]) -> str:
    """Return the options of the command line, each after a space, that allow all code in *named*, by setting."""
    return "".join(f" --{setting} {shlex.quote(name)}" for setting, name in named.items() if _parts(setting, name))


def check_allowed(named: dict[str, str], origin: Path) -> None:
    """Raise UserError unless all code in *named* is allowed and lies outside the directory *origin*.

    Allowed code may be imported from the working directory afterwards.

    Parameters
    ----------
    named
        Values by setting; each setting must be registered.
    origin
        The run directory or the file that has these values.

    """
    for setting, name in named.items():
        if parts := _parts(setting, name):
            _check(setting, name, parts, origin)


def _check(setting: str, name: str, parts: list[str], origin: Path) -> None:
    if not set(parts) <= set(_allowed(setting)):
        raise UserError(
            f"{origin} names the {setting} {name}, which is code; if you trust it, say so with "
            f"--{setting} {shlex.quote(name)} or {ALLOWED[setting]}={shlex.quote(','.join(parts))}"
        )
    _search_here()
    for part in parts:
        check_outside(f"{setting} {name}", part.split(":")[-2], origin)


def check_outside(user: str, module: str, directory: Path) -> None:
    """Raise UserError if *module*, or a package that it is in, lies in *directory*; nothing is imported.

    *user* says in the message who needs it.
    """
    inside = directory.resolve()
    for name, places in _places(module):
        if any(place and Path(place).resolve().is_relative_to(inside) for place in places):
            raise UserError(f"{user}: {name} lies in {directory}, from which no code is run")


def _places(module: str) -> Iterator[tuple[str, list[str | None]]]:
    """Yield the name, and the file and the folders, of every package on the way to *module*, as far as found."""
    name, folders = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if folders is not None else part
        try:
            # Without the parent's name, because with it the parent would be imported.
            found = PathFinder.find_spec(part, folders) if folders is not None else importlib.util.find_spec(part)
        except ValueError:  # the module in memory was not imported from anywhere
            return
        if found is None:
            return
        folders = list(found.submodule_search_locations or [])
        yield name, [found.origin, *folders]


def _search_here() -> None:
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # last, so that nothing there hides an installed package


def _parts(setting: str, name: str) -> list[str]:
    reading = _NAMES_CODE[setting]
    return reading.parts(name) if reading.names_code(name) else []


def _allowed(setting: str) -> list[str]:
    return [name.strip() for name in os.environ.get(ALLOWED[setting], "").split(",") if name.strip()]


def line(error: Exception) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
