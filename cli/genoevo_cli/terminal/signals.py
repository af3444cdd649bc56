"""Ctrl-C and SIGTERM as a request to stop and save."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from genoevo_cli.terminal import console


class Stoppable(Protocol):
    """An object that stops by itself soon after ``stop_requested`` is set."""

    stop_requested: bool


@contextmanager
def stop_on_signal(running: Stoppable, text: str) -> Iterator[None]:
    """Make SIGINT and SIGTERM ask *running* to stop and print *text*; a second Ctrl-C raises KeyboardInterrupt."""

    def stop(number: int, frame: object) -> None:
        if running.stop_requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        running.stop_requested = True
        console.note(text)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
