"""An npz archive, written atomically and checked before it is read.

The members of the archive must be stored uncompressed and together fit the file, and an array must be exactly as
large as its header says. So reading takes at most a few times the memory of the file. Names are keys of a dict and
never paths, and nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from genoevo._types import AnyArray, Arrays
from genoevo.state.atomic import replacing

KINDS = "biufcU"  # bool, integers, floats, complex, text: nothing that holds objects or fields
_MOST_EMPTY = 2**20  # the largest side of an array without elements, whose file size bounds nothing
_LONGEST_HEADER = 10_000  # bytes, as numpy reads at most


def write(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write *arrays* to *path*, see :func:`~genoevo.state.atomic.replacing`."""
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read(path: Path) -> Arrays:
    """Read the arrays of *path*; FileNotFoundError, or ValueError for all other faults, without the file's name."""
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
            raise ValueError(f"member {name[:80]!r} occurs twice")
        left -= member.file_size
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size or left < 0:
            raise ValueError(f"member {name[:80]!r} must be stored and fit the file, got {member.file_size} bytes")
        arrays[name] = _array(name, archive.read(member))
    return arrays


def _array(name: str, data: bytes) -> AnyArray:
    stream = io.BytesIO(data)
    shape, fortran, dtype = read_header(name, stream, len(data))
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def read_header(name: str, stream: BinaryIO, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an npy of *size* bytes, and leave *stream* at the array: its shape, order and dtype.

    ValueError unless the array is of numbers or text and takes exactly the bytes that follow. *name* is for messages.
    """
    try:
        shape, fortran, dtype = _header(name, stream)
    except ValueError:
        raise
    except Exception as error:  # the header is a Python literal; tokenizer and parser have errors of their own
        raise ValueError(f"array {name[:80]!r} has no header: {error!r:.200}") from None
    if dtype.kind not in KINDS or dtype.itemsize == 0:
        raise ValueError(f"array {name[:80]!r} must be of numbers or text, got {dtype}")
    # Python's whole numbers do not overflow, as numpy's own would.
    declared, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or declared != there:
        raise ValueError(f"array {name[:80]!r} of shape {shape} takes {declared} bytes and has {there}")
    if not there and max(shape) > _MOST_EMPTY:
        raise ValueError(f"array {name[:80]!r} of shape {shape} has no element")
    return shape, fortran, dtype


def _header(name: str, stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version != (2, 0):
        raise ValueError(f"array {name[:80]!r} must be of npy version 1.0 or 2.0, got {version}")
    here = stream.tell()
    if struct.unpack("<I", stream.read(4))[0] > _LONGEST_HEADER:
        raise ValueError(f"array {name[:80]!r} has a header of more than {_LONGEST_HEADER} bytes")
    stream.seek(here)
    return npy.read_array_header_2_0(stream)
