"""The connection to a Ray cluster, and a look at its head."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EVERY, WITHIN = 5.0, 30.0
"""Seconds between looks at the head, and how long it may be away."""
SLICE = 1.0
"""Seconds for which an answer is waited for without a look at the head."""
ENDING = 5.0
"""Seconds that a connection to a lost head may take to end."""


def connect(ray: Any, **settings: Any) -> None:
    """Call ``ray.init`` with *settings*; SIGINT and SIGTERM keep their handlers.

    Ray takes SIGTERM, which asks runs and searches to save.
    """
    with _keeping_handlers():
        ray.init(include_dashboard=False, **settings)


def disconnect(ray: Any) -> None:
    """Call ``ray.shutdown``; SIGINT and SIGTERM keep their handlers."""
    with _keeping_handlers():
        ray.shutdown()


@contextmanager
def _keeping_handlers() -> Iterator[None]:
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if in_main:
            for number, handler in before.items():
                signal.signal(number, handler)


class Head:
    """The head of the cluster that this process is connected to.

    Ray ends a process whose head has been away for 60 seconds, without an exception. A head that has restarted knows
    neither nodes nor processes, and the nodes end within a minute. :meth:`check` comes before both. A head that
    keeps its state outside, in Redis, is the same after a restart.

    Parameters
    ----------
    ray
        The module, connected.
    error
        What :meth:`check` raises, with one line.

    Attributes
    ----------
    is_lost : bool
        Whether :meth:`check` has raised. This process is not connected any more, and Ray must not be called.

    """

    def __init__(self, ray: Any, error: type[Exception]) -> None:
        self._ray, self._error = ray, error
        self._seen = self._looked = time.monotonic()
        self._asking = threading.Thread()
        self.is_lost = self._is_watched = False
        if not ray.util.client.ray.is_connected():  # else a server of Ray's is connected in our place
            self._is_watched = True
            self._address = str(ray.get_runtime_context().gcs_address)
            self._ask_for_cluster = ray._raylet.GcsClient
            self._ours = self._cluster = ray._private.worker.global_worker.node.cluster_id

    def check(self) -> None:
        """Look at the head, every five seconds; raise if it has not answered for thirty, or has restarted."""
        if self._is_watched and (self.is_lost or time.monotonic() >= self._looked + EVERY):
            self._look()

    def wait(self) -> None:
        """Return once the head answers, or raise as :meth:`check` does.

        For what Ray asks of its head: such a call would wait without end.
        """
        while self._is_watched and not self._look():
            time.sleep(0.1)

    def _look(self) -> bool:
        """Ask the head and return whether it answered; raise if it is lost."""
        if self.is_lost:
            raise self._error(self._why)
        now = time.monotonic()
        if now > self._looked + WITHIN:
            self._seen = now  # this process was suspended, which is no fault of the head
        if not self._asking.is_alive():
            self._asking = threading.Thread(target=self._ask, name="head", daemon=True)
            self._asking.start()
        self._asking.join(1.0)
        self._looked = time.monotonic()
        if self._cluster != self._ours:
            self._lose("has restarted and does not know this process")
        if self._looked > self._seen + WITHIN:
            self._lose(f"has not answered for {WITHIN:g} s")
        return self._seen >= now

    def _ask(self) -> None:
        # In a thread of its own: a head that stands still would hold us. One that is gone refuses the connection, so
        # that Ray's client, which repeats its question, is not asked.
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
            self._cluster = self._ask_for_cluster(address=self._address).cluster_id
        except (OSError, RuntimeError):  # RuntimeError: of Ray
            return
        self._seen = time.monotonic()

    def _lose(self, why: str) -> None:
        self.is_lost, self._why = True, f"the head of the Ray cluster at {self._address} {why}"
        # Else Ray would still end this process.
        ending = threading.Thread(target=self._ray.shutdown, name="shutdown", daemon=True)
        ending.start()
        ending.join(ENDING)
        if ending.is_alive():
            atexit.register(_leave, ending)
        raise self._error(self._why)


def _leave(ending: threading.Thread) -> None:
    """End this process at its exit, if Ray still waits for a head that stands still: it would not end by itself."""
    if ending.is_alive():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
