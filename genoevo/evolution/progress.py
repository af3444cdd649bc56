"""The progress of a search, shown as it runs."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from genoevo._check import check_count, check_number
from genoevo._optional import optional
from genoevo.evolution.stops import Progress

QUIET = 2.0  # seconds
LIVE_INTERVAL = 0.25
PLAIN_INTERVAL = 10.0


class ProgressBar:
    """A callback of :class:`~genoevo.Evolution` and a context manager that shows how far a search is.

    It shows nothing in the first two seconds. On a terminal, and in a notebook with ``ipywidgets``, it is a bar, else
    a line every ten seconds on standard error. Needs ``genoevo[notebook]``.

    Parameters
    ----------
    generations
        The last generation, as the end of the bar. None if the end is not known.
    target
        The fitness that is searched for, shown beside the best. None for none.
    console
        A ``rich.console.Console``; None for one of standard error.

    Raises
    ------
    ImportError
        If rich is not installed.

    Examples
    --------
    ::

        with ProgressBar(generations=1000) as progress:
            Evolution(evaluate, start, seed=1, callbacks=[progress]).run(1000)

    """

    def __init__(self, generations: int | None = None, *, target: float | None = None, console: Any = None) -> None:
        if generations is not None:
            check_count("generations", generations, 1)
        if target is not None:
            check_number("target", target)
        optional("rich", "a progress bar", "genoevo[notebook]")
        self._rich = import_module("rich.progress")
        if console is None:
            console = import_module("rich.console").Console(stderr=True, highlight=False)
        self._console, self._generations, self._target = console, generations, target
        self._next = time.monotonic() + QUIET
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, evolution: Progress) -> None:
        """Show the progress of *evolution* if enough time has passed."""
        now = time.monotonic()
        if now < self._next:
            return
        assert evolution.best is not None
        best = f"best {', '.join(f'{value:g}' for value in evolution.best.fitness.values)}"
        best += "" if self._target is None else f" of {self._target:g}"
        if self._is_live():
            self._next = now + LIVE_INTERVAL
            self._update(evolution.generation, best)
            return
        self._next = now + PLAIN_INTERVAL
        most = "" if self._generations is None else f" of at most {self._generations:,}"
        line = f"generation {evolution.generation:,}{most}  {evolution.evaluations:,} evaluations  {best}"
        self._console.print(line, markup=False, soft_wrap=True)

    def _is_live(self) -> bool:
        return bool(self._console.is_terminal or (self._console.is_jupyter and find_spec("ipywidgets") is not None))

    def _update(self, generation: int, best: str) -> None:
        if self._bar is None:
            text, bar = self._rich.TextColumn, self._rich.BarColumn()
            columns = [text("generation"), self._rich.MofNCompleteColumn(), bar, text("{task.description}")]
            self._bar = self._rich.Progress(
                *columns, self._rich.TimeRemainingColumn(), console=self._console, transient=True
            )
            self._bar.add_task(best, total=self._generations, completed=generation)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=best, completed=generation)
