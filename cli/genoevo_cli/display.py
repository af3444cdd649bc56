"""What people see: a live table in a terminal, plain lines elsewhere. All of it goes to standard error."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import TaskID

    from genoevo_mega.experiments.compare import Comparison
    from genoevo_mega.experiments.dry_run import Estimate as RunEstimate
    from genoevo_mega.policies.export import Exported
    from genoevo_mega.training.evaluation import SuccessRate
    from genoevo_mega.training.status import Status
    from genoevo_runs.pools import RunEvent
    from genoevo_runs.statistics import Interval

_console = Console(stderr=True, highlight=False)
PLAIN_INTERVAL = 10.0


def machine_defaults() -> dict[str, int]:
    """One rollout worker and one learner thread per core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"workers": cores, "threads": cores}


def note(text: str) -> None:
    """One line for people."""
    _console.print(text, markup=False, soft_wrap=True)


def prose(text: str) -> None:
    """:func:`note` for what nobody copies: a terminal breaks it between words."""
    _console.print(text, markup=False, soft_wrap=not _console.is_terminal)


def console() -> Console:
    """The console of standard error."""
    return _console


def for_terminal() -> LiveView | PlainView:
    """The live view on a terminal, else the plain one."""
    return LiveView() if _console.is_terminal else PlainView()


class _Rates:
    """Steps and updates per second of this process, and the time left."""

    def __init__(self) -> None:
        self._first: tuple[float, int, int] | None = None

    def lines(self, status: Status) -> tuple[str, str]:
        """How far the run is, and how fast."""
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
            f"{status.steps:,} of {status.target:,} steps  {_duration(left)} left",
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
        """Show *status* where it is time to."""
        for event in status.events:
            note(f"{status.steps:,} steps: {event}")
        lines = self._rates.lines(status)
        if time.monotonic() - self._shown < PLAIN_INTERVAL:
            return
        self._shown = time.monotonic()
        note("  ".join(filter(None, lines)))
        if status.evaluating:
            return
        tasks = zip(status.tasks, status.success, status.stages, status.effective_modules, strict=True)
        note("  " + "  ".join(f"{name} {_percent(s)} {stage}/{used}" for name, s, stage, used in tasks))


class LiveView:
    """A table that is redrawn in place."""

    def __init__(self) -> None:
        self._rates, self._shown, self._events = _Rates(), 0.0, [""]  # an empty line between table and bar
        self._live = Live(console=_console, auto_refresh=False)

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
        width = min(76, _console.width)
        bar = ProgressBar(total=max(status.target, 1), completed=status.steps, width=width)
        foot = Table.grid()
        for row in (*self._events, bar, *lines):
            foot.add_row(row)
        self._live.update(Group(_tasks_table(status, len(self._events) + 3), foot), refresh=True)


def _tasks_table(status: Status, foot: int) -> Table:
    """A row for every task; where the terminal is too low for that, several side by side, as many as there is room.

    *foot* lines below it stay free.
    """
    tasks = list(zip(status.tasks, status.success, status.stages, status.effective_modules, strict=True))
    if len(tasks) <= _console.height - foot - 5:  # title, headings and borders
        headings = "success", "stage", "effective modules"
        table = _numbers("task", *headings, title="success of the last round's episodes")
        for name, success, stage, used in tasks:
            table.add_row(name, _percent(success), str(stage), str(used))
        return table
    across = max(1, _console.width // (max(map(len, status.tasks)) + 12))
    fit = across * max(1, _console.height - foot - 1)  # its title
    down = math.ceil(min(fit, len(tasks)) / across)
    rest = f"; {len(tasks) - fit} tasks more" if len(tasks) > fit else ""
    table = Table(title=f"success, stage/effective modules{rest}", box=None, show_header=False, pad_edge=False)
    table.title_justify, table.padding = "left", (0, 1, 0, 0)
    for _ in range(across):
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        table.add_column(min_width=5)
    cells = [(name, _percent(success), f"{stage}/{used}") for name, success, stage, used in tasks[: across * down]]
    for row in range(down):
        table.add_row(*(cell for one in cells[row::down] for cell in one))
    return table


class SweepView:
    """A bar for all runs and for each that is under way on a terminal; elsewhere lines as runs go on and end."""

    def __init__(self, total: int, done: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, TextColumn("{task.fields[success]}"), console=_console)
        self._live = _console.is_terminal
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
        """Show what became of a run."""
        run, event = progress.run, progress.event
        name, target = f"{run.name}/{run.seed}", run.config.steps
        if event == "began":
            self._bars[run] = self._progress.add_task(name, total=target, success="")
            return
        if event == "steps":
            self._progress.update(self._bars[run], completed=progress.steps, success=_percent(progress.score))
            if not self._live and time.monotonic() - self._shown >= PLAIN_INTERVAL:
                self._shown = time.monotonic()
                note(f"{name}: {progress.steps:,} of {target:,} steps, success {_percent(progress.score)}")
            return
        if run in self._bars:
            self._progress.remove_task(self._bars.pop(run))
        if event == "done":
            self._progress.advance(self._all)
        finished = self._progress.tasks[0]
        count = f"{finished.completed:,.0f} of {finished.total:,.0f} runs done"
        note(f"{name} {event} at {progress.steps:,} steps; {count}" + (f": {progress.text}" if progress.text else ""))


@contextmanager
def counter(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function to call with how many of *total* are done: a bar on a terminal, elsewhere a line every ten seconds.

    Without *total* there is nothing to count; on a terminal a bar moves to and fro.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn()]
    if total is not None:
        columns += [MofNCompleteColumn(), TimeRemainingColumn()]
    shown = time.monotonic()
    with Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal) as progress:
        task = progress.add_task(label, total=total)

        def show(done: int) -> None:
            nonlocal shown
            progress.update(task, completed=done)
            if total and not _console.is_terminal and time.monotonic() - shown >= PLAIN_INTERVAL:
                shown = time.monotonic()
                note(f"{label}: {done:,} of {total:,}")

        yield show


