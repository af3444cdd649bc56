"""A profile of some vector steps of a run, for a trace viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch.profiler import profile

from genoevo_mega.training.status import Status

_WARM_UP, _STEPS = 20, 30


class Profiler:
    """An observer of a run that profiles 30 vector steps after the first 20 updates.

    It writes a Chrome trace to *path*, which Perfetto and chrome://tracing read. *observe* is called after every
    vector step, like the run's own observer. If the run ends before, leaving the context writes what there is.
    ``written`` tells whether a file was written.
    """

    def __init__(self, path: Path, observe: Callable[[Status], None]) -> None:
        self._path, self._observe = path, observe
        self._profile: profile | None = None
        self._left = _STEPS
        self.written = False

    def __call__(self, status: Status) -> None:
        """Observe a vector step."""
        self._observe(status)
        if self.written or status.evaluating or status.updates < _WARM_UP:
            return
        if self._profile is None:
            self._profile = profile()
            self._profile.start()
            return
        self._left -= 1
        if self._left == 0:
            self._write()

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._profile is not None and not self.written:
            self._write()

    def _write(self) -> None:
        assert self._profile is not None
        self._profile.stop()
        self._profile.export_chrome_trace(str(self._path))
        self.written = True
