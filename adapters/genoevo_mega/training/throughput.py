"""How close a run comes to what its machine could do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Work:
    """What was done in a run's time; survives resuming.

    ``operations`` floating-point operations of the learner's matrix products; ``rollout_seconds`` that the rollout
    workers simulated for training, all of them together; ``matrix_rate`` operations per second of plain fp32 matrix
    products on the learner's device and threads, as measured when the run last began.
    """

    operations: float = 0.0
    rollout_seconds: float = 0.0
    matrix_rate: float = 0.0


def measure_matrix_rate(device: torch.device, seconds: float = 0.3) -> float:
    """Floating-point operations per second of square fp32 products with the present settings of torch, at best."""
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
    """Rates and shares of a run of *steps* environment steps; None where nothing was measured yet.

    ``simulator_steps_per_second`` is what the workers would give if they never waited.
    """
    learning = seconds["learning"]
    return {
        "steps_per_second": steps / max(sum(seconds.values()), 1e-9),
        "simulator_steps_per_second": steps * workers / work.rollout_seconds if work.rollout_seconds else None,
        "learner_of_matrix_products": work.operations / learning / work.matrix_rate if learning else None,
        "rollout_seconds": work.rollout_seconds,
        "operations": work.operations,
        "matrix_rate": work.matrix_rate,
    }
