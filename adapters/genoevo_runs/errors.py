"""The errors that a user can act on; the command line prints them as one line."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class UserError(Exception):
    """A request that cannot be met; the message names the thing, its value and what is allowed."""


class ConfigError(UserError):
    """A setting, preset, task or directory that is not allowed."""


class CorruptFileError(UserError):
    """A corrupt file of a run; ``path`` and ``problem`` say which file and why."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, " ".join(problem.split())
        super().__init__(f"{path} is corrupt: {self.problem}")


class VersionError(UserError):
    """A file of a later format than this version reads."""


class RunError(Exception):
    """A run that cannot continue; its last checkpoint is intact."""


class StorageError(RunError):
    """A run that cannot be written any more, for example because the disk is full."""


def refuse_address(name: str, path: str | Path) -> None:
    """Raise ConfigError if *path*, the value of the option *name*, is an address such as ``s3://bucket/runs``.

    As a path it would be a folder ``s3:`` here. A ``Path`` has lost one of the slashes.
    """
    address = re.match(r"([A-Za-z][A-Za-z0-9+.-]+:)/+(.*)", str(path))
    if address:
        given = f"{address[1]}//{address[2]}"
        raise ConfigError(f"{name} = {given!r}: must be a path, not an address; mount it and give its folder")


def nearest(name: str, known: list[str]) -> str:
    """Return ``(did you mean X?)`` with the known name that is most like *name*, or an empty text."""
    match = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {match[0]}?)" if match else ""


def abbreviated(value: Any) -> str:
    """Return *value* as text of at most 80 characters."""
    if isinstance(value, dict | list | tuple | set):
        return f"{type(value).__name__} of {len(value)}"
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have none
        text = f"a whole number of {value.bit_length()} bits"
    return text if len(text) <= 80 else f"{text[:77]}..."
