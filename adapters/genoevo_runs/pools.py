"""Pools that train the runs of a sweep: worker processes of this machine, or Ray.

A worker process is :mod:`genoevo_runs.worker`. It has a session of its own, so Ctrl-C reaches the sweep alone, which
asks every worker to save.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoevo_runs import machine
from genoevo_runs.errors import RunError
from genoevo_runs.lock import await_lock
from genoevo_runs.ray_cluster import connected, disconnect, head, imported
from genoevo_runs.run_kind import find
from genoevo_runs.rundir import is_run
from genoevo_runs.sweep import PlannedRun
from genoevo_runs.user_code import allow, inherited
from genoevo_runs.worker import train_silently

STOP = "stop"
"""The file in a sweep's directory that asks the runs on Ray to save and stop."""
TRIES = 5
"""How often a run is begun or resumed on Ray, if the nodes that train it are lost."""
PATIENCE = 180.0
"""Seconds that a resumed run waits for the lock of a lost node: network file systems free it after a while."""


@dataclass(frozen=True)
class RunEvent:
    """News of one run of a sweep.

    Attributes
    ----------
    run : PlannedRun
    event : str
        ``began``, ``steps``, ``told`` (on Ray a part of the last event), ``done``, ``stopped``, ``failed``, or
        ``lost`` if its node was lost and it will be resumed on another.
    steps : int
        Steps taken.
    score : float or None
        The adapter's measure of the run, see :class:`~genoevo_runs.run_kind.Progress`; with ``steps`` only.
    text : str
        The reason of ``failed`` or ``lost``, or the line of ``told``.

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
                        if message["event"] in ("steps", "told"):
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
    """Actors of a Ray cluster, or of a Ray on this machine if no cluster is running.

    A run whose node is lost is resumed on another, from its last checkpoint.

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
        As of :class:`LocalPool`.

    """

    def __init__(self, directory: Path, cores: int, command: list[str]) -> None:
        self._ray, self._cores, self._command = imported("--ray"), cores, command
        self._flag = directory.absolute() / STOP  # Ray's workers are elsewhere
        self.stop_requested = False

    def run(self, waiting: Sequence[PlannedRun]) -> Iterator[RunEvent]:
        """Train the runs and yield their events, other than ``steps``.

        RunError if the head of the cluster is lost. The runs that are training then save and stop.
        """
        # A file that was left tells of runs that may still be saving: they have lost their head.
        self._patience = PATIENCE if self._flag.exists() else 0.0
        self._flag.unlink(missing_ok=True)
        started_here = not self._ray.is_initialized()
        self._head = head(connected("--ray"), RunError)
        try:
            with _visible(self._flag.parent) as proof:
                yield from self._run(waiting, str(proof))
        finally:
            if self._head.is_lost:
                self._flag.touch()  # it stays, because nobody tells when the last run has seen it
            else:
                self._flag.unlink(missing_ok=True)
                if started_here:
                    disconnect(self._ray)

    def _run(self, waiting: Sequence[PlannedRun], proof: str) -> Iterator[RunEvent]:
        # An actor and no task: Ray does not tell that a task's node is lost if the node falls silent.
        runner = self._ray.remote(num_cpus=self._cores, max_restarts=0, max_task_retries=0)(_Runner)
        queue, pending, tries = list(waiting), {}, Counter[PlannedRun]()
        while queue or pending:
            self._head.wait()
            if self.stop_requested:
                self._flag.touch()
                yield from (RunEvent(run, "stopped") for run in queue)
                queue.clear()
            while queue and len(pending) < self._places():
                run, actor = queue.pop(0), runner.remote()
                patience = PATIENCE if tries[run] else self._patience
                tries[run] += 1
                task = actor.train.remote(_as_json(run, self._command), str(self._flag), proof, patience)
                pending[task] = run, actor
            ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=0.5) if pending else ([], [])
            for task in ready:
                run, actor = pending.pop(task)
                event = self._outcome(run, task, tries[run] < TRIES and not self.stop_requested)
                self._head.wait()
                self._ray.kill(actor)  # it gives its cores back, also if it is only out of reach
                if event.event == "lost":
                    queue.insert(0, run)
                yield event

    def _places(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)) // self._cores)

    def _outcome(self, run: PlannedRun, task: Any, again: bool) -> RunEvent:
        try:
            return RunEvent(run, **self._ray.get(task))
        except self._ray.exceptions.RayError as error:
            ours = isinstance(error, self._ray.exceptions.RayTaskError) or "creation task" in str(error)
            if again and not ours:
                return RunEvent(run, "lost", text=f"{_first_line(error)}; it will be resumed on another node")
            return RunEvent(run, "failed", text=str(error))


@contextmanager
def _visible(directory: Path) -> Iterator[Path]:
    """Yield a new file in a sweep's directory, by which a node sees that it shares the directory."""
    proof = directory / f"sweep-{uuid.uuid4().hex}"
    proof.touch()
    try:
        yield proof
    finally:
        proof.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".:") or type(error).__name__


class _Runner:
    def train(self, *run: Any) -> dict[str, Any]:
        return _ray_task(*run)


def _ray_task(run: dict[str, Any], flag: str, proof: str, patience: float) -> dict[str, Any]:
    find(run["format"], run["directory"]).register_code()
    for setting, name in run["allowed"]:  # a cluster has an environment of its own
        allow(setting, name)
    stop = Path(flag)
    if not Path(proof).exists():
        text = f"{stop.parent} on {socket.gethostname()} is not the sweep's: all nodes must share the directory"
        return {"event": "failed", "text": text}
    if other := machine.other_version(run["versions"]):
        return {"event": "failed", "text": other}
    if stop.exists():
        return {"event": "stopped"}
    if is_run(directory := Path(run["directory"])):
        await_lock(directory, patience)
    node = os.getppid()  # the node's process has started this one; if it ends, the run is resumed elsewhere
    return train_silently(run, lambda: stop.exists() or os.getppid() != node)


def _as_json(run: PlannedRun, command: list[str]) -> dict[str, Any]:
    return {
        "format": run.kind.format,
        "directory": str(run.directory.absolute()),
        "config": run.config.model_dump(mode="json"),
        "command": command,
        "allowed": inherited(),
        "versions": {name: machine.installed(name) for name in run.kind.packages},
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
