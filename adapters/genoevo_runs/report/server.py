"""A server of a run's page while the run trains: for this machine alone, read-only, under a secret address."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Callable, Hashable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, Protocol
from urllib.parse import urlsplit

from genoevo_runs.errors import UserError
from genoevo_runs.report.page import LIVE_POLICY, render

HOST = "127.0.0.1"
INTERVAL = 5.0
"""Seconds after which the page loads its data again."""


class Reader(Protocol):
    """A reader of a run that may be training."""

    @property
    def version(self) -> Hashable:
        """A value that changes when the run does."""

    def read(self) -> Any:
        """Return the present content of the run; UserError or OSError if it cannot be read."""


class Watch(ThreadingHTTPServer):
    """The server of one run.

    Parameters
    ----------
    reader
        The run's reader; it must write nothing.
    data_of
        Called with a list of the run that *reader* has read; returns the data of its page, see
        :func:`~genoevo_runs.report.page.render`.
    port
        The port, 0 for any free port. UserError if it is taken.
    interval
        Seconds after which the page loads its data again.

    Attributes
    ----------
    url : str
        The address of the page. Its path holds a random token, and without the token every answer is 403.

    """

    daemon_threads = True
    # Otherwise a second server would silently share the port of the first.
    allow_reuse_port = False

    def __init__(
        self,
        reader: Reader,
        data_of: Callable[[list[Any]], dict[str, Any]],
        port: int = 0,
        interval: float = INTERVAL,
    ) -> None:
        self._reader, self._data_of, self._interval, self._lock = reader, data_of, interval, Lock()
        self._cached: tuple[Hashable, dict[str, Any], bytes] | None = None
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"port = {port}: cannot be opened: {error.strerror}") from None
        self.url = f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore browsers that left in the middle of an answer; otherwise do what the base class does."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def data(self) -> tuple[dict[str, Any], bytes]:
        """Return the page's data, and the same data as JSON; both are cached until the run changes."""
        with self._lock:
            version = self._reader.version
            if self._cached is None or self._cached[0] != version:
                data = self._data_of([self._reader.read()])
                self._cached = version, data, json.dumps(data, allow_nan=False, separators=(",", ":")).encode()
            return self._cached[1:]

    def page(self) -> bytes:
        """Return the page with its first data."""
        return render(self.data()[0], live=self._interval).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Watch
    # HTTP/1.0, the default of the base class, because a connection that is kept alive would outlast the server.
    server_version, sys_version = "genoevo", ""

    def do_GET(self) -> None:
        if not self._allowed():
            self._answer(
                HTTPStatus.FORBIDDEN, "text/plain", b"This needs the whole address that the command printed.\n"
            )
            return
        name = urlsplit(self.path).path.rpartition("/")[2]
        try:
            if name == "":
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page())
            elif name == "data.json":
                self._data()
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n")
        except (UserError, OSError) as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _allowed(self) -> bool:
        # Another site may have a name that resolves to this machine, and its pages could then reach this server.
        host = self.headers.get("Host", "").rpartition(":")[0]
        token = urlsplit(self.path).path.split("/")[1] if self.path.count("/") == 2 else ""
        return host in (HOST, "localhost") and hmac.compare_digest(token.encode(), self.server.token.encode())

    def _data(self) -> None:
        content = self.server.data()[1]
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, "application/json", b"", tag)
        else:
            self._answer(HTTPStatus.OK, "application/json", content, tag)

    def _answer(self, status: HTTPStatus, kind: str, content: bytes, tag: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", LIVE_POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: every line would hold the token."""
