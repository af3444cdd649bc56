"""The checkpoints of a run directory, written in a thread while training continues.

:meth:`CheckpointStore.save` is given copies of everything that training changes. A checkpoint is written under
another name, synced to the disk and only then renamed. So the directory always holds the checkpoints it held before,
or one more.
"""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from safetensors.numpy import save_file as save_arrays

from genoevo import state as engine_state
from genoevo_runs import files, manifest
from genoevo_runs.arrays import Arrays, Ints
from genoevo_runs.errors import RunError, StorageError, UserError
from genoevo_runs.manifest import CHECKPOINTS, REPLAY, File, Format, Manifest, Score, Segment
from genoevo_runs.metrics import METRICS


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint, without the finished rows of the replay; shares no memory with the run.

    ``files`` are the contents by file name: arrays by name for ``.safetensors``, a state of :mod:`genoevo.state` for
    ``.npz``, JSON values for ``.json``.
    """

    step: int
    score: Score | None
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class NewRows:
    """The part of a replay that its last checkpoint does not hold.

    ``kept`` are the segments that the next checkpoint refers to as well. ``rows`` are copies of all later rows, None
    if there are none; their numbers are ``first`` to ``last`` (excluded), int64 (tasks,) each.
    """

    kept: list[Segment]
    first: Ints
    last: Ints
    rows: Arrays | None


@dataclass
class Loaded:
    """The checkpoint that a run was loaded from, or last written to; None for a new run.

    ``segments`` are those of its replay. ``damaged`` are the corrupt checkpoints that were newer, ``later`` the
    intact ones from which the run is not to be resumed. Both are set aside when the run continues; ``on_continue``
    are called then, once.
    """

    path: Path | None = None
    segments: list[Segment] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    later: list[Path] = field(default_factory=list)
    on_continue: list[Callable[[], None]] = field(default_factory=list)


class CheckpointStore:
    """A writer of the checkpoints of one run, one at a time, that removes old ones.

    Parameters
    ----------
    directory
        The run directory, which this process has locked.
    kind
        The format of its checkpoints.
    keep
        The number of checkpoints to keep, in addition to the one with the best policy.
    loaded
        The checkpoint that the run resumes from.
    resume
        The command that resumes the run, for messages.
    earlier
        Returns the checkpoints of a run directory that earlier versions wrote in other places. They are removed after
        the first new checkpoint.
    check_lock
        Raises a RunError if this process has lost its lock. Nothing is written then.

    Raises
    ------
    UserError
        If the directory holds a later checkpoint than *loaded*, or a folder is a link that leads out of it.
    StorageError
        From :meth:`save`, :meth:`check` and :meth:`wait`, if a checkpoint could not be written. Earlier ones are
        intact.

    """

    def __init__(
        self,
        directory: Path,
        kind: Format,
        keep: int,
        loaded: Loaded,
        resume: str,
        earlier: Callable[[Path], list[Path]] = lambda directory: [],
        check_lock: Callable[[], None] = lambda: None,
    ) -> None:
        for folder in (CHECKPOINTS, REPLAY):  # files there will be removed
            files.inside(directory, directory / folder)
        self.directory, self._kind, self._keep = directory, kind, keep
        self._loaded, self._resume, self._earlier = loaded, resume, earlier
        self._check_lock = check_lock
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        found = [*manifest.newest_first(directory), *earlier(directory)]
        later = [path for path in found if path not in (*loaded.damaged, *loaded.later)]
        if later[:1] != [loaded.path] * len(later[:1]):
            raise UserError(f"{directory} was written by another process in the meantime; resume it again")
        try:
            for paths, suffix in ((loaded.damaged, "damaged"), (loaded.later, "later")):
                while paths:
                    _set_aside(paths.pop(), suffix)
            while loaded.on_continue:
                loaded.on_continue.pop()()
            # The number of a segment is never reused, so that no segment can be taken for another.
            folder = directory / REPLAY
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            names += [
                segment.name for content in manifest.read_all(directory, kind).values() for segment in content.replay
            ]
            numbers = (name.partition(".")[0] for name in names)
            self._number = max((int(number) for number in numbers if number.isdigit()), default=0)
        except OSError as error:
            raise self._error(error) from None

    @property
    def segments(self) -> list[Segment]:
        """The segments of the last checkpoint; waits until it is written."""
        self.wait()
        return self._loaded.segments

    def save(self, snapshot: Snapshot, new: NewRows | None = None) -> None:
        """Start writing a checkpoint, with the *new* rows of a replay; waits for the previous one."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(snapshot, new), name="checkpoint")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._thread is not None and self._thread.is_alive()

    def best_evaluation(self) -> float:
        """Return the highest success of an evaluation of a checkpoint's own policy, -1 if there is none; waits."""
        self.wait()
        scores = [content.own_score for content in manifest.read_all(self.directory, self._kind).values()]
        return max((score.success for score in scores if score and score.evaluated), default=-1.0)

    def check(self) -> None:
        """Raise StorageError if the writing thread has failed, RunError if the lock is lost."""
        if self._failed is not None:
            raise self._error(self._failed) from self._failed
        self._check_lock()

    def wait(self) -> None:
        """Wait until the last checkpoint is on the disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _error(self, error: BaseException) -> RunError:
        if isinstance(error, RunError):
            return error
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        )
        return StorageError(
            f"{self.directory}: the checkpoint cannot be written: {reason}; the last one is as it was: mend that, "
            f"then {self._resume}"
        )

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.wait()
        elif self._thread is not None:
            self._thread.join()  # the error that ended the run is the one to report

    def _run(self, snapshot: Snapshot, new: NewRows | None) -> None:
        try:
            segments = [] if new is None else list(new.kept)
            if new is not None and new.rows is not None:
                segments.append(self._write_segment(new, new.rows))
            self._loaded.path, self._loaded.segments = self._write(snapshot, segments), segments
            self._prune()
        except BaseException as error:  # raised in the training thread, by check()
            self._failed = error

    def _write_segment(self, new: NewRows, rows: Arrays) -> Segment:
        self._number += 1
        path = self.directory / REPLAY / f"{self._number:06d}.safetensors"
        if not path.parent.is_dir():
            path.parent.mkdir()
            files.sync(self.directory)
        save_arrays(rows, path, {"format": self._kind.rows, "version": str(self._kind.rows_version)})
        files.sync(path)
        files.sync(path.parent)
        size, digest = path.stat().st_size, files.sha256(path)
        return Segment(name=path.name, size=size, sha256=digest, first=new.first.tolist(), last=new.last.tolist())

    def _write(self, snapshot: Snapshot, segments: list[Segment]) -> Path:
        folder = self.directory / CHECKPOINTS
        if not folder.is_dir():
            folder.mkdir()
            files.sync(self.directory)
        path = folder / manifest.name_after(self.directory, snapshot.step)
        beside = path.with_name(f"{path.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        marks = {"format": self._kind.name, "version": str(self._kind.version)}
        for name, content in snapshot.files.items():
            _write_file(beside / name, content, marks)
        entries = [
            File(name=name, size=(beside / name).stat().st_size, sha256=files.sha256(beside / name))
            for name in snapshot.files
        ]
        written = Manifest(
            format=self._kind.name,
            version=self._kind.version,
            step=snapshot.step,
            score=snapshot.score,
            files=entries,
            replay=segments,
        )
        manifest.write(beside, written)
        for item in [*beside.iterdir(), beside, self.directory / METRICS]:
            files.sync(item)
        self._check_lock()
        beside.rename(path)
        files.sync(folder)
        return path

    def _prune(self) -> None:
        """Remove everything that no kept checkpoint needs, and the leftovers of a crash."""
        manifests = manifest.read_all(self.directory, self._kind)  # corrupt ones are not ours to remove
        last_of_step = {content.step: path for path, content in reversed(manifests.items())}
        newest = [path for path in manifests if path in last_of_step.values()]
        kept = {*newest[: self._keep], manifest.best({path: manifests[path] for path in newest})}
        needed = {segment.name for path in manifests if path in kept for segment in manifests[path].replay}
        for path in manifests.keys() - kept:
            path.rename(path.with_name(f"{path.name}.old"))
        for path in self._earlier(self.directory):
            path.rename(self.directory / CHECKPOINTS / f"{path.name}.old")
        for path in (self.directory / CHECKPOINTS).iterdir():
            if path.suffix in (".old", ".new"):
                shutil.rmtree(path)
        for path in (self.directory / REPLAY).glob("*.safetensors"):
            if path.name not in needed:
                path.unlink()


def _write_file(path: Path, content: dict[str, Any], marks: dict[str, str]) -> None:
    if path.suffix == ".safetensors":
        save_arrays(content, path, marks)
    elif path.suffix == ".npz":
        engine_state.save(path, content)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")


def _set_aside(path: Path, suffix: str) -> None:
    # Its new name is not a checkpoint's name, or it would count as the newest.
    for number in itertools.count(1):
        beside = path.with_name(f"{path.name}.{suffix}" + (f"-{number}" if number > 1 else ""))
        if not beside.exists():
            path.rename(beside)
            return
