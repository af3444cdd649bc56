"""One process at a time trains in a run directory."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from genoevo_mega.errors import StorageError, UserError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold *directory* for this process; UserError names the process that holds it, its machine and since when.

    The lock is the kernel's, on the file ``lock``: it goes with its holder, however that ends, so that none is ever
    stale. Where a file system has no such locks (some network mounts) UserError says so, and nothing is trained:
    without a lock a second process would spoil the run.
    """
    path = directory / "lock"
    try:
        file = path.open("a+")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{directory} is being trained by {_holder(path)}") from None
        except OSError as error:
            raise UserError(
                f"{directory} cannot be locked: {error.strerror}; keep the run on a file system that has flock"
            ) from None
        file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": platform.node(), "started": started}, file)
        file.flush()
        yield


def _holder(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(1000))
        holder = f"process {int(content['pid'])} on {content['host']!s:.100} since {content['started']!s:.40}"
    except (OSError, ValueError, KeyError, TypeError):  # it has not said yet who it is
        return "another process"
    return " ".join(holder.split())
