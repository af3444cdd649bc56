"""Evaluation by actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genoevo._optional import optional
from genoevo._types import Ints, Words
from genoevo.evaluation.fitness import Evaluator
from genoevo.evaluation.pools.pool import Answer, Cargo, Pool, Worker, WorkerLost, compute


class _Actor(Worker):
    def __init__(self, ray: Any, evaluator: Evaluator, timeout: float | None) -> None:
        self._ray = ray
        self._handle = ray.remote(max_restarts=0, max_task_retries=0)(_Remote).remote(evaluator)
        self.pending = self._handle.is_ready.remote()
        self._lost = "" if timeout is None else f"did not return within {timeout:g} seconds"
        self._killed = False

    def wait_until_ready(self) -> None:
        self._receive()

    def is_alive(self) -> bool:
        try:
            return bool(self._ray.get(self._handle.is_ready.remote()))
        except self._ray.exceptions.RayError:
            return False

    def send(self, cargo: Cargo) -> None:
        self.pending = self._handle.answer.remote(*cargo)

    def receive(self) -> Answer:
        if self._killed:
            raise WorkerLost(self._lost)
        answer: Answer = self._receive()
        return answer

    def _receive(self) -> Any:
        try:
            return self._ray.get(self.pending)
        except self._ray.exceptions.RayError as error:
            first_line = str(error).partition("\n")[0]
            raise WorkerLost(f"ended its Ray worker ({type(error).__name__}: {first_line})") from error

    def kill(self) -> None:
        self._killed = True
        self._ray.kill(self._handle)


class _Remote:
    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def is_ready(self) -> bool:
        return True

    def answer(self, words: Words, lengths: Ints, weights: tuple[float, ...]) -> Answer:
        return compute(self._evaluator, (words, lengths, weights))


class RayPool(Pool[_Actor]):
    """A pool of actors of a Ray cluster; needs ``genoevo[ray]``. As a context manager it ends them on leaving.

    A running Ray is used; if there is none, one is started on this machine. Raises ImportError if Ray is not
    installed.

    Parameters
    ----------
    function, batch, timeout, failure
        As for :class:`ProcessPool`; Ray also takes functions that pickle does not.
    workers
        Number of actors; None for as many as the cluster has cores.

    """

    def _prepare(self) -> None:
        self._ray = optional("ray", "RayPool", "genoevo[ray]")
        if not self._ray.is_initialized():
            self._ray.init(include_dashboard=False)

    def _cores(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _start(self) -> _Actor:
        return _Actor(self._ray, self.evaluator, self.timeout)

    def _wait(self, workers: Sequence[_Actor], seconds: float | None) -> list[_Actor]:
        ready, _ = self._ray.wait([worker.pending for worker in workers], num_returns=1, timeout=seconds)
        return [worker for worker in workers if worker.pending in ready]
