"""Reads run directories: the one place of the report that knows their files."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.config.run import Config
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_runs.arrays import Doubles, Ints
from genoevo_runs.errors import UserError
from genoevo_runs.metrics import METRICS, TIME


@dataclass
class Log:
    """A run's ``metrics.jsonl`` and ``time.jsonl``, by round; R rounds, T tasks, ``size`` genotypes per task.

    Attributes
    ----------
    tasks
        The names, in the run's order.
    steps, pool_size
        (R,) int64.
    success, returns
        (R, T) float64: means over the round's ``episodes`` (R, T) int64.
    stage, effective
        (R, T) int64: after the round, and of the elite that it found.
    elites
        Each task's present elite as a bit string; none in a run whose structure does not evolve.
    survivors, children
        (R, T) and (R, T, size - 1, 3) int64, as the record ``genealogy``; no rows in a run that does not evolve.
    evaluations
        The records of greedy evaluations.
    times
        The records of ``time.jsonl``, one per round, repeated rounds of a resumed run once.

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
    evaluations: list[dict[str, Any]]
    times: list[dict[str, float]]

    @property
    def rounds(self) -> int:
        """How many rounds are on record."""
        return len(self.steps)


@dataclass
class LoggedRun:
    """A run as the report sees it; ``info`` is that of ``experiments.runs``, None before a checkpoint."""

    name: str
    directory: Path
    config: Config
    command: list[str]
    log: Log
    info: dict[str, Any] | None


class RunReader:
    """Reads one run again and again while it grows, only what is new of it.

    Raises UserError where *directory* is no run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = runs.open_config(directory)
        self._metrics, self._times = _Lines(directory / METRICS), _Lines(directory / TIME)
        self._info: tuple[str, dict[str, Any] | None] = "", None

    @property
    def version(self) -> tuple[int | str, ...]:
        """Changes whenever the files do."""
        return (*self._metrics.version, *self._times.version, self._newest_checkpoint())

    def read(self) -> LoggedRun:
        """The run as it is now; UserError where a file is damaged."""
        log = _log(self._metrics.read(), _by_step(self._times.read()))
        command = runs.read_origin(self.directory)["command"]
        name = self.directory.resolve().name
        return LoggedRun(name, self.directory, self.config, command, log, self._read_info())

    def _newest_checkpoint(self) -> str:
        return next((path.name for path in checkpoint.candidates(self.directory)), "")

    def _read_info(self) -> dict[str, Any] | None:
        newest = self._newest_checkpoint()
        if newest and newest != self._info[0]:
            # What this cannot be read for, damage or a later one that has just taken its place, is no reason to show
            # nothing of the run.
            with suppress(UserError, OSError):
                self._info = newest, runs.info(self.directory)
        return self._info[1]


@dataclass
class _Lines:
    """The JSON lines of a file that another process appends to, and cuts when it resumes."""

    path: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    offset: int = 0
    last: bytes = b""

    @property
    def version(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def read(self) -> list[dict[str, Any]]:
        """All complete lines; UserError names one that is not JSON."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset - len(self.last))
            if file.read(len(self.last)) != self.last:
                self.records, self.offset, self.last = [], 0, b""
                file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # its writer is not done with it
                try:
                    self.records.append(json.loads(line))
                except ValueError:
                    number = len(self.records) + 1
                    raise UserError(f"{self.path}: line {number} is damaged: {line[:60]!r}") from None
                self.offset, self.last = self.offset + len(line), line
        return self.records


def _by_step(times: list[dict[str, float]]) -> list[dict[str, float]]:
    return list({record["step"]: record for record in times}.values())


def _log(records: list[dict[str, Any]], times: list[dict[str, float]]) -> Log:
    rounds = [record for record in records if record["kind"] == "round"]
    tasks = list(rounds[0]["success"]) if rounds else []
    elites: dict[str, str] = {}
    for record in rounds:
        elites |= record.get("elite", {})
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
            evaluations=[record for record in records if record["kind"] == "evaluation"],
            times=times,
        )
    except KeyError as error:
        raise UserError(f"{METRICS} lacks {error} in a round: an older version wrote it") from None


def _table(rounds: list[dict[str, Any]], name: str, kind: type) -> npt.NDArray[Any]:
    return np.array([list(record[name].values()) for record in rounds], kind)


def preset_of(command: list[str]) -> str | None:
    """The preset that a run's command line names, None where it names none."""
    for place, word in enumerate(command):
        if word == "--preset" and place + 1 < len(command):
            return command[place + 1]
        if word.startswith("--preset="):
            return word.removeprefix("--preset=")
    return None


def command_line(command: list[str]) -> str:
    """A run's command line as a shell takes it."""
    return shlex.join(["genoevo", *command[1:]])
