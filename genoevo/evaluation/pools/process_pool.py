"""Evaluation by worker processes of this machine.

The fitness function is pickled and travels from this process to the processes that it has started, never from or to
a file.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from genoevo._optional import optional
from genoevo.evaluation.fitness import Evaluator
from genoevo.evaluation.pools.pool import Answer, Cargo, Pool, Worker, WorkerLost, compute

_READY = ""
_IMPORTABLE = "define the function at the top level of a module, or pip install genoevo[notebook]"
_GUARD = (
    "; its own message is on standard error. A script must create the pool under if __name__ == '__main__':, because "
    "each worker imports the script"
)


class _Process(Worker):
    def __init__(self, function: bytes, timeout: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # This process ends it as it ends a daemon. In the worker itself it is none, see _serve.
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _without_false_file(), _deaf_to_interrupts():
            self._process.start()
        theirs.close()
        self._end = util.Finalize(self, _ended, args=(self._process,), exitpriority=15)
        with suppress(OSError):  # the worker has ended: wait_until_ready() reports it
            self.connection.send_bytes(function)
        self._lost = "" if timeout is None else f"did not return within {timeout:g} seconds"

    def wait_until_ready(self) -> None:
        try:
            trouble = self._receive()
        except WorkerLost as lost:
            raise WorkerLost(f"{lost}{_GUARD if self._process.exitcode == 1 else ''}") from None
        if trouble != _READY:
            raise WorkerLost(f"could not load the fitness function: {trouble}; {_IMPORTABLE}")

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, cargo: Cargo) -> None:
        with suppress(OSError):  # the worker has ended: receive() reports it
            self.connection.send(cargo)

    def receive(self) -> Answer:
        if self.connection.closed:
            raise WorkerLost(self._lost)
        answer: Answer = self._receive()
        return answer

    def _receive(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise WorkerLost(f"ended its worker process (exit code {self._process.exitcode})") from None

    def kill(self) -> None:
        self.connection.close()
        self._end()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    # A process inherits what its parent's thread blocks, so Ctrl-C does not end a worker that starts. This process
    # is told after it.
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # to start it would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(process: BaseProcess) -> None:
    assert process.pid is not None
    _kill_group(process.pid)
    process.kill()
    process.join()


def _kill_group(worker: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(OSError):  # there is no such group (any more)
            os.killpg(worker, signal.SIGKILL)


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends its workers itself
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    _adopt_children()
    try:
        evaluator = connection.recv()
    except EOFError:
        _end_with_children()
    except Exception as error:  # whatever the import of what it needs raises
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send(_READY)
    while True:
        try:
            cargo = connection.recv()
        except EOFError:  # the parent has ended
            _end_with_children()
        connection.send(compute(evaluator, cargo))


def _adopt_children() -> None:
    """Let the fitness function start processes, and have them end with this worker, as it ends with its parent."""
    multiprocessing.current_process().daemon = False  # a daemon may have no children
    if hasattr(os, "setpgid"):
        with suppress(OSError):
            os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    _end_with_children()


def _end_with_children() -> NoReturn:
    _kill_group(os.getpid())
    os._exit(1)  # a system without process groups


def _packed(evaluator: Evaluator) -> bytes:
    """Return *evaluator* pickled, by value if a worker could not import it; TypeError if that is not possible."""
    trouble: Exception | None = None
    try:
        data = pickle.dumps(evaluator)
        if b"__main__" not in data or _is_importable():
            return data
    except Exception as error:  # pickle raises whatever an object's own methods raise
        trouble = error
    try:
        by_value = optional("cloudpickle", "a function that worker processes cannot import", "genoevo[notebook]")
    except ImportError as error:
        why = "a worker cannot import it from a notebook or standard input" if trouble is None else trouble
        message = f"a fitness function for worker processes must be picklable: {why}; {_IMPORTABLE}"
        raise TypeError(message) from trouble or error
    try:
        return bytes(by_value.dumps(evaluator))
    except Exception as error:
        raise TypeError(f"a fitness function for worker processes must be picklable: {error}") from error


def _is_importable() -> bool:
    # Whether a worker imports the program; it cannot if that came from a notebook or from standard input.
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return getattr(main, "__spec__", None) is not None or (file is not None and os.path.isfile(file))


@contextmanager
def _without_false_file() -> Iterator[None]:
    # Of standard input Python says that it is a file, "<stdin>", and a worker would try to run that.
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or _is_importable():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


class ProcessPool(Pool[_Process]):
    """A pool of worker processes of this machine. As a context manager it ends them on leaving.

    Parameters
    ----------
    function
        As for :class:`~genoevo.evaluation.InProcess`, or a ``Vectorised``, which then gets a batch at a time. It
        must be picklable: defined at the top level of a module. Other functions, such as those of a notebook, need
        ``genoevo[notebook]``. It may start processes itself, which end with its worker at the latest. Processes are
        spawned, not forked, so a script must create the pool under ``if __name__ == "__main__":``.
    workers
        Number of processes; None for as many as there are cores.
    batch
        Genotypes that travel together; None for a quarter of a worker's share.
    timeout
        Seconds for each genotype of a batch, after which its worker is killed; None for no limit.
    failure
        The rule for genotypes that fail. It replaces the rule of a given ``Vectorised``.

    Raises
    ------
    TypeError
        If the function cannot be pickled.

    """

    def _prepare(self) -> None:
        self._function = _packed(self.evaluator)

    def _cores(self) -> int:
        return os.cpu_count() or 1

    def _start(self) -> _Process:
        return _Process(self._function, self.timeout)

    def _wait(self, workers: Sequence[_Process], seconds: float | None) -> list[_Process]:
        ready = wait([worker.connection for worker in workers], seconds)
        return [worker for worker in workers if worker.connection in ready]
