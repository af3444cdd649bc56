"""The reader of run directories, the only module of the report that knows their files."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from genoevo import StagedLayout
from genoevo_mega.config.run import Config
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.history import noted
from genoevo_mega.experiments.logged import MetricsLog, TimesLog
from genoevo_mega.experiments.selection import SelectionLog
from genoevo_mega.training import checkpoint
from genoevo_runs import files
from genoevo_runs.arrays import Doubles, Ints
from genoevo_runs.errors import UserError
from genoevo_runs.metrics import METRICS, TIME, record_of

Checked = TypeVar("Checked", MetricsLog, TimesLog)


@dataclass
class Log:
    """The records of ``metrics.jsonl`` and ``time.jsonl`` by round: R rounds, T tasks, ``size`` genotypes per task.

    Attributes
    ----------
    tasks
        Names, in the run's order.
    steps, pool_size
        (R,) int64.
    success, returns
        (R, T) float64, means over the round's ``episodes``, (R, T) int64.
    stage, effective
        (R, T) int64: the stage after the round, and the effective modules of the round's elite.
    elites
        Each task's current elite as a bit string; empty if the structure does not evolve.
    survivors, children
        (R, T) and (R, T, size - 1, 3) int64, as in the record ``genealogy``; empty if the structure does not evolve.
    selection
        What selection did, None if the structure does not evolve.
    frontier
        Each task's settled genotypes as they were last recorded; empty without frontiers.
    evaluations
        The records of greedy evaluations.
    times
        The records of ``time.jsonl``, one per round; rounds repeated by a resumed run count once.

    """

    tasks: list[str]
    steps: Ints
    pool_size: Ints
    success: Doubles
    returns: Doubles
    episodes: Ints
    stage: Ints
    effective: Ints
    elites: dict[str, str]
    survivors: Ints
    children: Ints
    selection: SelectionLog | None
    frontier: dict[str, list[dict[str, Any]]]
    evaluations: list[dict[str, Any]]
    times: list[dict[str, float]]

    @property
    def rounds(self) -> int:
        """The number of recorded rounds."""
        return len(self.steps)


@dataclass
class LoggedRun:
    """A run as the report shows it; ``info`` comes from ``experiments.runs``, None before the first checkpoint."""

    name: str
    directory: Path
    config: Config
    command: list[str]
    log: Log
    info: dict[str, Any] | None


class RunReader:
    """A reader of one run while it trains; each read takes only the new lines of the files.

    Raises UserError if *directory* is not a run directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = runs.open_config(directory, runs_code=False)
        self._metrics, self._times = _Lines(directory / METRICS, MetricsLog), _Lines(directory / TIME, TimesLog)
        self._info: tuple[str, dict[str, Any] | None] = "", None

    @property
    def version(self) -> tuple[int | str, ...]:
        """A value that changes whenever the files do."""
        return (*self._metrics.version, *self._times.version, self._newest_checkpoint())

    def read(self) -> LoggedRun:
        """Return the run as it is now; UserError if a file is corrupt."""
        times = _by_step(self._times.read().records)
        log = _log(self._metrics.read(), times, self.config.genotypes.precision)
        command = noted(self.directory, runs.read_origin(self.directory)).command
        name = self.directory.resolve().name
        return LoggedRun(name, self.directory, self.config, command, log, self._read_info())

    def _newest_checkpoint(self) -> str:
        return next((path.name for path in checkpoint.candidates(self.directory)), "")

    def _read_info(self) -> dict[str, Any] | None:
        newest = self._newest_checkpoint()
        if newest and newest != self._info[0]:
            # A checkpoint that is corrupt, or was just replaced by a later one, must not hide the rest of the run.
            with suppress(UserError, OSError):
                self._info = newest, runs.info(self.directory)
        return self._info[1]


class _Lines(Generic[Checked]):
    """The JSON lines of a file that another process appends to, and truncates when it resumes; each is checked once.

    *checked* makes the log of the file's records.
    """

    def __init__(self, path: Path, checked: Callable[[Path], Checked]) -> None:
        self.path, self._checked = path, checked
        self._begin()

    def _begin(self) -> None:
        self.log, self.offset, self.last = self._checked(self.path), 0, b""

    @property
    def version(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def read(self) -> Checked:
        """Return the log of all complete lines; UserError names a line that is not a record, at every call."""
        if not self.path.exists():
            self._begin()
            return self.log
        with self.path.open("rb") as file:
            file.seek(self.offset - len(self.last))
            if file.read(len(self.last)) != self.last:
                self._begin()
                file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # still being written
                self.log.add(record_of(f"{self.path}: line {self.log.lines + 1}", line))
                self.offset, self.last = self.offset + len(line), line
        return self.log


def _by_step(times: list[dict[str, float]]) -> list[dict[str, float]]:
    return list({record["step"]: record for record in times}.values())


def _log(metrics: MetricsLog, times: list[dict[str, float]], precision: int) -> Log:
    rounds = metrics.rounds
    tasks = list(rounds[0]["success"]) if rounds else []
    elites: dict[str, str] = {}
    frontier: dict[str, list[dict[str, Any]]] = {}
    for record in rounds:
        elites |= record.get("elite", {})
        frontier |= record.get("selection", {}).get("frontier", {})
    _check_elites(metrics.path, elites, tasks, precision)
    evolves = any("genealogy" in record for record in rounds)
    try:
        genealogy = [record["genealogy"] for record in rounds if evolves]
        return Log(
            tasks=tasks,
            steps=np.array([record["step"] for record in rounds], np.int64),
            pool_size=np.array([record["pool_size"] for record in rounds], np.int64),
            success=_table(rounds, "success", np.float64),
            returns=_table(rounds, "return", np.float64),
            episodes=_table(rounds, "episodes", np.int64),
            stage=_table(rounds, "stage", np.int64),
            effective=_table(rounds, "effective_modules", np.int64),
            elites=elites,
            survivors=np.array([record["survivors"] for record in genealogy], np.int64),
            children=np.array([record["children"] for record in genealogy], np.int64),
            selection=SelectionLog.of_records(rounds),
            frontier=frontier,
            evaluations=[*metrics.evaluations],
            times=times,
        )
    except KeyError as error:
        raise UserError(f"{METRICS} lacks {error} in a round: an older version wrote it") from None


def _check_elites(path: Path, elites: dict[str, str], tasks: list[str], precision: int) -> None:
    layout = StagedLayout(precision)
    with files.reading(path):
        if elites and set(elites) != set(tasks):
            raise ValueError(f"elite: expected one of each of {', '.join(tasks)}, got {', '.join(elites)}")
        for task, bits in elites.items():
            try:
                layout.stage(len(bits))
            except ValueError as error:
                raise ValueError(f"elite of {task}: {error}") from None


def _table(rounds: list[dict[str, Any]], name: str, kind: type) -> npt.NDArray[Any]:
    return np.array([list(record[name].values()) for record in rounds], kind)


def preset_of(command: list[str]) -> str | None:
    """Return the preset that a run's command line names, or None."""
    for place, word in enumerate(command):
        if word == "--preset" and place + 1 < len(command):
            return command[place + 1]
        if word.startswith("--preset="):
            return word.removeprefix("--preset=")
    return None


def command_line(command: list[str]) -> str:
    """Return a run's command line, quoted for a shell."""
    return shlex.join(["genoevo", *command[1:]])
