"""A run directory as one archive: a plain tar whose first member lists name, size and SHA-256 of all others.

The headers are those of Python's ``tarfile``, in the form that every tar reads. The reader takes plain files alone:
no links, directories, devices, sparse files or extended headers. So a hostile archive can neither name a place
outside of the new directory nor ask for more memory or disk than it has bytes itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from genoevo_runs import files
from genoevo_runs.archive_reader import BLOCK, CHUNK, FOLDER, INDEX, Entry, Index, Progress, checked, extract
from genoevo_runs.errors import CorruptFileError, StorageError, UserError
from genoevo_runs.manifest import checksum, parse


def pack(
    directory: Path,
    names: Sequence[str],
    out: Path,
    *,
    kind: str,
    replay: bool,
    added: Sequence[str] = (),
    progress: Progress = lambda done: None,
) -> str:
    """Write the files *names* of a run to the new archive *out*, read it again, and return its SHA-256.

    Parameters
    ----------
    directory, names
        The run directory, and paths relative to it.
    out
        The archive. At no moment it exists in part.
    kind, replay
        See :class:`Index`.
    added
        Names of empty files that the archive has in addition.
    progress
        Called after each file that was written.

    Raises
    ------
    UserError
        If *out* exists, or a name cannot be in an archive.
    StorageError
        If the archive cannot be written, or reads back otherwise than it was written.

    """
    if out.exists() or out.is_symlink():
        raise UserError(f"out = {str(out)!r}: exists; choose another")
    empty = [Entry(name=name, size=0, sha256=hashlib.sha256().hexdigest()) for name in added]
    entries = [*(_entry(directory, name) for name in names), *empty]
    index = Index(kind=kind, run=directory.resolve().name, replay=replay, files=entries)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with beside.open("xb") as file:
            _write(file, directory, index, {*added}, progress)
        found = checked(beside)
        _publish(beside, out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}") from None
    except CorruptFileError as error:
        raise StorageError(f"{out} cannot be written: it reads back otherwise: {error.problem}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return found


def _entry(directory: Path, name: str) -> Entry:
    path = directory / name
    if path.is_symlink():
        raise UserError(f"{path} is a link; an archive holds files alone")
    try:
        found: Entry = parse(Entry, {"name": name, "size": path.stat().st_size, "sha256": files.sha256(path)})
    except ValueError:
        raise UserError(f"{path}: its name cannot be in an archive") from None
    return found


def _write(file: BinaryIO, directory: Path, index: Index, added: set[str], progress: Progress) -> None:
    content = index.model_dump()
    text = json.dumps({**content, "checksum": checksum(content)}).encode()
    file.write(_header(INDEX, len(text)) + text + _padding(len(text)))
    for done, entry in enumerate(index.files, 1):
        file.write(_header(f"{FOLDER}/{entry.name}", entry.size))
        if entry.name not in added:
            with (directory / entry.name).open("rb") as source:
                shutil.copyfileobj(source, file, CHUNK)
        file.write(_padding(entry.size))
        progress(done)
    file.write(bytes(2 * BLOCK))
    file.flush()
    os.fsync(file.fileno())


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT if size < 8**11 else tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _publish(beside: Path, out: Path) -> None:
    """Give the finished file its name; OSError if that exists by now."""
    try:
        os.link(beside, out)
    except OSError:
        if out.exists():
            raise
        beside.rename(out)  # a file system without hard links
    files.sync(out.parent)


def unpack(
    archive: Path, directory: Path, check: Callable[[Path], None], progress: Progress = lambda done: None
) -> Index:
    """Unpack an archive into the new *directory*, which appears when all its files are there, and return its index.

    Parameters
    ----------
    archive
        The archive; nothing of it is trusted.
    directory
        It must not exist, or be empty.
    check
        Called with the finished directory under its temporary name; what it raises leaves nothing behind.
    progress
        Called after each file.

    Raises
    ------
    UserError
        If *directory* exists and is not empty.
    CorruptFileError
        If the archive is corrupt, or holds anything but the plain files that its index lists.
    StorageError
        If there is not enough space, or the files cannot be written.

    """
    if directory.is_symlink() or (directory.exists() and (not directory.is_dir() or any(directory.iterdir()))):
        raise UserError(f"dir = {str(directory)!r}: exists and is not empty; choose another")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(directory.parent).free < (needed := _size(archive)):
            raise StorageError(f"{directory} cannot be written: {needed:,} bytes are needed, fewer are free")
        beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".unpacking", dir=directory.parent))
    except OSError as error:
        raise StorageError(f"{directory} cannot be written: {error.strerror}") from None
    try:
        index = extract(archive, beside, progress)
        try:
            check(beside)
        except CorruptFileError as error:
            raise CorruptFileError(archive, f"{error.path.relative_to(beside)} is corrupt: {error.problem}") from None
        except UserError as error:
            raise UserError(str(error).replace(str(beside), str(archive))) from None
        beside.chmod(0o777 & ~_umask())
        beside.rename(directory)  # over an empty directory, but over nothing else
        files.sync(directory.parent)
    except OSError as error:
        raise StorageError(f"{directory} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return index


def _size(archive: Path) -> int:
    with files.reading(archive):
        return archive.stat().st_size


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
