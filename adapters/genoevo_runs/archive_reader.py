"""The archives of runs, read without trust: see :mod:`genoevo_runs.archive`."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import Field

from genoevo_runs import files
from genoevo_runs.errors import CorruptFileError, abbreviated
from genoevo_runs.manifest import Count, Record, Sha256, checksum, parse

FORMAT, VERSION = "genoevo-run-archive", 1
INDEX, FOLDER = "genoevo-run.json", "run"
BLOCK, CHUNK = tarfile.BLOCKSIZE, 2**20
_PART = r"[\w=+,@~-][\w.=+,@~ -]*"
Name = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART}){{0,7}}$", max_length=200)]

Progress = Callable[[int], None]
"""Called with the number of files that are done."""


class Entry(Record):
    """A file of an archive; *name* is relative to the run directory, its parts begin with no dot."""

    name: Name
    size: Count
    sha256: Sha256


class Index(Record):
    """The content of an archive's first member.

    ``kind`` is the format of the run, ``run`` the name of its directory. ``replay`` says whether the archive has the
    replay of its checkpoints.
    """

    format: Literal["genoevo-run-archive"] = FORMAT
    version: Literal[1] = VERSION
    kind: str
    run: str
    replay: bool
    files: Annotated[list[Entry], Field(min_length=1, max_length=1_000_000)]


def checked(archive: Path) -> str:
    """Read an archive as :func:`unpack` does, without writing, and return its SHA-256."""
    with _opened(archive) as (file, index):
        for entry in index.files:
            _copy(file, entry, None)
        _end(file)
    return files.sha256(archive)


def extract(archive: Path, folder: Path, progress: Progress) -> Index:
    """Write the files of an archive into the empty *folder*, synced to the disk, and return its index."""
    with _opened(archive) as (file, index):
        for done, entry in enumerate(index.files, 1):
            path = folder / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                _copy(file, entry, target)
                target.flush()
                os.fsync(target.fileno())
            progress(done)
        _end(file)
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            files.sync(path)
    return index


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[BinaryIO, Index]]:
    """Open an archive behind its index; ValueErrors and errors of tar headers become CorruptFileError."""
    with _opened_file(archive) as file:
        try:
            yield file, _index(file, archive.stat().st_size)
        except (ValueError, tarfile.TarError, RecursionError) as error:
            raise CorruptFileError(archive, str(error)) from None


@contextmanager
def _opened_file(archive: Path) -> Iterator[BinaryIO]:
    with files.reading(archive):
        if not archive.is_file():
            raise ValueError("expected a file")
        file = archive.open("rb")
    with file:
        yield file


def _index(file: BinaryIO, size: int) -> Index:
    length = _member(file, INDEX)
    if length > files.JSON_LIMIT:
        raise ValueError(f"its index has {length} bytes, at most {files.JSON_LIMIT} are read")
    content = json.loads(_read(file, length), parse_constant=files.refuse_constant)
    _read(file, -length % BLOCK)
    if not isinstance(content, dict) or content.pop("checksum", None) != checksum(content):
        raise ValueError("the checksum of its index differs")
    found: Index = parse(Index, content)
    _check_names([entry.name for entry in found.files])
    if (total := sum(entry.size for entry in found.files)) > size:
        raise ValueError(f"its index lists {total} bytes, the archive has {size}")
    return found


def _check_names(names: list[str]) -> None:
    """Raise ValueError if two names are one on a system that ignores case, or one is a directory of another."""
    seen = {name.casefold() for name in names}
    if len(seen) != len(names):
        raise ValueError("its index lists a name twice")
    for name in seen:
        parts = name.split("/")
        if any("/".join(parts[:count]) in seen for count in range(1, len(parts))):
            raise ValueError(f"its index lists {abbreviated(name)} below a file")


def _member(file: BinaryIO, name: str) -> int:
    """Read the next header, which must be that of the plain file *name*, and return its size."""
    info = tarfile.TarInfo.frombuf(_read(file, BLOCK), "utf-8", "strict")
    if info.type != tarfile.REGTYPE:
        raise ValueError(f"expected the file {name!r}, got {abbreviated(info.name)}, which is not a plain file")
    if info.name != name or info.size < 0:
        raise ValueError(f"expected the file {name!r}, got {abbreviated(info.name)} of {info.size} bytes")
    return info.size


def _copy(file: BinaryIO, entry: Entry, target: BinaryIO | None) -> None:
    if (size := _member(file, f"{FOLDER}/{entry.name}")) != entry.size:
        raise ValueError(f"{entry.name} has {size} bytes, its index says {entry.size}")
    digest, left = hashlib.sha256(), size
    while left:
        chunk = _read(file, min(left, CHUNK))
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        left -= len(chunk)
    _read(file, -size % BLOCK)
    if digest.hexdigest() != entry.sha256:
        raise ValueError(f"the SHA-256 of {entry.name} differs from the index's")


def _end(file: BinaryIO) -> None:
    rest = file.read(tarfile.RECORDSIZE + 1)
    if len(rest) < 2 * BLOCK:
        raise ValueError("it ends early")
    if len(rest) > tarfile.RECORDSIZE or any(rest):
        raise ValueError("it holds more than its index lists")


def _read(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise ValueError("it ends early")
    return found
