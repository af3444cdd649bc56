"""A lock for one process at a time, which the kernel keeps, so that no lock is ever stale."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # not every system has it; without it nothing is locked
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # what a link leads to is never written over
_HOLDER = re.compile(r"process \d+ on [\w.-]{1,80} since [\d:T+-]{1,40}")


class InUseError(RuntimeError):
    """Another process uses a file. The message names the file, the process, its machine and since when."""

    __module__ = "genoevo.checkpoint"  # tracebacks name the path that users import


class NoLocksError(OSError):
    """The file system has no locks, like some network mounts."""


@contextmanager
def held(file: Path, doing: str) -> Iterator[None]:
    """Hold the lock *file* for this process. It is created if it is missing and removed in the end.

    The lock ends with its holder, however that ends. A file that a killed process has left locks nothing.

    Raises
    ------
    InUseError
        If another process holds it. The message is *doing*, such as "x.npz is in use", and "by" that process.
    NoLocksError, OSError
        If the file system has no locks, or the file cannot be written.

    """
    while True:
        handle = os.open(file, _FLAGS, 0o644)
        try:
            if fcntl is not None:
                _lock(handle, doing)
            if _is_file(handle, file):  # else its last holder has removed it between our two calls
                started = datetime.now(UTC).isoformat(timespec="seconds")
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()} since {started}".encode(), 0)
                try:
                    yield
                finally:
                    with suppress(OSError):
                        file.unlink()
                return
        finally:
            os.close(handle)


def _lock(handle: int, doing: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(handle, 200, 0).decode(errors="replace")
        # The holder may not have written its name yet, and anybody may have written there.
        holder = said if _HOLDER.fullmatch(said) else "another process"
        raise InUseError(f"{doing} by {holder}") from None
    except OSError as error:
        raise NoLocksError(error.errno, error.strerror) from None


def _is_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
