"""The console for people's output: lines, prose and progress bars on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress if standard error is not a terminal."""

_console = Console(stderr=True, highlight=False)


def stderr() -> Console:
    """The console of standard error."""
    return _console


def note(text: str) -> None:
    """Print one line, unbroken."""
    _console.print(text, markup=False, soft_wrap=True)


def prose(text: str) -> None:
    """Print text that nobody copies: a terminal breaks it between words."""
    _console.print(text, markup=False, soft_wrap=not _console.is_terminal)


def print_json(value: Any) -> None:
    """Print one JSON object on standard output; numbers that are not finite are null."""
    from genoevo_runs.files import as_json

    click.echo(as_json(value))


@contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Send what this process and those that it starts print to standard error instead of standard output."""
    try:
        kept = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    sys.stdout.flush()
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def counter(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many of *total* are done: a bar on a terminal, else a line every ten seconds.

    Without *total* there is nothing to count, and on a terminal a bar moves to and fro. Code of others, which may run
    in this context, prints to standard error: standard output holds results alone.
    """
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn()]
    if total is not None:
        columns += [MofNCompleteColumn(), TimeRemainingColumn()]
    shown = time.monotonic()
    with (
        _nothing_on_stdout(),
        Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal) as progress,
    ):
        task = progress.add_task(label, total=total)

        def show(done: int) -> None:
            nonlocal shown
            progress.update(task, completed=done)
            if total and not _console.is_terminal and time.monotonic() - shown >= PLAIN_INTERVAL:
                shown = time.monotonic()
                note(f"{label}: {done:,} of {total:,}")

        yield show
