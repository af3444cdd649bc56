"""The command that resumes a run, for messages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genoevo_mega.config.code import options
from genoevo_mega.config.run import Config
from genoevo_mega.envs.errors import RolloutError
from genoevo_runs.checkpoint_store import Loaded


def resume_command(directory: Path, config: Config, steps: int | None = None) -> str:
    """Return the command, for a shell; it allows the code that the run's settings name.

    It trains until *steps* environment steps; None for those of the settings.
    """
    total = "" if steps in (None, config.steps) else f" --steps {steps}"
    return f"genoevo mega resume {shlex.quote(str(directory))}{options(config.code)}{total}"


@contextmanager
def naming(command: str, loaded: Loaded) -> Iterator[None]:
    """Add to a RolloutError the command that resumes the run, if it has the checkpoint *loaded*."""
    try:
        yield
    except RolloutError as error:
        last = f"{command} continues from the last checkpoint" if loaded.path else "there is no checkpoint yet"
        raise RolloutError(f"{error}; {last}") from error
