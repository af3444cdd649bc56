"""A lock for one process at a time, also among machines that share the file.

The kernel keeps the lock (flock), so that a process of this machine that ends, however, holds nothing. Of another
machine's process the kernel may not know: some network file systems lock within one machine alone. So a holder also
writes into the file every few seconds. A process of another machine that finds the file, and can lock it, waits
whether somebody still writes. A holder that finds another name in the file has lost it.
"""

from __future__ import annotations

import functools
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # not every system has it; without it nothing is locked
    fcntl = None  # type: ignore[assignment]

BEAT = 10.0
"""Seconds from one writing of a holder to the next."""
LEASE = 45.0
"""Seconds after which a holder on another machine that has not written is taken for dead."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # what a link leads to is never written over
_HOLDER = re.compile(
    r"(process \d+ on [\w.-]{1,80} since [\d:T+-]{1,40})(?: \(machine ([0-9a-f-]{8,64}), beat \d{1,15}\))?"
)
_SIZE = 300


class InUseError(RuntimeError):
    """Another process uses a file. The message names the file, the process, its machine and since when."""

    __module__ = "genoevo.checkpoint"  # tracebacks name the path that users import


class NoLocksError(OSError):
    """The file system has no locks, like some network mounts."""


class Held:
    """A lock file that this process holds."""

    def __init__(self, file: Path, handle: int, doing: str) -> None:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._name = f"process {os.getpid()} on {socket.gethostname()} since {started} (machine {machine()}"
        self._file, self._handle, self._doing = file, handle, doing
        self._beats, self._lost, self._ended = 0, "", threading.Event()
        self._write()

    def check(self) -> None:
        """Raise InUseError if another process has taken the file, for example while this one was suspended."""
        if not self._lost and time.monotonic() - self._written > LEASE:
            self._beat()
        if self._lost:
            raise InUseError(f"{self._doing} by {self._lost}, which has taken it from this process")

    @contextmanager
    def beating(self) -> Iterator[Held]:
        """Write into the file from time to time, and remove it in the end."""
        thread = threading.Thread(target=self._keep_beating, name="lock", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            if not self._lost:
                with suppress(OSError):
                    self._file.unlink()

    def _keep_beating(self) -> None:
        while not self._ended.wait(BEAT):
            self._beat()

    def _beat(self) -> None:
        with suppress(OSError):  # the file system does not answer: nothing is known
            try:
                said = _said(self._file)
            except FileNotFoundError:
                said = ""
            if said.startswith(self._name):
                self._write()
            else:
                self._lost = _holder(said)

    def _write(self) -> None:
        self._beats += 1
        content = f"{self._name}, beat {self._beats})".encode()
        os.pwrite(self._handle, content, 0)  # the name is the same, and the number gets no shorter
        os.ftruncate(self._handle, len(content))
        os.fsync(self._handle)
        self._written = time.monotonic()


@functools.cache
def machine() -> str:
    """Return a name that no other running machine has: two of them may have the same host name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"{uuid.getnode():012x}"


@contextmanager
def held(file: Path, doing: str, tell: Callable[[str], None] = lambda line: None) -> Iterator[Held]:
    """Hold the lock *file* for this process. It is created if it is missing and removed in the end.

    The lock ends with its holder, however that ends. A file that a killed process of this machine has left locks
    nothing. One of another machine's process locks for :data:`LEASE` seconds after that process has ended; *tell* is
    called with a line before they are waited for.

    Raises
    ------
    InUseError
        If another process holds it. The message is *doing*, such as "x.npz is in use", and "by" that process.
    NoLocksError, OSError
        If the file system has no locks, or the file cannot be written.

    """
    while True:
        handle = os.open(file, _FLAGS, 0o644)
        try:
            if fcntl is not None:
                _lock(handle, doing)
            if _is_file(handle, file):  # else its last holder has removed it between our two calls
                _await_death(file, doing, tell)
                with Held(file, handle, doing).beating() as lock:
                    yield lock
                return
        finally:
            os.close(handle)


def _lock(handle: int, doing: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(handle, _SIZE, 0).decode(errors="replace")
        raise InUseError(f"{doing} by {_holder(said)}") from None
    except OSError as error:
        raise NoLocksError(error.errno, error.strerror) from None


def _await_death(file: Path, doing: str, tell: Callable[[str], None]) -> None:
    """Return once the holder that *file* names can be taken for dead; InUseError if it writes."""
    first = _said(file)
    found = _HOLDER.fullmatch(first)
    if found is None or found[2] in (None, machine()):
        return  # the kernel would know
    tell(f"{file} was left by {found[1]}; waiting {LEASE:.0f} s, whether it still runs")
    deadline = time.monotonic() + LEASE
    while time.monotonic() < deadline:
        time.sleep(BEAT / 10)
        if _said(file) != first:
            raise InUseError(f"{doing} by {_holder(_said(file))}")


def _said(file: Path) -> str:
    with file.open("rb") as opened:  # opened anew, because network file systems look for changes then
        return opened.read(_SIZE).decode(errors="replace")


def _holder(said: str) -> str:
    # The holder may not have written its name yet, and anybody may have written there.
    found = _HOLDER.fullmatch(said)
    return found[1] if found else "another process"


def _is_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
