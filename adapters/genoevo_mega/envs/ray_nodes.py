"""What kinds of machines simulate the tasks of a run whose rollouts are on a Ray cluster."""

from __future__ import annotations

from typing import Any

from genoevo_mega.envs.ray_workers import SETTING
from genoevo_runs import machine
from genoevo_runs.ray_cluster import connected, living_nodes

SEVERAL = " | "
"""What separates the kinds of machines."""


def kinds(timeout: float) -> str:
    """Return :func:`~genoevo_runs.machine.arithmetic` of all nodes with cores: one, or several if they differ.

    A node that does not tell within *timeout* seconds is ``unknown``. UserError if Ray does not start.
    """
    ray = connected(SETTING)
    on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    ask = ray.remote(num_cpus=0, max_retries=0)(machine.arithmetic)
    asked = [ask.options(scheduling_strategy=on(node, soft=False)).remote() for node in living_nodes(ray)]
    return SEVERAL.join(sorted({_answer(ray, reference, timeout) for reference in asked}))


def _answer(ray: Any, reference: Any, timeout: float) -> str:
    try:
        answer: str = ray.get(reference, timeout=timeout)
    except ray.exceptions.RayError:
        return "unknown"
    return answer