def print_evaluation(info: dict[str, Any], estimates: dict[str, SuccessRate]) -> None:
    """The table of a finished run, and its wall time below."""
    episodes = next(iter(estimates.values())).episodes
    headings = "success", "95 % interval", "stage", "effective modules"
    table = _numbers("task", *headings, title=f"greedy, {episodes} unseen goals each")
    for name, estimate in estimates.items():
        task = info["tasks"][name]
        interval = f"{estimate.low:.0%} to {estimate.high:.0%}"
        table.add_row(name, f"{estimate.success:.0%}", interval, str(task["stage"]), str(task["effective_modules"]))
    mean = sum(estimate.success for estimate in estimates.values()) / len(estimates)
    table.add_section()
    table.add_row("mean", f"{mean:.0%}")
    _console.print(table)
    _print_time(info)


def print_info(info: dict[str, Any]) -> None:
    """A run at a glance."""
    title = f"{info['architecture']} on {info['suite'].replace(',', ', ')}"
    table = _numbers("task", "success", "stage", "effective modules", title=title)
    if masked := any("masked" in task for task in info["tasks"].values()):
        table.add_column("updates masked", justify="right")
    for name, task in info["tasks"].items():
        cells = [_percent(task["success"]), str(task["stage"]), str(task["effective_modules"])]
        table.add_row(name, *cells, *([f"{task['masked']:,}"] if masked else []))
    _console.print(table)
    prose(
        f"{info['steps']:,} steps, {info['updates']:,} updates, {info['rounds']:,} rounds, seed {info['seed']}; "
        f"{info['pool_size']} modules, {info['parameters']['actor']:,} actor and "
        f"{info['parameters']['critics']:,} critic parameters; replay {info['replay_bytes'] / 2**20:,.0f} MiB"
    )
    if info["match_parameters"]:
        prose(match_line(info["architecture"], info["match_parameters"]))
    _print_time(info)
    note(f"digest {info['digest']}")


