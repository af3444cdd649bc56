"""A kind of runs: the interface of an adapter, and how the adapter of a run is found.

An adapter registers its kind as an entry point of the group ``genoevo.runs``. The name of the entry point is the
``format`` in ``run.json`` of its runs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

GROUP = "genoevo.runs"

Tell = Callable[[str], None]
"""What is called with a line for the user."""


def silent(line: str) -> None:
    """Tell nobody."""


class Progress(Protocol):
    """The progress of a run."""

    @property
    def steps(self) -> int:
        """Steps taken."""

    @property
    def score(self) -> float | None:
        """The adapter's measure of the run, higher is better; None until it was measured."""


Observer = Callable[[Progress], None]
"""Called while a run trains, as often as the adapter likes."""


class Training(Protocol):
    """A run that can be trained to its end."""

    @property
    def steps(self) -> int:
        """Steps taken."""

    def run(self) -> bool:
        """Train to the end that the settings define, and save; return False if it was stopped before.

        Foreseen errors are UserError, RunError and OSError.
        """

    def stop(self) -> None:
        """Make :meth:`run` save and return soon; an observer calls this."""

    def summary(self) -> dict[str, Any]:
        """Return the content of ``finished.json``, once the run has reached its end, as JSON values."""


class RunKind(Protocol):
    """The runs of one adapter.

    The module that the entry point names is imported before it is known whether the adapter's dependencies are
    installed. So it must not need them: methods import what they use.
    """

    format: str
    """``format`` of the runs' ``run.json``."""
    requirement: str
    """The requirement to install for such runs, for example ``genoevo[mega]``."""
    default_preset: str
    """The preset of a sweep that names none."""
    packages: tuple[str, ...]
    """The packages whose versions decide the bits of a run: all machines of a sweep must have the same ones."""

    def preset(self, name: str) -> dict[str, Any]:
        """Return the settings that a preset changes; ConfigError for an unknown name."""

    def build_config(self, *layers: dict[str, Any], tell: Tell = ...) -> Any:
        """Return the :class:`~genoevo_runs.settings.Settings` of nested dicts, later ones over earlier ones.

        One of the settings is ``seed``. *tell* is called with a line for each setting under an old name. ConfigError
        names a setting that is not allowed.
        """

    def register_code(self) -> None:
        """Register the settings that may name code, see :func:`genoevo_runs.user_code.register`."""

    def code(self, config: Any) -> dict[str, str]:
        """Return the values of the settings that may name code, by setting."""

    def check(self, config: Any) -> None:
        """Raise ConfigError for mistakes that show before the run begins; may import the code that *config* names."""

    def with_cores(self, config: Any, cores: int) -> Any:
        """Return *config* for a run on so many cores; a number of its own that *config* was given stays."""

    def open_config(self, directory: Path) -> Any:
        """Return the settings of a run; UserError if they cannot be read or name code that the user did not allow."""

    def create(self, directory: Path, config: Any, command: list[str], observer: Observer) -> Training:
        """Begin a run in a new directory, made by :mod:`genoevo_runs.rundir`; *command* goes into ``run.json``."""

    def resume(self, directory: Path, observer: Observer, tell: Tell = ...) -> Training:
        """Resume a run from its newest checkpoint; UserError if no checkpoint can be read.

        *tell* is called with a line for each thing that is not as it was, for example another machine.
        """

    def load_policy(self, directory: Path, **options: Any) -> Any:
        """Return the trained policies of a run, see :func:`genoevo.load_policy`."""


def find(format: str, directory: object) -> RunKind:
    """Return the kind of the run in *directory*, whose ``run.json`` has that format.

    ModuleNotFoundError if no installed package has registered it.
    """
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if format not in list(entries):
        known = ", ".join(sorted(entries)) or "none"
        raise ModuleNotFoundError(
            f"{directory} is a run of the format {format!r}, which no installed package reads (known: {known})"
        )
    kind: RunKind = entries[format].load()
    return kind
