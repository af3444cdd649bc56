"""Safe reading of untrusted files, and writing that survives a crash.

A reader runs no code and allocates at most a small multiple of the file's own bytes. For a corrupt file it raises
:class:`~genoevo_runs.errors.CorruptFileError` with the file's name.
"""

from __future__ import annotations

import hashlib
import json
import math
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
from genoevo_runs.errors import CorruptFileError, VersionError, abbreviated

JSON_LIMIT = 64 * 2**20  # bytes; a manifest of ten thousand segments has two million


def sync(path: Path) -> None:
    """Write the bytes of a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: Path, text: str) -> None:
    """Replace a small file atomically: at every moment *path* holds the old or the new content."""
    with replacing(path) as file:
        file.write(text.encode())
    sync(path.parent)  # again, because `replacing` ignores errors here


def as_json(value: Any) -> str:
    """Return JSON values as text; numbers that are not finite, which JSON does not have, become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(directory: Path, path: Path) -> Path:
    """Return *path*; CorruptFileError if a link or ``..`` leads out of *directory*."""
    if not path.resolve().is_relative_to(directory.resolve()):
        raise CorruptFileError(path, f"leads out of {directory}")
    return path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors that libraries raise on corrupt bytes into CorruptFileError."""
    try:
        yield
    except OSError as error:
        raise CorruptFileError(path, error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError, EOFError) as error:
        name = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise CorruptFileError(path, f"{name}{error}") from None
    except (SafetensorError, zipfile.BadZipFile, NotImplementedError) as error:
        raise CorruptFileError(path, str(error)) from None


def read_json(path: Path, what: str, version: int) -> dict[str, Any]:
    """Return a JSON object with the ``format`` *what*; VersionError if its ``version`` is above *version*."""
    with reading(path):
        if (size := path.stat().st_size) > JSON_LIMIT:
            raise ValueError(f"it has {size} bytes, at most {JSON_LIMIT} are read")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        if not isinstance(content, dict):
            raise ValueError(f"expected a JSON object, got {type(content).__name__}")
        _check_format(content.get("format"), what)
        found = content.get("version")
        if type(found) is not int or found < 1:
            raise ValueError(f"version = {found!r}: must be a whole number, at least 1")
    _check_version(path, found, version)
    return content


def _check_format(found: object, what: str) -> None:
    if found != what:
        raise ValueError(f"format = {abbreviated(found)}: must be {what!r}")


def _check_version(path: Path, found: int, known: int) -> None:
    """Raise VersionError if the version *found* in *path* is later than *known*."""
    if found > known:
        raise VersionError(f"{path} has format version {found}; this genoevo reads up to {known}: use a newer one")


def refuse_constant(constant: str) -> None:
    """Raise ValueError for NaN and Infinity, which are not JSON; for the json module."""
    raise ValueError(f"{constant} is not a JSON number")


@contextmanager
def open_tensors(path: Path, what: str | None, version: int, framework: str) -> Iterator[Any]:
    """Open a safetensors file whose metadata have the ``format`` *what*; None accepts any.

    Its header and sizes are checked when it opens.
    """
    with reading(path), safe_open(path, framework=framework) as file:
        if what is not None:
            metadata = file.metadata() or {}
            _check_format(metadata.get("format"), what)
            _check_version(path, int(metadata.get("version", "0")), version)
        yield file


def read_arrays(path: Path, what: str, version: int) -> Arrays:
    """Return all arrays of a safetensors file."""
    with open_tensors(path, what, version, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_npz(path: Path) -> Arrays:
    """Return all arrays of an uncompressed npz archive, as numpy.savez writes it."""
    with reading(path):
        return npz.read(path)


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array of an npy file as a memory map."""
    with reading(path):
        with path.open("rb") as file:
            npz.read_header(path.name, file, path.stat().st_size)
        return np.load(path, mmap_mode="r", allow_pickle=False)


def read_state(path: Path) -> State:
    """Return a state that :func:`genoevo.state.save` wrote."""
    with reading(path):
        try:
            return load(path)
        except ValueError as error:  # its message names the file, and so will CorruptFileError
            problem = str(error).removeprefix(f"{path} is corrupt: ")
            raise ValueError(problem.replace(f"{path} is", "it is", 1)) from None
