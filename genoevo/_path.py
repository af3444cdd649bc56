"""Where modules are searched."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path


@contextmanager
def nothing_from(directory: str | PathLike[str]) -> Iterator[None]:
    """Leave places inside *directory* out of ``sys.path`` in this context.

    Python searches the working directory under ``python -c``, ``python -m`` and an empty entry of PYTHONPATH. If it
    is a directory that somebody else has written, its modules and its entry points must not be found.
    """
    inside = Path(directory).resolve()
    left_out = [
        (place, entry)
        for place, entry in enumerate(sys.path)
        if Path(entry or os.curdir).resolve().is_relative_to(inside)
    ]
    sys.path[:] = [entry for place, entry in enumerate(sys.path) if (place, entry) not in left_out]
    try:
        yield
    finally:
        for place, entry in left_out:
            sys.path.insert(place, entry)
