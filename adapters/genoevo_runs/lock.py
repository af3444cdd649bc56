"""The lock of a run directory: one process at a time trains in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genoevo.state.lock import InUseError, NoLocksError, fcntl, held
from genoevo_runs.errors import StorageError, UserError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock *directory* for this process.

    UserError if another process holds the lock; it names that process, its machine and since when. UserError, too, if
    the system or the file system has no locks: without one a second process would spoil the run. StorageError if the
    lock cannot be written.
    """
    path = directory / "lock"
    if fcntl is None:
        raise UserError(f"{directory} cannot be locked: this system has no flock")
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path, f"{directory} is being trained"))
        except InUseError as error:
            raise UserError(str(error)) from None
        except NoLocksError as error:
            raise UserError(
                f"{directory} cannot be locked: {error.strerror}; keep the run on a file system that has flock"
            ) from None
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None
        yield
