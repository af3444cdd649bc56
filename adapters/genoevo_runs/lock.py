"""One process at a time trains in a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genoevo.state.lock import InUseError, NoLocksError, fcntl, held
from genoevo_runs.errors import StorageError, UserError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold *directory* for this process; UserError names the process that holds it, its machine and since when.

    Where its file system, or this system, has none UserError says so, and nothing is trained: without one a second
    process would spoil the run. StorageError where the lock cannot be written.
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
