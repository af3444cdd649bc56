"""Reading files that anybody may have written, and writing files that survive a crash.

Whatever a reader is given, it runs no code, allocates no more than a small multiple of the file's own bytes, and
raises :class:`~genoevo_runs.errors.DamagedError` with the file's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from genoevo.state import State, load, npz
from genoevo.state.atomic import replacing
from genoevo_runs.arrays import Arrays
from genoevo_runs.errors import DamagedError, VersionError

JSON_LIMIT = 64 * 2**20  # bytes; a manifest of ten thousand segments has two million


def sync(path: Path) -> None:
    """Bring a file's bytes, or a directory's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: Path, text: str) -> None:
    """Write a small file at once: at every moment the old content is there or the new."""
    with replacing(path) as file:
        file.write(text.encode())
    sync(path.parent)  # for an error, too, where the directory cannot be brought to the disk


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(directory: Path, path: Path) -> Path:
    """*path*, or DamagedError where it leads out of *directory*, as a link or ``..`` may."""
    if not path.resolve().is_relative_to(directory.resolve()):
        raise DamagedError(path, f"leads out of {directory}")
    return path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what libraries raise on damaged bytes into DamagedError."""
    try:
        yield
    except OSError as error:
        raise DamagedError(path, error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError, EOFError) as error:
        name = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise DamagedError(path, f"{name}{error}") from None
    except (SafetensorError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DamagedError(path, str(error)) from None


def read_json(path: Path, what: str, version: int) -> dict[str, Any]:
    """A JSON object with ``format`` *what* and ``version`` up to *version*; VersionError where it is a newer one."""
    with reading(path):
        if (size := path.stat().st_size) > JSON_LIMIT:
            raise ValueError(f"it has {size} bytes, at most {JSON_LIMIT} are read")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        if not isinstance(content, dict) or content.get("format") != what:
            raise ValueError(f"it is no {what}")
        found = content.get("version")
        if type(found) is not int or found < 1:
            raise ValueError(f"version = {found!r}: must be a whole number, at least 1")
    check_version(path, found, version)
    return content


def check_version(path: Path, found: int, known: int) -> None:
    """Raise VersionError where *path* is of a later version than *known*."""
    if found > known:
        raise VersionError(f"{path} has format version {found}; this genoevo reads up to {known}: use a newer one")


def refuse_constant(constant: str) -> None:
    """For json: NaN and Infinity are no JSON; ValueError."""
    raise ValueError(f"{constant} is no JSON number")


@contextmanager
def open_tensors(path: Path, what: str | None, version: int, framework: str) -> Iterator[Any]:
    """A safetensors file with ``format`` *what* among its metadata; header and sizes are checked when it opens."""
    with reading(path), safe_open(path, framework=framework) as file:
        if what is not None:
            metadata = file.metadata() or {}
            if metadata.get("format") != what:
                raise ValueError(f"it is no {what}")
            check_version(path, int(metadata.get("version", "0")), version)
        yield file


def read_arrays(path: Path, what: str, version: int) -> Arrays:
    """All arrays of a safetensors file."""
    with open_tensors(path, what, version, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_npz(path: Path) -> Arrays:
    """All arrays of an npz archive that is not compressed, as numpy.savez writes it."""
    with reading(path):
        return npz.read(path)


def read_npy(path: Path) -> npt.NDArray[Any]:
    """One npy array, mapped, not read."""
    with reading(path):
        with path.open("rb") as file:
            npz.read_header(path.name, file, path.stat().st_size)
        return np.load(path, mmap_mode="r", allow_pickle=False)


def read_state(path: Path) -> State:
    """What :func:`genoevo.state.save` wrote."""
    with reading(path):
        try:
            return load(path)
        except ValueError as error:  # it names the file, as DamagedError does
            problem = str(error).removeprefix(f"{path} is damaged: ")
            raise ValueError(problem.replace(f"{path} is", "it is", 1)) from None
