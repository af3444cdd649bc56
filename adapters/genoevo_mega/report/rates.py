"""Success rates as the page takes them: integers in thousandths, with intervals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from genoevo_mega.training.evaluation import SuccessRate
from genoevo_runs.arrays import Ints


@lru_cache(maxsize=100_000)
def _estimate(successes: int, episodes: int) -> SuccessRate:
    return SuccessRate.of(successes, episodes)


def intervals(successes: Ints, episodes: Ints) -> dict[str, list[int]]:
    """Return n rates with their 95 % Wilson intervals, in thousandths."""
    found = [_estimate(int(k), int(n)) for k, n in zip(successes, episodes, strict=True)]
    return {name: [round(1000 * getattr(one, key)) for one in found] for name, key in _BOUNDS}


_BOUNDS = (("rate", "success"), ("low", "low"), ("high", "high"))


def mean_over_tasks(successes: Ints, episodes: Ints) -> dict[str, list[int]]:
    """Return the mean over tasks, in thousandths; the interval covers the sampling of episodes, for fixed tasks.

    The variance of each task is taken at its Agresti-Coull centre, so that tasks at 0 or 1 do not count as certain.
    """
    rate = (successes / episodes).mean(axis=1)
    centre = (successes + 2) / (episodes + 4)
    deviation = np.sqrt((centre * (1 - centre) / (episodes + 4)).sum(axis=1)) / successes.shape[1]
    bounds = {"rate": rate, "low": rate - 1.96 * deviation, "high": rate + 1.96 * deviation}
    return {name: (1000 * np.clip(value, 0, 1)).round().astype(int).tolist() for name, value in bounds.items()}
