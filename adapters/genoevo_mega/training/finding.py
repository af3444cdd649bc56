"""The checkpoints of a run directory: which there are, which one is asked for, and whether it is intact."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from genoevo import state as engine_state
from genoevo_mega.training import migrate
from genoevo_mega.training.checkpoint_files import CHECKPOINT, FORMAT, STATE, VERSION, Counters
from genoevo_runs import files, manifest
from genoevo_runs.errors import UserError
from genoevo_runs.manifest import BEST, LATEST, Segment, Which, newest_whole
from genoevo_runs.run_kind import Tell, silent


def candidates(directory: Path, which: Which = LATEST) -> list[Path]:
    """Return the checkpoints of a run directory that *which* allows, the preferred one first.

    Without *which* these are all, newest first. UserError if none is allowed, unless the latest is asked for.
    """
    if which == LATEST:
        return [*manifest.newest_first(directory), *of_version_2(directory)]
    found = manifest.chosen(directory, CHECKPOINT, which)
    return found or [old for old in of_version_2(directory) if which == BEST or read_state(old)["steps"] == which]


def of_version_2(directory: Path) -> list[Path]:
    """Return the checkpoints in the places of format version 2."""
    paths = [directory / name for name in migrate.CHECKPOINTS]
    return [files.inside(directory, path) for path in paths if (path / STATE).exists()]


def find(directory: Path, tell: Tell = silent, which: Which = LATEST) -> Path:
    """Return the checkpoint that *which* asks for, see :func:`genoevo_runs.manifest.chosen`.

    Only its own files are checked, not its replay. If it is corrupt, it is the next one that *which* allows, and
    *tell* is called with a line about each that is passed over. UserError if there is none.
    """
    found = candidates(directory, which)
    path, _ = newest_whole(found, lambda path: check(directory, path, replay=False), tell)
    if path is not None:
        return path
    quoted = shlex.quote(str(directory))
    if found:
        raise UserError(f"{directory} has no intact checkpoint; genoevo mega verify {quoted} tells why")
    raise UserError(f"{directory} holds no checkpoint yet; genoevo mega resume {quoted} starts it anew")


def check(directory: Path, path: Path, *, replay: bool) -> list[Segment]:
    """Return the segments of a checkpoint's replay; CorruptFileError if one of its files is corrupt.

    There are none if the replay was left out of an archive.
    """
    if migrate.is_version_2(path):  # it has no checksums
        read_state(path)
        return []
    content = manifest.read(path, CHECKPOINT)
    manifest.check(directory, path, content, replay=replay)
    return [] if manifest.left_out(path) else content.replay


def read_state(path: Path) -> dict[str, Any]:
    """Return counters, generators and times of a checkpoint of any version; CorruptFileError if they are corrupt."""
    file = path / STATE
    content = files.read_json(files.inside(path.parent, file), FORMAT, VERSION)
    with files.reading(file):
        state = manifest.parse(Counters, migrate.state(content))
        for name, rng in state.rngs.items():
            try:
                engine_state.generator_from_state(rng)
            except ValueError as error:
                raise ValueError(f"rngs.{name}: {error}") from None
    return dict(state.model_dump())
