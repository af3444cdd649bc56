"""Evaluation by actors of a Ray cluster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from genoevo._optional import optional
from genoevo._types import Ints, Words
from genoevo.evaluation.fitness import Evaluator
from genoevo.evaluation.pools.pool import Answer, Cargo, NodeLost, Pool, Worker, WorkerLost, compute
from genoevo.evaluation.ray_cluster import SLICE, Head, connect


class _Actor(Worker):
    def __init__(self, ray: Any, head: Head, evaluator: Evaluator, timeout: float | None, node: str | None) -> None:
        self._ray, self._head, self.node = ray, head, node
        place = "SPREAD"
        if node is not None:
            place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=True)
        options = {"max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": place}
        self._handle = ray.remote(**options)(_Remote).remote(evaluator)
        self.pending = self._handle.node.remote()
        self._lost = "" if timeout is None else f"did not return within {timeout:g} seconds"
        self.killed = False

    def wait_until_ready(self) -> None:
        self.node = self._receive()  # Ray may have placed it elsewhere

    def is_alive(self) -> bool:
        try:
            return bool(self._get(self._handle.node.remote()))
        except self._ray.exceptions.RayError:
            return False

    def send(self, cargo: Cargo) -> None:
        try:
            self.pending = self._handle.answer.remote(*cargo)
        except self._ray.exceptions.RayError as error:  # the object store is full, and the disk
            raise RuntimeError(f"Ray takes no batch: {_described(error)}") from error

    def receive(self) -> Answer:
        if self.killed:
            raise WorkerLost(self._lost)
        answer: Answer = self._receive()
        return answer

    def _receive(self) -> Any:
        try:
            return self._get(self.pending)
        except self._ray.exceptions.RayError as error:
            kind = NodeLost if self._node_is_gone(error) else WorkerLost
            raise kind(f"ended its Ray worker ({_described(error)})") from error

    def _get(self, reference: Any) -> Any:
        while True:
            try:
                return self._ray.get(reference, timeout=SLICE)
            except self._ray.exceptions.GetTimeoutError:
                self._head.check()

    def _node_is_gone(self, error: Exception) -> bool:
        # Ray may tell the actor's end before that of its node, and calls an actor unavailable that it cannot reach.
        if isinstance(error, self._ray.exceptions.ActorUnavailableError) or "node has died" in str(error):
            return True
        self._head.wait()
        return self.node not in _cores_of_nodes(self._ray)

    def kill(self) -> None:
        self.killed = True
        if not self._head.is_lost:  # else Ray would wait for it
            self._ray.kill(self._handle)


def _described(error: Exception) -> str:
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"


def _cores_of_nodes(ray: Any) -> dict[str, float]:
    """Return the number of cores of each node that is alive."""
    return {node["NodeID"]: node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]}


class _Remote:
    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def node(self) -> str:
        return str(import_module("ray").get_runtime_context().get_node_id())

    def answer(self, words: Words, lengths: Ints, weights: tuple[float, ...]) -> Answer:
        return compute(self._evaluator, (words, lengths, weights))


class RayPool(Pool[_Actor]):
    """A pool of actors of a Ray cluster; needs ``genoevo[ray]``. As a context manager it ends them on leaving.

    A running Ray is used; if there is none, one is started on this machine. Raises ImportError if Ray is not
    installed.

    Each node gets actors by the number of its cores. If a node is lost, its actors are replaced on the others, and
    the genotypes that they had are evaluated there: no genotype fails because of it, unless three nodes are lost with
    it. A slow node takes fewer batches. If the head of the cluster is lost, an evaluation raises RuntimeError.

    Parameters
    ----------
    function, batch, timeout, failure
        As for :class:`ProcessPool`; Ray also takes functions that pickle does not.
    workers
        Number of actors; None for as many as the cluster has cores.

    """

    def _prepare(self) -> None:
        self._ray = optional("ray", "RayPool", "genoevo[ray]")
        import_module("ray.util.scheduling_strategies")  # Ray does not do so by itself
        self._actors: list[_Actor] = []
        if not self._ray.is_initialized():
            connect(self._ray)
        self._head = Head(self._ray, RuntimeError)

    def _cores(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _start(self) -> _Actor:
        self._head.wait()
        actor = _Actor(self._ray, self._head, self.evaluator, self.timeout, self._roomiest())
        self._actors.append(actor)
        return actor

    def _roomiest(self) -> str | None:
        self._actors = [actor for actor in self._actors if not actor.killed]
        taken = Counter(actor.node for actor in self._actors)
        shares = [((taken[node] + 1) / cores, node) for node, cores in _cores_of_nodes(self._ray).items() if cores]
        return min(shares)[1] if shares else None

    def _wait(self, workers: Sequence[_Actor], seconds: float | None) -> list[_Actor]:
        end = None if seconds is None else time.monotonic() + seconds
        pending = [worker.pending for worker in workers]
        while True:
            self._head.check()
            left = SLICE if end is None else min(SLICE, max(0.0, end - time.monotonic()))
            ready, _ = self._ray.wait(pending, num_returns=1, timeout=left)
            if ready or left < SLICE:
                return [worker for worker in workers if worker.pending in ready]
