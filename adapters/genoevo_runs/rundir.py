"""Run directories: creation, recognition and origin.

``config.yaml`` holds the resolved settings, ``run.json`` the origin of the run: versions, command and machine.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genoevo_runs import files
from genoevo_runs.errors import ConfigError, UserError, refuse_address
from genoevo_runs.machine import installed

CONFIG, ORIGIN = "config.yaml", "run.json"
_BEGUN = ".begun"


def is_run(directory: Path) -> bool:
    """Whether *directory* holds a run; it does not if :func:`create` was killed before its end."""
    return (directory / ORIGIN).is_file() and not (directory / _BEGUN).exists()


def check_run(directory: Path) -> None:
    """Raise UserError if *directory* is not a run directory."""
    refuse_address("run-dir", directory)
    if not is_run(directory):
        raise UserError(f"{directory} is not a run directory: {ORIGIN} is missing")


def check_vacant(directory: Path) -> None:
    """Raise ConfigError unless *directory* is missing, empty, or left by a :func:`create` that was killed.

    ConfigError, too, for the address of something that is not mounted.
    """
    refuse_address("run-dir", directory)
    vacant = not directory.exists() or (directory / _BEGUN).is_dir()
    if not vacant and (not directory.is_dir() or any(directory.iterdir())):
        more = " or resume it" if is_run(directory) else ""
        raise ConfigError(f"run-dir = {str(directory)!r}: exists and is not empty; choose another{more}")


def create(directory: Path, config: str, origin: dict[str, Any]) -> None:
    """Create a run directory with the settings *config*, as YAML, and its *origin*.

    UserError if it cannot be written. If the process is killed meanwhile, the directory can be created again.
    """
    begun = directory / _BEGUN
    try:
        begun.mkdir(parents=True, exist_ok=True)
        files.replace(directory / CONFIG, config)
        files.replace(directory / ORIGIN, json.dumps(origin, indent=2))
        begun.rmdir()
        files.sync(directory)
    except OSError as error:
        raise UserError(f"run-dir = {str(directory)!r}: cannot be written: {error.strerror}") from None


def new_origin(
    format: str, version: int, command: list[str], about: dict[str, Any], packages: Sequence[str]
) -> dict[str, Any]:
    """Return the content of a new ``run.json``.

    Parameters
    ----------
    format, version
        The kind of run, and the version of its files.
    command
        The command line that creates it.
    about
        Further entries, as JSON values by name.
    packages
        The packages whose installed versions are recorded.

    """
    return {
        "format": format,
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        **about,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "versions": {name: installed(name) for name in packages},
    }


def read_origin(directory: Path, format: str, version: int) -> dict[str, Any]:
    """Return the content of ``run.json``; UserError if it is not of that *format*, or of a later *version*."""
    check_run(directory)
    return files.read_json(files.inside(directory, directory / ORIGIN), format, version)


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
