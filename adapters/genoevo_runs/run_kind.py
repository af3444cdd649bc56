"""A kind of runs: what this package asks of an adapter, and how it finds the adapter of a run.

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


class Progress(Protocol):
    """How far a run has come, for those who watch it."""

    @property
    def steps(self) -> int:
        """Steps taken."""

    @property
    def score(self) -> float | None:
        """How well it does in its adapter's measure; None as long as nothing was measured."""


Observer = Callable[[Progress], None]
"""Called while a run trains, as often as the adapter likes."""


class Training(Protocol):
    """A run that can be brought to its end."""

    @property
    def steps(self) -> int:
        """Steps taken."""

    def run(self) -> bool:
        """Go on to the end that the settings say, and save; False if it was stopped before.

        Raises UserError, RunError or OSError for what is foreseen to go wrong.
        """

    def stop(self) -> None:
        """Let :meth:`run` save and return soon; called by an observer."""

    def summary(self) -> dict[str, Any]:
        """What is to be remembered of a run that has come to its end, as JSON values."""


class RunKind(Protocol):
    """The runs of one adapter.

    The module that an entry point names is imported before anybody knows whether the adapter's own dependencies are
    installed. It must do without them: methods import what they need.
    """

    format: str
    """``format`` of the runs' ``run.json``."""
    requirement: str
    """What pip installs for such runs, for example ``genoevo[mega]``."""
    default_preset: str
    """The preset of a sweep that names none."""

    def preset(self, name: str) -> dict[str, Any]:
        """The settings that a preset changes; ConfigError for an unknown name."""

    def build_config(self, *layers: dict[str, Any], tell: Tell = ...) -> Any:
        """A :class:`~genoevo_runs.settings.Settings` of nested dicts, later ones over earlier ones.

        One of its settings is ``seed``. *tell* gets a line for each setting that has a new name. ConfigError names
        the setting that is not allowed.
        """

    def code(self, config: Any) -> dict[str, str]:
        """The values of the settings that may name code, see :mod:`genoevo_runs.user_code`."""

    def check(self, config: Any) -> None:
        """ConfigError for what can be found wrong before the run begins; may import the code that *config* names."""

    def with_cores(self, config: Any, cores: int) -> Any:
        """The same settings, for a run that has *cores* of the machine; what *config* says of them stays."""

    def open_config(self, directory: Path) -> Any:
        """The settings of a run; UserError if it is another's, is damaged or names code that nobody allowed."""

    def create(self, directory: Path, config: Any, command: list[str], observer: Observer) -> Training:
        """Begin a run in a new directory, made by :mod:`genoevo_runs.rundir`; *command* goes into ``run.json``."""

    def resume(self, directory: Path, observer: Observer) -> Training:
        """Go on with a run from its newest checkpoint; UserError if none can be read."""

    def load_policy(self, directory: Path, **options: Any) -> Any:
        """The trained policies of a run, see :func:`genoevo.load_policy`."""


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
