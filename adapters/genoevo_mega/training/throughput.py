"""The throughput of a run, compared with the limits of its machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Work:
    """The work that a run has done; kept when it is resumed.

    ``operations`` are the floating-point operations of the learner's matrix products. ``rollout_seconds`` is the time
    that rollout workers spent simulating for training, summed over the workers. ``matrix_rate`` is the measured rate
    of plain fp32 matrix products on the learner's device and threads, in operations per second.
    """

    operations: float = 0.0
    rollout_seconds: float = 0.0
    matrix_rate: float = 0.0


def measure_matrix_rate(device: torch.device, seconds: float = 0.3) -> float:
    """Return the best rate of square fp32 matrix products, in operations per second, with torch as it is set."""
    size = 1024 if device.type == "cpu" else 8192
    matrix = torch.ones(size, size, device=device)
    best, end = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        matrix @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def summary(work: Work, steps: int, seconds: dict[str, float], workers: int) -> dict[str, Any]:
    """Return rates and shares of a run of *steps* environment steps; None if nothing was measured yet.

    ``simulator_steps_per_second`` is what the workers would give if they never waited.
    """
    possible = seconds["learning"] * work.matrix_rate
    return {
        "steps_per_second": steps / max(sum(seconds.values()), 1e-9),
        "simulator_steps_per_second": steps * workers / work.rollout_seconds if work.rollout_seconds else None,
        "learner_of_matrix_products": work.operations / possible if possible else None,
        "rollout_seconds": work.rollout_seconds,
        "operations": work.operations,
        "matrix_rate": work.matrix_rate,
    }
