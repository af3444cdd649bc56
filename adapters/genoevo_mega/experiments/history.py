"""What ``run.json`` notes of a run after its beginning: its settings, and how they were changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from genoevo_mega.config.changes import Changes, changes, refuse_fixed
from genoevo_mega.config.run import Config, dump_config
from genoevo_mega.envs.probe import Findings
from genoevo_mega.experiments.moving import Stint
from genoevo_runs import files
from genoevo_runs.errors import CorruptFileError
from genoevo_runs.manifest import Count, Record, parse
from genoevo_runs.rundir import CONFIG, ORIGIN

Pair = Annotated[list[Any], Field(min_length=2, max_length=2)]


class Change(Record):
    """A time at which a run was resumed in another way than it was interrupted.

    ``step`` and ``checkpoint`` say from where, ``settings`` have the values before and after.
    """

    step: Count
    checkpoint: str | None
    time: str
    command: list[str]
    settings: dict[str, Pair]

    @classmethod
    def now(cls, step: int, checkpoint: Path | None, command: list[str], found: Changes) -> Change:
        """Return a change that is made now."""
        return cls(
            step=step,
            checkpoint=checkpoint and checkpoint.name,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            settings={name: list(pair) for name, pair in found.items()},
        )


class Target(Record):
    """The parameters that were asked for, None if the network was not sized, and those of the network."""

    target: Count | None
    parameters: Count


class Matched(Record):
    """The sizes of actor and critic in a run with ``match_parameters``."""

    to: str | int
    actor: Target
    critic: Target


class Noted(BaseModel):
    """The entries of ``run.json`` that this version reads, beside others."""

    model_config = ConfigDict(extra="ignore", strict=True)

    command: list[str] = Field(default_factory=list)
    match_parameters: Matched | None = None
    nondeterministic: dict[str, Count] = Field(default_factory=dict)
    timed: dict[str, Count] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    history: list[Change] = Field(default_factory=list)
    machines: list[Stint] = Field(default_factory=list)

    @property
    def findings(self) -> Findings:
        """What was odd about the suite when the run began."""
        return Findings(self.nondeterministic, self.timed)


def noted(directory: Path, origin: dict[str, Any]) -> Noted:
    """Return the entries of ``run.json``, whose content is *origin*; CorruptFileError names one that is wrong."""
    with files.reading(directory / ORIGIN):
        found: Noted = parse(Noted, origin)
    return found


def edits(directory: Path, origin: dict[str, Any], config: Config) -> Changes:
    """Return how ``config.yaml``, read as *config*, was edited since the run was last begun or resumed.

    Nothing is known of runs that earlier versions began.
    """
    return changes(noted(directory, origin).settings, config)


@contextmanager
def naming_edits(directory: Path, origin: dict[str, Any], config: Config) -> Iterator[None]:
    """Raise ConfigError for a setting that was edited and cannot change, when a checkpoint does not fit it.

    The checkpoint is then not corrupt.
    """
    try:
        yield
    except CorruptFileError:
        refuse_fixed(edits(directory, origin, config), f"{directory / CONFIG}: ")
        raise


def record(
    directory: Path, origin: dict[str, Any], config: Config, change: Change | None, stint: Stint | None
) -> None:
    """Write *config* as the run's, and what is new into its ``run.json``, whose content is *origin*.

    The caller holds the lock of the directory.
    """
    known, content = noted(directory, origin), {**origin}
    if stint:
        content["machines"] = [entry.model_dump() for entry in (*known.machines, stint)]
    if change:
        content["settings"] = config.model_dump(mode="json")
        content["history"] = [entry.model_dump() for entry in (*known.history, change)]
        # In this order: if only this is written, the next resume finds an edited file and notes it.
        files.replace(directory / CONFIG, dump_config(config))
    files.replace(directory / ORIGIN, json.dumps(content, indent=2))
