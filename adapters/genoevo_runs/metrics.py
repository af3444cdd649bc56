"""The metrics of a run: JSON lines, and the same numbers for its loggers.

``metrics.jsonl`` holds only what the seed decides: an interrupted and resumed run writes the same bytes as one that
was never interrupted. Wall times go to ``time.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genoevo_runs import files
from genoevo_runs.errors import StorageError, UserError, abbreviated
from genoevo_runs.loggers import Logger, open_logger
from genoevo_runs.user_code import line

METRICS, TIME = "metrics.jsonl", "time.jsonl"


class MetricsWriter:
    """A writer that appends records to the files of a run directory.

    Parameters
    ----------
    directory
        The run directory.
    loggers
        Their names, see :mod:`genoevo_runs.loggers`.
    settings
        The run's settings as JSON values, for loggers that keep them.
    offset
        Bytes of ``metrics.jsonl`` at the checkpoint that the run resumes from; later ones are cut off. UserError if
        there are fewer, or if a file is a link that leads out of the directory.
    step
        Environment steps at that checkpoint.
    resume
        The command that resumes the run, for messages.
    check_lock
        Raises a RunError if this process has lost its lock. Nothing is appended then.

    Raises
    ------
    StorageError
        From any method, if the files cannot be written.

    """

    def __init__(
        self,
        directory: Path,
        loggers: Sequence[str],
        settings: dict[str, Any],
        offset: int = 0,
        step: int = 0,
        *,
        resume: str,
        check_lock: Callable[[], None] = lambda: None,
    ) -> None:
        self._check_lock = check_lock
        self._directory, self._size, self._resume = directory, offset, resume
        self._names = tuple(loggers)
        with self._storing():
            path, time = (files.inside(directory, directory / name) for name in (METRICS, TIME))
            self._digest = check_prefix(directory, offset)
            self._metrics = path.open("ab")
            self._metrics.truncate(offset)
            self._time = time.open("ab")
            self._loggers: list[Logger] = []
            try:
                for name in loggers:
                    self._loggers.append(open_logger(name, directory, step, settings))
            except BaseException:
                self.__exit__()
                raise

    def write(self, record: dict[str, Any]) -> None:
        """Append *record* as a line; ``record["step"]`` is the position of its numbers in the loggers."""
        self._check_lock()
        with self._storing():
            written = _append(self._metrics, record)
            self._digest.update(written)
            self._size += len(written)
            values = _scalars("", record)
            for name, logger in zip(self._names, self._loggers, strict=True):
                with self._logging(name):
                    logger.log(values, record["step"])

    def write_time(self, record: dict[str, Any]) -> None:
        """Append *record*, wall times, as a line of ``time.jsonl``."""
        self._check_lock()
        with self._storing():
            _append(self._time, record)

    def mark(self) -> tuple[int, str]:
        """Return the size of ``metrics.jsonl`` in bytes and its SHA-256."""
        return self._size, self._digest.hexdigest()

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._storing():
            self._metrics.close()
            self._time.close()
            for name, logger in zip(self._names, self._loggers, strict=False):
                with self._logging(name):
                    logger.close()

    @contextmanager
    def _logging(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError:
            raise
        except Exception as error:  # a service's own errors have no common class
            raise StorageError(
                f"{self._directory}: loggers = {name!r}: {line(error)}; the last checkpoint is as it was: mend that, "
                f"then {self._resume}"
            ) from error

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self._directory}: metrics cannot be written: {error.strerror or error}; the last checkpoint is as "
                f"it was: mend that, then {self._resume}"
            ) from error


def _append(file: Any, record: dict[str, Any]) -> bytes:
    line = files.as_json(record).encode() + b"\n"
    file.write(line)
    file.flush()
    return line


def check_prefix(directory: Path, size: int, sha256: str | None = None) -> Any:
    """Return a SHA-256 object that was fed the first *size* bytes of ``metrics.jsonl``.

    CorruptFileError if there are fewer bytes, or if their SHA-256 is not *sha256*.
    """
    path, digest = directory / METRICS, hashlib.sha256()
    if not size:
        return digest
    with files.reading(files.inside(directory, path)), path.open("rb") as file:
        left = size
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        if left:
            raise ValueError(f"it is shorter than the {size} bytes that its checkpoint knows of")
        if sha256 is not None and digest.hexdigest() != sha256:
            raise ValueError(f"its first {size} bytes are not those that its checkpoint knows of")
    return digest


def read(path: Path) -> list[dict[str, Any]]:
    """Return all records of a ``metrics.jsonl`` or ``time.jsonl``; UserError names the line that is not a record.

    A last line without its end is left out. It is being written, or the run was killed, and resuming cuts it off.
    """
    records = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    records.append(record_of(f"{path}, line {number}", line))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return records


def record_of(name: str, line: bytes) -> dict[str, Any]:
    """Return the record of a line; CorruptFileError, which begins with *name*, if it is not one."""
    with files.reading(Path(name)):
        record = json.loads(line, parse_constant=files.refuse_constant)
        if not isinstance(record, dict):
            raise ValueError(f"a JSON object is expected, got {type(record).__name__}")
        step = record.get("step")
        if type(step) is not int or step < 0:
            raise ValueError(f"step = {abbreviated(step)}: must be a whole number, at least 0")
        if not isinstance(record.get("kind", ""), str):
            raise ValueError(f"kind = {abbreviated(record['kind'])}: must be a name")
    return record


def _scalars(prefix: str, record: dict[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        path = f"{prefix}/{name}" if prefix else name
        if isinstance(value, dict):
            found += _scalars(path, value)
        elif isinstance(value, int | float) and name not in ("step", "kind"):
            found.append((path, float(value)))
    return found
