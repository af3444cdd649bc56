"""One process at a time trains in a run directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genoevo_mega.errors import UserError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold *directory* for this process; UserError names the process that holds it.

    The lock is the kernel's, on the file ``lock``: it goes with its holder, however that ends.
    """
    with (directory / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise UserError(f"{directory} is being trained by process {file.read().strip() or '?'}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
