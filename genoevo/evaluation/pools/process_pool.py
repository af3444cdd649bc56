"""Evaluation by worker processes of this machine.

The fitness function is pickled, as Python's worker processes require. It travels from this process to the
processes that it has started, never from or to a file.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from genoevo.evaluation.fitness import Evaluator
from genoevo.evaluation.pools.pool import Answer, Cargo, Pool, Worker, WorkerLost, compute


class _Process(Worker):
    def __init__(self, evaluator: Evaluator, timeout: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, evaluator), daemon=True)
        self._process.start()
        theirs.close()
        self._lost = "" if timeout is None else f"did not return within {timeout:g} seconds"

    def wait_until_ready(self) -> None:
        self._receive()

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
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, evaluator: Evaluator) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends its workers itself
    connection.send("ready")
    while True:
        try:
            cargo = connection.recv()
        except EOFError:
            return
        connection.send(compute(evaluator, cargo))


class ProcessPool(Pool[_Process]):
    """A pool of worker processes of this machine. As a context manager it ends them on leaving.

    Parameters
    ----------
    function
        As for :class:`~genoevo.evaluation.InProcess`, or a ``Vectorised``, which then gets a batch at a time. It
        must be picklable: defined at the top level of a module. Processes are spawned, not forked, so a script
        must create the pool under ``if __name__ == "__main__":``.
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
        try:
            pickle.dumps(self.evaluator)
        except Exception as error:  # pickle raises whatever an object's own methods raise
            raise TypeError(f"a fitness function for worker processes must be picklable: {error}") from error

    def _cores(self) -> int:
        return os.cpu_count() or 1

    def _start(self) -> _Process:
        return _Process(self.evaluator, self.timeout)

    def _wait(self, workers: Sequence[_Process], seconds: float | None) -> list[_Process]:
        ready = wait([worker.connection for worker in workers], seconds)
        return [worker for worker in workers if worker.connection in ready]
