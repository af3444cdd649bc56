"""Checkpoints on their way to the disk, beside the training that they are of.

:meth:`Writer.save` copies what training would change; a thread writes it. Everything is written under another name or
where nothing refers to it yet, brought to the disk and only then renamed, so that at every moment the directory holds
the checkpoints it held before or one more.
"""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file as save_tensors

from genoevo import state as engine_state
from genoevo_mega.agents.replay import Replay
from genoevo_mega.training import checkpoint
from genoevo_mega.training.state import Loaded, TrainingState
from genoevo_runs import files, manifest
from genoevo_runs.arrays import Ints
from genoevo_runs.errors import DamagedError, StorageError, UserError
from genoevo_runs.manifest import AGENT, ARRAYS, CHECKPOINTS, COMMUNITY, REPLAY, STATE, File, Manifest, Segment
from genoevo_runs.metrics import METRICS

# Small segments are joined until they hold this share of the replay: their number is bounded, whatever the interval.
_JOINED = 1 / 64


@dataclass(frozen=True)
class _Rows:
    """Rows of the replay that are in no segment yet."""

    first: Ints
    last: Ints
    rows: dict[str, npt.NDArray[Any]]


def _new_rows(replay: Replay, segments: list[Segment]) -> tuple[list[Segment], _Rows | None]:
    """The segments to name again, and copies of all later rows."""
    oldest, last = replay.oldest, replay.written.copy()
    kept = [segment for segment in segments if (segment.bounds[1] > oldest).any()]
    first = np.maximum(kept[-1].bounds[1], oldest) if kept else oldest
    if not (last > first).any():
        return kept, None
    limit = _JOINED * replay.valid.size
    while kept and sum(kept[-1].last) - sum(kept[-1].first) <= min((last - first).sum(), limit):
        first = np.maximum(kept.pop().bounds[0], oldest)
    return kept, _Rows(first, last, replay.rows(first, last))


class Writer:
    """Writes the checkpoints of one run, one at a time, and removes those that are no longer kept.

    Parameters
    ----------
    directory
        The run directory, which this process has locked.
    keep
        The newest checkpoints that are kept, beside that of the best policy.
    loaded
        What the run goes on from.

    Raises
    ------
    UserError
        Where the directory holds a later checkpoint than *loaded*.
    StorageError
        From :meth:`save`, :meth:`check` and :meth:`wait`, where a checkpoint could not be written; those before it
        are as they were.

    """

    def __init__(self, directory: Path, keep: int, loaded: Loaded) -> None:
        self.directory, self._keep = directory, keep
        self._loaded = loaded
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        later = [path for path in checkpoint.candidates(directory) if path not in loaded.damaged]
        if later[:1] != [loaded.path] * len(later[:1]):
            raise UserError(f"{directory} was written by another process in the meantime; resume it again")
        try:
            while loaded.damaged:
                _set_aside(loaded.damaged.pop())
            # Numbers of segments are never used again, so that none is taken for another.
            folder = directory / REPLAY
            names = [path.name.partition(".")[0] for path in folder.iterdir()] if folder.is_dir() else []
            self._number = max((int(name) for name in names if name.isdigit()), default=0)
        except OSError as error:
            raise self._error(error) from None

    def save(self, state: TrainingState) -> None:
        """Begin to write the present *state*; waits for the one before it."""
        self.wait()
        kept, new = _new_rows(state.replay, self._loaded.segments)
        snapshot = checkpoint.snapshot(state)
        self._thread = threading.Thread(target=self._run, args=(snapshot, kept, new), name="checkpoint")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._thread is not None and self._thread.is_alive()

    def check(self) -> None:
        """Raise what went wrong in the background."""
        if self._failed is not None:
            raise self._error(self._failed) from self._failed

    def wait(self) -> None:
        """Until the last checkpoint is on the disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _error(self, error: BaseException) -> StorageError:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        )
        return StorageError(
            f"{self.directory}: the checkpoint cannot be written: {reason}; the last one is as it was: mend that, "
            f"then genoevo mega resume {self.directory}"
        )

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.wait()
        elif self._thread is not None:
            self._thread.join()  # what ended the run is the error to tell

    def _run(self, snapshot: checkpoint.Snapshot, kept: list[Segment], new: _Rows | None) -> None:
        try:
            if new is not None:
                kept = [*kept, self._write_segment(new)]
            self._loaded.path, self._loaded.segments = self._write(snapshot, kept), kept
            self._prune()
        except BaseException as error:  # told in the thread that trains
            self._failed = error

    def _write_segment(self, new: _Rows) -> Segment:
        self._number += 1
        path = self.directory / REPLAY / f"{self._number:06d}.safetensors"
        if not path.parent.is_dir():
            path.parent.mkdir()
            files.sync(self.directory)
        save_arrays(new.rows, path, {"format": manifest.SEGMENT, "version": str(manifest.SEGMENT_VERSION)})
        files.sync(path)
        files.sync(path.parent)
        size, digest = path.stat().st_size, files.sha256(path)
        return Segment(name=path.name, size=size, sha256=digest, first=new.first.tolist(), last=new.last.tolist())

    def _write(self, snapshot: checkpoint.Snapshot, segments: list[Segment]) -> Path:
        folder = self.directory / CHECKPOINTS
        if not folder.is_dir():
            folder.mkdir()
            files.sync(self.directory)
        path = folder / manifest.name_after(self.directory, snapshot.step)
        beside = path.with_name(f"{path.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        marks = {"format": manifest.FORMAT, "version": str(manifest.VERSION)}
        save_tensors(snapshot.tensors, beside / AGENT, marks)
        save_arrays(snapshot.arrays, beside / ARRAYS, marks)
        engine_state.save(beside / COMMUNITY, snapshot.community)
        (beside / STATE).write_text(json.dumps(snapshot.state.model_dump()), encoding="utf-8")
        entries = [
            File(name=name, size=(beside / name).stat().st_size, sha256=files.sha256(beside / name))
            for name in (AGENT, ARRAYS, COMMUNITY, STATE)
        ]
        manifest.write(beside, Manifest(step=snapshot.step, score=snapshot.score, files=entries, replay=segments))
        for written in [*beside.iterdir(), beside, self.directory / METRICS]:
            files.sync(written)
        beside.rename(path)
        files.sync(folder)
        return path

    def _prune(self) -> None:
        """Remove what no kept checkpoint needs, and what a crash has left."""
        manifests: dict[Path, Manifest] = {}
        for path in manifest.newest_first(self.directory):
            try:
                manifests[path] = manifest.read(path)
            except DamagedError:
                continue  # not ours to remove
        kept = set(list(manifests)[: self._keep]) | {manifest.best(manifests)}
        needed = {segment.name for path in manifests if path in kept for segment in manifests[path].replay}
        for path in manifests.keys() - kept:
            path.rename(path.with_name(f"{path.name}.old"))
        for path in checkpoint.of_version_2(self.directory):
            path.rename(self.directory / CHECKPOINTS / f"{path.name}.old")
        for path in (self.directory / CHECKPOINTS).iterdir():
            if path.suffix in (".old", ".new"):
                shutil.rmtree(path)
        for path in (self.directory / REPLAY).glob("*.safetensors"):
            if path.name not in needed:
                path.unlink()


def _set_aside(damaged: Path) -> None:
    # Under a name that is no checkpoint's: it would pass for the newest.
    for number in itertools.count(1):
        beside = damaged.with_name(f"{damaged.name}.damaged" + (f"-{number}" if number > 1 else ""))
        if not beside.exists():
            damaged.rename(beside)
            return
