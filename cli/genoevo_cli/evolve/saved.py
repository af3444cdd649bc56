"""The file of a saved search: ``--state`` and ``--resume`` of ``genoevo evolve``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from genoevo.checkpoint import Checkpoint, Interrupted, InUseError
from genoevo_cli.terminal import console


def command(path: Path, again: dict[str, Any], flags: list[str]) -> str:
    """Return the command that resumes a search, with the options that its file does not hold.

    These are *again*, None if not given, and *flags*.
    """
    words = [word for name, value in again.items() if value is not None for word in (name, str(value))]
    return shlex.join(["genoevo", "evolve", "--resume", str(path), *words, *flags])


@contextmanager
def opened(path: Path | None, every: int | None, resume: str) -> Iterator[Checkpoint | None]:
    """The checkpoint at *path*, or None without a path; errors of the file end in one line.

    *resume* is the command that resumes the search.
    """
    if path is None:
        yield None
        return
    checkpoint = Checkpoint(path, every=every)
    try:
        with checkpoint:
            yield checkpoint
    except Interrupted:
        console.note(f"Stopped and saved. Resume with: {resume}")
        raise click.exceptions.Exit(0) from None
    except InUseError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read or written, and is unchanged: {error.strerror}") from None


def state_path(state_file: Path | None, resume_file: Path | None) -> Path | None:
    """Return the file of a search, None for none; UsageError if it cannot be one."""
    if state_file is not None and resume_file is not None:
        raise click.UsageError("give --state or --resume, not both")
    if resume_file is not None and not resume_file.exists():
        raise click.UsageError(f"--resume: file {str(resume_file)!r} does not exist")
    path = state_file or resume_file
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(f"--state: directory {str(path.parent)!r} does not exist")
    return path
