"""The lock of a run directory: one process at a time trains in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genoevo.state.lock import Held, InUseError, NoLocksError, fcntl, held
from genoevo_runs.errors import RunError, StorageError, UserError
from genoevo_runs.run_kind import Tell, silent


class RunLock:
    """The lock of a run directory that this process holds."""

    def __init__(self, lock: Held) -> None:
        self._lock = lock

    def check(self) -> None:
        """Raise RunError if a process of another machine has taken the run, because this one was cut off."""
        try:
            self._lock.check()
        except InUseError as error:
            raise RunError(f"{error}; nothing more is written here") from None


@contextmanager
def locked(directory: Path, tell: Tell = silent) -> Iterator[RunLock]:
    """Lock *directory* for this process.

    *tell* is called with a line before the end of another machine's lock is waited for.

    UserError if another process holds the lock; it names that process, its machine and since when. UserError, too, if
    the system or the file system has no locks: without one a second process would spoil the run. StorageError if the
    lock cannot be written.
    """
    path = directory / "lock"
    if fcntl is None:
        raise UserError(f"{directory} cannot be locked: this system has no flock")
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(held(path, f"{directory} is being trained", tell))
        except InUseError as error:
            raise UserError(str(error)) from None
        except NoLocksError as error:
            raise UserError(
                f"{directory} cannot be locked: {error.strerror}; keep the run on a file system that has flock"
            ) from None
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None
        yield RunLock(lock)


def await_lock(directory: Path, patience: float) -> None:
    """Wait until no process holds the lock of *directory*, for *patience* seconds at most."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            with locked(directory):
                return
        except UserError:
            time.sleep(1.0)
