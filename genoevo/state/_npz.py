"""One file of arrays and a text: an npz archive, written atomically and read with suspicion.

Nothing is believed before it is checked: the archive's members are stored, never compressed, and together no larger
than the file; an array is exactly as large as its header says. So reading takes a few times the memory of the file at
most. Names are keys of a dict and never paths, and nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from genoevo._types import AnyArray, Arrays

KINDS = "biufcU"  # bool, integers, floats, complex, text: nothing that holds objects or fields
_MOST_EMPTY = 2**20  # the largest side of an array without elements, whose file size bounds nothing
_LONGEST_HEADER = 10_000  # bytes, as numpy reads at most


def write(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write *arrays* to *path*; the old file stays until the new one is on disk, whatever happens.

    OSError names *path* where it cannot be written. A process that is killed may leave ``NAME.PID.tmp`` beside it.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
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


def read(path: Path) -> Arrays:
    """The arrays of *path*. FileNotFoundError; ValueError for whatever else is wrong, without naming the file."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _members(archive, os.fstat(file.fileno()).st_size)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # zipfile, struct and ast raise a dozen unrelated errors on damaged bytes
        raise ValueError((str(error) or type(error).__name__)[:200]) from error  # may quote a name of 64 KiB


def _members(archive: zipfile.ZipFile, size: int) -> Arrays:
    left, arrays = size, Arrays()
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            raise ValueError(f"member {member.filename[:80]!r} must be an .npy")
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise ValueError(f"member {name[:80]!r} is there twice")
        left -= member.file_size
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size or left < 0:
            raise ValueError(f"member {name[:80]!r} must be stored and fit the file, and is {member.file_size} bytes")
        arrays[name] = _array(name, archive.read(member))
    return arrays


def _array(name: str, data: bytes) -> AnyArray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"array {name[:80]!r} is of npy version {version}")
    if version == (2, 0) and struct.unpack("<I", data[8:12])[0] > _LONGEST_HEADER:
        raise ValueError(f"array {name[:80]!r} has a header of more than {_LONGEST_HEADER} bytes")
    shape, fortran, dtype = read_header[version](stream)
    if dtype.kind not in KINDS or dtype.itemsize == 0:
        raise ValueError(f"array {name[:80]!r} of {dtype} must be of numbers or text")
    declared, there = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if min(shape, default=0) < 0 or declared != there:
        raise ValueError(f"array {name[:80]!r} of shape {shape} takes {declared} bytes and has {there}")
    if not there and max(shape) > _MOST_EMPTY:
        raise ValueError(f"array {name[:80]!r} of shape {shape} has no element")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy()
