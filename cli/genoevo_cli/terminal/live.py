"""The progress of training: a table redrawn in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from genoevo_cli.terminal import console
from genoevo_cli.terminal.tables import duration, numbers_table, percent

if TYPE_CHECKING:
    from genoevo_mega.training.status import Status
    from genoevo_runs.pools import RunEvent


def for_terminal() -> LiveView | PlainView:
    """Return the live view on a terminal, else the plain one."""
    return LiveView() if console.stderr().is_terminal else PlainView()


class _Rates:
    """The steps and updates per second of this process, and the time left."""

    def __init__(self) -> None:
        self._first: tuple[float, int, int] | None = None

    def lines(self, status: Status) -> tuple[str, str]:
        """Return two lines: how far the run is, and how fast."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, status.steps, status.updates
        began, steps, updates = self._first
        elapsed = max(now - began, 1e-9)
        rate = (status.steps - steps) / elapsed
        left = (status.target - status.steps) / rate if rate else float("inf")
        if status.evaluating:
            return status.evaluating, ""
        return (
            f"{status.steps:,} of {status.target:,} steps  {duration(left)} left",
            f"{rate:,.0f} steps/s  {status.updates:,} updates, {(status.updates - updates) / elapsed:,.1f}/s",
        )


class PlainView:
    """A line every ten seconds, and one for each change of stage."""

    def __init__(self) -> None:
        self._rates, self._shown = _Rates(), time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, status: Status) -> None:
        """Print the events of *status*, and its figures if enough time has passed."""
        for event in status.events:
            console.note(f"{status.steps:,} steps: {event}")
        lines = self._rates.lines(status)
        if time.monotonic() - self._shown < console.PLAIN_INTERVAL:
            return
        self._shown = time.monotonic()
        console.note("  ".join(filter(None, lines)))
        if status.evaluating:
            return
        tasks = zip(status.tasks, status.success, status.stages, status.effective_modules, strict=True)
        console.note("  " + "  ".join(f"{name} {percent(s)} {stage}/{used}" for name, s, stage, used in tasks))


class LiveView:
    """A table that is redrawn in place."""

    def __init__(self) -> None:
        self._rates, self._shown, self._events = _Rates(), 0.0, [""]  # an empty line between table and bar
        self._live = Live(console=console.stderr(), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def update(self, status: Status) -> None:
        """Redraw, at most four times a second."""
        self._events = (self._events + [f"{status.steps:,}: {event}" for event in status.events])[-3:]
        lines = self._rates.lines(status)
        if time.monotonic() - self._shown < 0.25:
            return
        self._shown = time.monotonic()
        width = min(76, console.stderr().width)
        bar = ProgressBar(total=max(status.target, 1), completed=status.steps, width=width)
        foot = Table.grid()
        for row in (*self._events, bar, *lines):
            foot.add_row(row)
        self._live.update(Group(_tasks_table(status, len(self._events) + 3), foot), refresh=True)


def _tasks_table(status: Status, foot: int) -> Table:
    """Return a table with a row for every task, or several tasks side by side if the terminal has too few rows.

    Tasks that do not fit are counted in the title. The table leaves *foot* lines free below it.
    """
    tasks = list(zip(status.tasks, status.success, status.stages, status.effective_modules, strict=True))
    if len(tasks) <= console.stderr().height - foot - 5:  # title, headings and borders
        headings = "success", "stage", "effective modules"
        table = numbers_table("task", *headings, title="success of the last round's episodes")
        for name, success, stage, used in tasks:
            table.add_row(name, percent(success), str(stage), str(used))
        return table
    across = max(1, console.stderr().width // (max(map(len, status.tasks)) + 12))
    fit = across * max(1, console.stderr().height - foot - 1)  # the title takes a line
    down = math.ceil(min(fit, len(tasks)) / across)
    rest = f"; {len(tasks) - fit} more tasks" if len(tasks) > fit else ""
    table = Table(title=f"success, stage/effective modules{rest}", box=None, show_header=False, pad_edge=False)
    table.title_justify, table.padding = "left", (0, 1, 0, 0)
    for _ in range(across):
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        table.add_column(min_width=5)
    cells = [(name, percent(success), f"{stage}/{used}") for name, success, stage, used in tasks[: across * down]]
    for row in range(down):
        table.add_row(*(cell for one in cells[row::down] for cell in one))
    return table


class SweepView:
    """A bar for all runs and one for each active run on a terminal; elsewhere lines as runs advance and end."""

    def __init__(self, total: int, done: int) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, TextColumn("{task.fields[success]}"), console=console.stderr())
        self._live = console.stderr().is_terminal
        self._all = self._progress.add_task("all runs", total=total, completed=done, success="")
        self._bars: dict[object, TaskID] = {}
        self._shown = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, progress: RunEvent) -> None:
        """Show an event of a run."""
        run, event = progress.run, progress.event
        name, target = f"{run.name}/{run.seed}", run.config.steps
        if event == "began":
            self._bars[run] = self._progress.add_task(name, total=target, success="")
            return
        if event == "steps":
            self._progress.update(self._bars[run], completed=progress.steps, success=percent(progress.score))
            if not self._live and time.monotonic() - self._shown >= console.PLAIN_INTERVAL:
                self._shown = time.monotonic()
                console.note(f"{name}: {progress.steps:,} of {target:,} steps, success {percent(progress.score)}")
            return
        if event == "told":
            console.note(f"{name}: {progress.text}")
            return
        if run in self._bars:
            self._progress.remove_task(self._bars.pop(run))
        if event == "done":
            self._progress.advance(self._all)
        finished = self._progress.tasks[0]
        count = f"{finished.completed:,.0f} of {finished.total:,.0f} runs done"
        console.note(
            f"{name} {event} at {progress.steps:,} steps; {count}" + (f": {progress.text}" if progress.text else "")
        )
