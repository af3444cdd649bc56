"""The progress of a search that takes longer than two seconds, on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genoevo import Evolution
from genoevo_cli.terminal import console

QUIET = 2.0  # seconds
LIVE_INTERVAL = 0.25


class SearchProgress:
    """A callback that shows a bar on a terminal, else a line every ten seconds."""

    def __init__(self, generations: int, optimum: float) -> None:
        self._generations, self._optimum = generations, optimum
        self._next = time.monotonic() + QUIET
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, evolution: Evolution) -> None:
        """Show the progress of *evolution* if enough time has passed."""
        now = time.monotonic()
        if now < self._next:
            return
        assert evolution.best is not None
        best = f"best {evolution.best.fitness.values[0]:g} of {self._optimum:g}"
        if not console.stderr().is_terminal:
            self._next = now + console.PLAIN_INTERVAL
            done = f"generation {evolution.generation:,} of at most {self._generations:,}"
            console.note(f"{done}  {evolution.evaluations:,} evaluations  {best}")
            return
        self._next = now + LIVE_INTERVAL
        if self._bar is None:
            columns = TextColumn("generation"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}")
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console.stderr(), transient=True)
            self._bar.add_task(best, total=self._generations)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=best, completed=evolution.generation)
