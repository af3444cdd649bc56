"""Runs as archives: which files of a run directory go in, and what is checked when they come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genoevo_mega.experiments import runs
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_mega.training.finding import of_version_2
from genoevo_runs import archive, manifest
from genoevo_runs.archive_reader import Progress
from genoevo_runs.errors import CorruptFileError, UserError, refuse_address
from genoevo_runs.lock import locked
from genoevo_runs.run_kind import Tell, silent

_SKIPPED = {"lock", "wandb"}
"""What belongs to this machine: the lock, and the local copy of what a service has."""


def default_out(directory: Path) -> Path:
    """Return the path of a run's archive beside its directory."""
    return directory.parent / f"{directory.resolve().name}.tar"


def pack_run(
    directory: Path, out: Path, *, replay: bool = True, tell: Tell = silent, progress: Progress = lambda done: None
) -> dict[str, Any]:
    """Write a run, whose checkpoints are checked first, to the new archive *out*.

    The result has, as JSON values, ``archive``, ``sha256``, ``bytes``, ``files``, ``checkpoints`` and ``replay``.

    Without *replay* its checkpoints are marked, so that a resume begins with an empty replay. UserError if another
    process trains in the directory, CorruptFileError if a checkpoint is corrupt.
    """
    runs.read_origin(directory)
    refuse_address("out", out)
    if out.resolve().is_relative_to(directory.resolve()):
        raise UserError(f"out = {str(out)!r}: must lie outside of the run directory")
    with locked(directory, tell):
        _check(directory, replay=replay)
        checkpoints = manifest.newest_first(directory)
        marked = [] if replay else [path for path in checkpoints if not manifest.left_out(path)]
        if not replay and of_version_2(directory):
            raise UserError(f"{directory} has checkpoints of format version 2, whose replay cannot be left out")
        names = _names(directory, checkpoints, replay=replay)
        added = [f"{(path / manifest.LEFT_OUT).relative_to(directory)}" for path in marked]
        digest = archive.pack(directory, names, out, kind=runs.FORMAT, replay=replay, added=added, progress=progress)
    return {
        "archive": str(out),
        "sha256": digest,
        "bytes": out.stat().st_size,
        "files": len(names) + len(added),
        "checkpoints": len(checkpoints),
        "replay": replay,
    }


def unpack_run(file: Path, directory: Path, progress: Progress = lambda done: None) -> dict[str, Any]:
    """Unpack an archive into the new *directory*, and check it and the run in it.

    The result has ``directory``, ``files``, ``checkpoints`` and ``replay``. For what is raised, see
    :func:`genoevo_runs.archive.unpack`; UserError, too, if the run is of another kind or a later version.
    """
    refuse_address("dir", directory)
    index = archive.unpack(file, directory, lambda folder: _check(folder, replay=True), progress)
    return {
        "directory": str(directory),
        "files": len(index.files),
        "checkpoints": len(manifest.newest_first(directory)),
        "replay": index.replay,
    }


def _check(directory: Path, *, replay: bool) -> None:
    """Raise CorruptFileError or UserError for settings, origin or a checkpoint that cannot be read."""
    runs.read_origin(directory)
    runs.open_config(directory, runs_code=False)
    for path in manifest.newest_first(directory):
        manifest.check(directory, path, manifest.read(path, CHECKPOINT), replay=replay)


def _names(directory: Path, checkpoints: list[Path], *, replay: bool) -> list[str]:
    """Return the paths of a run's files, without what no checkpoint needs and what a killed process left."""
    needed = {
        segment.name
        for path in checkpoints
        if replay and not manifest.left_out(path)
        for segment in manifest.read(path, CHECKPOINT).replay
    }
    kept = {path.name for path in checkpoints}
    found = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        first, second = name.parts[0], (*name.parts, "")[1]
        if first in _SKIPPED or path.suffix == ".tmp" or any(part.startswith(".") for part in name.parts):
            continue
        if (first == manifest.CHECKPOINTS and second not in kept) or (
            first == manifest.REPLAY and second not in needed
        ):
            continue
        if path.is_symlink():
            raise CorruptFileError(path, "it is a link; an archive holds files alone")
        if not path.is_dir():
            found.append(name.as_posix())
    return found
