"""Atomic replacement of files: at every moment the old file or the new one is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces *path* at the end of the block, after it was synced to the disk.

    After an error in the block *path* is unchanged. OSError names *path* if it cannot be written. A process that is
    killed may leave ``NAME.PID.tmp`` beside it.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_directory(path.parent)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(error.errno, os.strerror(error.errno or 0), str(path)) from error
        raise


def _sync_directory(directory: Path) -> None:
    # Without this a crash of the machine may bring back the old name; not every system can open a directory.
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
