"""A sweep: many runs that one file describes.

The file is YAML. This one is of MEGA's runs::

    question: Does the start stage matter?
    preset: synthetic
    settings: {steps: 60000}                  # of every run; names may be dotted
    seeds: 5                                  # 1 to 5; or a list
    grid:                                     # every combination
      genotypes.start_stage: [1, 3]
      growth.fill: [random, preserve]
    runs:                                     # and each of these with every combination
      grows: {}
      fixed: {growth.max_modules: 3}
    scales:                                   # what changes with --scale
      paper: {preset: mt10, seeds: 3, settings: {steps: 20000000}}

Each run has a directory of its own, ``DIR/NAME/SEED``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from genoevo_runs import yaml_text
from genoevo_runs.errors import ConfigError, UserError, abbreviated, nearest, refuse_address
from genoevo_runs.run_kind import RunKind, Tell, silent
from genoevo_runs.rundir import is_run
from genoevo_runs.settings import Count, Settings, comparable, explain, merge, nested, read_config
from genoevo_runs.user_code import check_allowed

FINISHED = "finished.json"
"""The file that a run's directory holds once the run has reached its end."""

SEED = "seed"
"""The setting that tells the runs of one method apart."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Values = dict[str, Any]
Grid = dict[str, Annotated[list[Any], Field(min_length=1)]]
Seeds = Count | Annotated[list[Seed], Field(min_length=1)]


class Scale(Settings):
    """The part of a sweep's file that one scale replaces; ``settings`` are merged instead."""

    preset: str | None = None
    settings: Values = Field(default_factory=dict)
    grid: Grid | None = None
    runs: dict[str, Values] | None = None
    seeds: Seeds | None = None


class SweepFile(Settings):
    """A sweep's file; the module's docstring has an example."""

    question: str = ""
    """The question that the runs are to answer; for readers alone."""
    preset: str
    settings: Values = Field(default_factory=dict)
    grid: Grid = Field(default_factory=dict)
    runs: dict[str, Values] = Field(default_factory=dict)
    seeds: Seeds = 5
    scales: dict[str, Scale] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _seeds_are_the_seeds(self) -> SweepFile:
        for prefix, part in [("", self), *((f"scales.{name}.", scale) for name, scale in self.scales.items())]:
            runs = {f"runs.{name}": values for name, values in (part.runs or {}).items()}
            for place, given in {"settings": part.settings, "grid": part.grid or {}, **runs}.items():
                if SEED in given:
                    raise ValueError(
                        f"{prefix}{place}: {SEED} = {abbreviated(given[SEED])}: must be left out; "
                        "the seeds of all runs are seeds, a number of them or a list"
                    )
        return self

    def at(self, scale: str | None) -> SweepFile:
        """Return the file at that scale, or unchanged for None; ConfigError if it has no such scale."""
        if scale is None:
            return self
        if scale not in self.scales:
            known = list(self.scales)
            allowed = f"one of {', '.join(known)}" if known else "left out: this file has no scales"
            raise ConfigError(f"scale = {scale!r}: must be {allowed}{nearest(scale, known)}")
        change = self.scales[scale]
        given = {name: value for name, value in change if value is not None and name != "settings"}
        settings = merge(nested(self.settings), nested(change.settings))
        return self.model_copy(update={**given, "settings": settings})


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of a sweep, whether it has begun or not."""

    kind: RunKind
    name: str
    seed: int
    config: Settings
    directory: Path

    def on(self, cores: int) -> PlannedRun:
        """Return this run on so many cores; a number of its own in the file or the preset stays."""
        return replace(self, config=self.kind.with_cores(self.config, cores))

    @property
    def state(self) -> str:
        """``new``, ``begun`` or ``done``; UserError if its directory holds a run of other settings."""
        if not is_run(self.directory):
            return "new"
        there = self.kind.open_config(self.directory)
        if comparable(there) != comparable(self.config):
            changed = _first_difference(comparable(there), comparable(self.config))
            raise UserError(f"{self.directory} is a run of other settings: {changed}; choose another --dir")
        return "done" if (self.directory / FINISHED).exists() else "begun"


def read_sweep(kind: RunKind, path: Path, scale: str | None = None) -> SweepFile:
    """Read a sweep's file at a scale, None for none; ConfigError names the mistake in it."""
    try:
        return SweepFile.model_validate({"preset": kind.default_preset, **read_config(path)}).at(scale)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, SweepFile, list(SweepFile.model_fields))}") from None


def plan(kind: RunKind, sweep: SweepFile, file: Path, directory: Path, tell: Tell = silent) -> list[PlannedRun]:
    """Return the runs of a sweep, seed by seed, so that every method has its first result early.

    Parameters
    ----------
    kind
        The kind of all its runs.
    sweep, file
        The sweep, and the file that it was read from.
    directory
        The directory of the sweep.
    tell
        Called with a line for each old name of a setting.

    Raises
    ------
    ConfigError
        If the settings of a run are not allowed; the message names the run. Or if *directory* is an address.
    UserError
        If the file names code that the user did not allow.

    """
    refuse_address("dir", directory)
    seeds = sweep.seeds if isinstance(sweep.seeds, list) else list(range(1, sweep.seeds + 1))
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds = {seeds}: each may be named once")
    kind.register_code()
    planned: list[PlannedRun] = []
    lines: list[str] = []
    for seed in seeds:
        for name, settings in _variants(sweep):
            try:
                given = merge(nested(sweep.settings), nested(settings))
                config = kind.build_config(kind.preset(sweep.preset), given, {SEED: seed}, tell=lines.append)
                check_allowed(kind.code(config), file)
                kind.check(config)
            except ConfigError as error:
                raise ConfigError(f"run {name!r}: {error}") from None
            planned.append(PlannedRun(kind, name, seed, config, directory / name / str(seed)))
    for line in dict.fromkeys(lines):
        tell(line)
    return planned


def prepare(directory: Path, sweep: SweepFile) -> None:
    """Make the sweep's directory with a copy of its file; UserError if it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        text = yaml_text.dump(sweep.model_dump(mode="json", exclude={"scales"}))
        (directory / "sweep.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"dir = {str(directory)!r}: cannot be written: {error.strerror}") from None


def _variants(sweep: SweepFile) -> list[tuple[str, Values]]:
    names = _short_names(list(sweep.grid))
    variants = []
    for run, settings in (sweep.runs or {"": {}}).items():
        if run and ("/" in run or run.startswith(".")):
            raise ConfigError(f"runs: {run!r} names a directory, so it must hold no / and begin with no dot")
        for values in itertools.product(*sweep.grid.values()):
            parts = [f"{names[key]}={_plain(value)}" for key, value in zip(sweep.grid, values, strict=True)]
            name = ",".join([run, *parts] if run else parts) or "run"
            variants.append((name, {**dict(zip(sweep.grid, values, strict=True)), **settings}))
    if len({name for name, _ in variants}) != len(variants):
        raise ConfigError("grid: each value may be named once")
    return variants


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    last = [key.rpartition(".")[2] for key in keys]
    return {key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)}


def _plain(value: Any) -> str:
    return str(value).replace("/", "_")


def _first_difference(there: Values, asked: Values, prefix: str = "") -> str:
    for name, value in asked.items():
        if there.get(name) == value:
            continue
        if isinstance(value, dict) and isinstance(there.get(name), dict):
            return _first_difference(there[name], value, f"{prefix}{name}.")
        return f"{prefix}{name} is {there.get(name)!r} there, {value!r} is asked for"
    return "it has settings that this version does not know"
