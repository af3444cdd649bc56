"""Pools that train the runs of a sweep: worker processes of this machine, or Ray.

A worker process is :mod:`genoevo_runs.worker`. It has a session of its own, so Ctrl-C reaches the sweep alone, which
asks every worker to save.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoevo_runs.errors import UserError
from genoevo_runs.run_kind import find
from genoevo_runs.sweep import PlannedRun
from genoevo_runs.user_code import allow, inherited
from genoevo_runs.worker import train

STOP = "stop"
"""The file in a sweep's directory that asks the runs on Ray to save and stop."""


@dataclass(frozen=True)
class RunEvent:
    """News of one run of a sweep.

    Attributes
    ----------
    run : PlannedRun
    event : str
        ``began``, ``steps``, ``done``, ``stopped`` or ``failed``.
    steps : int
        Steps taken.
    score : float or None
        The adapter's measure of the run, see :class:`~genoevo_runs.run_kind.Progress`; with ``steps`` only.
    text : str
        The reason of ``failed``.

    """

    run: PlannedRun
    event: str
    steps: int = 0
    score: float | None = None
    text: str = ""


class LocalPool:
    """Worker processes of this machine.

    Parameters
    ----------
    processes
        The number of runs at a time.
    command
        The command line that each run's ``run.json`` notes.

    Attributes
    ----------
    stop_requested : bool
        Set it to save the runs that are training and begin no other.

    """

    def __init__(self, processes: int, command: list[str]) -> None:
        self._processes, self._command = processes, command
        self.stop_requested = False

    def run(self, waiting: Sequence[PlannedRun]) -> Iterator[RunEvent]:
        """Train the runs and yield their events."""
        queue = list(waiting)
        busy: dict[subprocess.Popen[bytes], PlannedRun] = {}
        stopping = False
        with selectors.DefaultSelector() as selector:
            try:
                for _ in range(min(self._processes, len(queue))):
                    worker = _start()
                    busy[worker] = queue.pop(0)
                    selector.register(_out(worker), selectors.EVENT_READ, worker)
                    yield self._assign(worker, busy[worker])
                while busy:
                    if self.stop_requested and not stopping:
                        stopping = True
                        for worker in busy:
                            worker.send_signal(signal.SIGTERM)
                    for key, _ in selector.select(timeout=0.2):
                        worker = key.data
                        line = _out(worker).readline()
                        run = busy[worker]
                        # A worker that is killed may leave a part of a line.
                        message = json.loads(line) if line.endswith(b"\n") else _death(worker, stopping)
                        yield RunEvent(run, **message)
                        if message["event"] == "steps":
                            continue
                        del busy[worker]
                        gone = not line.endswith(b"\n")
                        if gone or not queue or self.stop_requested:
                            selector.unregister(_out(worker))
                            _end(worker)
                            if not gone or not queue or self.stop_requested:
                                continue
                            worker = _start()
                            selector.register(_out(worker), selectors.EVENT_READ, worker)
                        busy[worker] = queue.pop(0)
                        yield self._assign(worker, busy[worker])
            finally:
                for worker in busy:
                    worker.kill()
                    _end(worker)

    def _assign(self, worker: subprocess.Popen[bytes], run: PlannedRun) -> RunEvent:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(_as_json(run, self._command)).encode() + b"\n")
        return RunEvent(run, "began")


class RayPool:
    """Tasks of a Ray cluster, or of a Ray on this machine if no cluster is running.

    Parameters
    ----------
    directory
        The sweep's directory, which all machines must share. Its file ``stop`` tells the tasks of Ctrl-C.
    cores
        The number of cores that each run asks Ray for.
    command
        The command line that each run's ``run.json`` notes.

    Attributes
    ----------
    stop_requested : bool
        Set it to save the runs that are training and begin no other.

    """

    def __init__(self, directory: Path, cores: int, command: list[str]) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError("--ray needs ray: pip install 'genoevo[ray]'") from None
        self._ray, self._cores, self._command = ray, cores, command
        self._flag = directory.absolute() / STOP  # Ray's workers are elsewhere
        self.stop_requested = False

    def run(self, waiting: Sequence[PlannedRun]) -> Iterator[RunEvent]:
        """Train the runs and yield their events, other than ``steps``."""
        self._flag.unlink(missing_ok=True)
        started_here = not self._ray.is_initialized()
        if started_here:
            self._start()
        remote = self._ray.remote(num_cpus=self._cores, max_retries=0)(_ray_task)
        try:
            pending = {remote.remote(_as_json(run, self._command), str(self._flag)): run for run in waiting}
            while pending:
                if self.stop_requested:
                    self._flag.touch()
                ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=0.5)
                for task in ready:
                    run = pending.pop(task)
                    try:
                        yield RunEvent(run, **self._ray.get(task))
                    except self._ray.exceptions.RayError as error:
                        yield RunEvent(run, "failed", text=str(error))
        finally:
            self._flag.unlink(missing_ok=True)
            if started_here:
                self._ray.shutdown()

    def _start(self) -> None:
        try:
            self._ray.init(log_to_driver=False, include_dashboard=False)
        except Exception as error:  # Ray's own errors of starting have no common class
            raise UserError(f"--ray: Ray does not start: {error}") from None


def _ray_task(run: dict[str, Any], flag: str) -> dict[str, Any]:
    find(run["format"], run["directory"]).register_code()
    for setting, name in run["allowed"]:  # a cluster has an environment of its own
        allow(setting, name)
    stop = Path(flag)
    if stop.exists():
        return {"event": "stopped"}
    return train(run, lambda message: None, stop.exists)


def _as_json(run: PlannedRun, command: list[str]) -> dict[str, Any]:
    return {
        "format": run.kind.format,
        "directory": str(run.directory.absolute()),
        "config": run.config.model_dump(mode="json"),
        "command": command,
        "allowed": inherited(),
    }


def _start() -> subprocess.Popen[bytes]:
    # A run sets the size of its own thread pools, but that of BLAS would be as large as the machine.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "genoevo_runs.worker"],  # -P: no module of the working directory goes first
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # a line that waited in a buffer of ours would not wake the selector
        env=environment,
        start_new_session=True,
    )


def _out(worker: subprocess.Popen[bytes]) -> Any:
    return worker.stdout


def _death(worker: subprocess.Popen[bytes], stopping: bool) -> dict[str, Any]:
    code = worker.wait()
    if code == -signal.SIGTERM and stopping:
        return {"event": "stopped"}  # while it was still importing, before it could answer a signal
    return {"event": "failed", "text": f"its process died (exit code {code})"}


def _end(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    _out(worker).close()
    worker.wait()