def print_presets(changed: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> None:
    """What each preset changes."""
    for name, settings in changed.items():
        table = Table(title=name, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=bool(settings))
        for heading in ("setting", "preset", "default"):
            table.add_column(heading, overflow="fold")
        for setting, value in settings.items():
            # Spaces let a list of tasks break between two of them.
            table.add_row(setting, *(str(each).replace(",", ", ") for each in (value, defaults[setting])))
        _console.print(table, "" if settings else "as the defaults\n", markup=False)


def print_tasks(described: dict[str, dict[str, Any]]) -> None:
    """What is known of every task before it is trained."""
    table = Table(title="expert and random: success; steps: of the expert", padding=0)
    for heading in ("task", "suites"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cost", "steps", "expert", "random"):
        table.add_column(heading, justify="right")
    for name, task in described.items():
        steps = task["expert_steps"]
        table.add_row(
            name,
            " ".join(task["suites"]),
            f"{task['cost']:.2f}",
            "-" if steps is None else f"{steps:.0f}",
            _percent(task["expert_success"]),
            _percent(task["random_success"]),
        )
    _console.print(table)


def print_estimate(found: RunEstimate, steps: int) -> None:
    """What a run will take."""
    prose(
        f"{found.tasks} tasks; {found.actor_parameters:,} actor and {found.critic_parameters:,} critic parameters at "
        "the start stage"
    )
    prose(
        f"memory: replay {found.replay_bytes / 2**20:,.0f} MiB when full, weights and optimiser "
        f"{found.weights_bytes / 2**20:,.1f} MiB, beside the environments"
    )
    prose(
        f"probe: environments built in {found.building_seconds:.0f} s, then {found.steps_per_second:,.0f} steps/s "
        f"and {found.updates_per_second:,.1f} updates/s"
    )
    prose(f"estimate: {_duration(found.seconds)} for {steps:,} steps; tasks that grow make it longer")


def print_exported(exported: list[Exported], cut: str) -> None:
    """What each policy costs, of MEGA beside one that uses the whole pool, and what none of them holds."""
    columns = [("task", [one.task for one in exported])]
    whole = exported[0].full_multiply_adds is not None
    if whole:
        columns.append(("modules", [str(len(one.modules)) for one in exported]))
    columns.append(("parameters", [f"{one.parameters:,}" for one in exported]))
    columns.append(("multiply-adds", [f"{one.multiply_adds:,}" for one in exported]))
    columns.append(("", [_share(one.multiply_adds, one.full_multiply_adds) for one in exported]))
    columns.append(("latency", [f"{one.microseconds:,.0f} µs" for one in exported]))
    columns.append(("", [_share(one.microseconds, one.full_microseconds) for one in exported]))
    columns.append(("differs by", [f"{one.difference:.0e}" for one in exported]))
    columns = [column for column in columns if any(column[1])]
    table = Table(padding=0, pad_edge=False)
    for number, (heading, _) in enumerate(columns):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in zip(*(values for _, values in columns), strict=True):
        table.add_row(*row)
    _console.print(table)
    prose(f"Cut: {cut}.")
    if whole:
        prose("Percentages are of a policy that uses the whole pool.")


def _share(value: float, full: float | None) -> str:
    return "" if full is None else f"{value / full:.0%}"


def print_comparison(comparison: Comparison) -> None:
    """Methods as two tables, what they reached and what they cost, and what must be known to read them below."""
    better = f"better than {comparison.reference}"
    reached = _numbers("method", "success (IQM)", "95 % interval", "by whole runs", "mean", better)
    cost = _numbers("method", "seeds", "actor", "critics", "steps", "wall time")
    for method in comparison.methods:
        first, chance = method.results[0], comparison.improvement.get(method.name)
        walls = [result.wall_seconds for result in method.results]
        reached.add_row(
            method.name,
            f"{method.iqm.value:.0%}",
            _between(method.iqm),
            _between(method.iqm_whole_runs),
            f"{method.mean:.0%}",
            f"{chance.value:.2f} ({_between(chance, '.2f')})" if chance else "-",
        )
        sizes = (f"{first.parameters[network]:,}" for network in ("actor", "critics"))
        seeds, steps = str(len(method.results)), f"{first.total_steps:,}"
        cost.add_row(method.name, seeds, *sizes, steps, _duration(sum(walls) / len(walls)))
    # A pipe has no width; 80 columns might break cells.
    console = _console if _console.is_terminal else Console(stderr=True, highlight=False, width=180)
    console.print(reached, cost)
    prose(
        "Better: the probability of it. Parameters and steps are the first seed's, wall time is the mean over seeds."
    )
    for warning in comparison.warnings:
        prose(warning)


def _numbers(name: str, *headings: str, title: str | None = None) -> Table:
    """A table of a name and numbers, which stand to the right."""
    table = Table(title=title)
    table.add_column(name, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _between(interval: Interval, form: str = ".0%") -> str:
    if interval.low is None or interval.high is None:
        return "too few seeds"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def match_line(architecture: str, match: dict[str, Any]) -> str:
    """How near an architecture's networks come to the size asked for."""
    actor, critic = (
        f"{found['parameters']:,} ({found['parameters'] / found['target'] - 1:+.1%})"
        for found in (match["actor"], match["critic"])
    )
    return f"{architecture} sized to {match['to']}: actor {actor} and each critic {critic} parameters"


def _print_time(info: dict[str, Any]) -> None:
    seconds, budget = info["time"], info["budget"]
    total = sum(seconds.values())
    table = _numbers("wall time", "seconds", "share")
    for name, value in seconds.items():
        table.add_row(name, f"{value:,.1f}", f"{value / total:.1%}")
    table.add_section()
    table.add_row(f"in all {_duration(total)}", f"{total:,.1f}", "100.0%")
    _console.print(table)
    rates = [f"{budget['steps_per_second']:,.0f} environment steps/s"]
    if budget["simulator_steps_per_second"]:
        rates.append(f"the workers alone would give {budget['simulator_steps_per_second']:,.0f}")
    if budget["learner_of_matrix_products"]:
        rates.append(
            f"the learner runs at {budget['learner_of_matrix_products']:.0%} of this machine's matrix products"
        )
    prose("; ".join(rates))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
