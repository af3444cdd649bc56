"""Success of few runs on several tasks, with its uncertainty.

After Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice". The definitions are
those of their package rliable, which would bring pandas, seaborn and arch for these few lines.

Scores are (runs, tasks): one row per seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import trim_mean

Scores = npt.NDArray[np.float64]

REPETITIONS = 5_000
LEAST_SEEDS = 3
"""Below this no interval is given: two values resampled say nothing of their spread."""
FEW_SEEDS = 10
"""Below this intervals come with a warning: the bootstrap of few values is too narrow."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile interval; ``low`` and ``high`` are None where there are too few seeds."""

    value: float
    low: float | None
    high: float | None


def interquartile_mean(scores: Scores) -> float:
    """The mean of all runs on all tasks without the lowest and the highest quarter (a quarter rounded down)."""
    return float(trim_mean(scores, 0.25, axis=None))


def iqm_interval(scores: Scores, rng: np.random.Generator, *, whole_runs: bool = False) -> Interval:
    """The interquartile mean and its stratified bootstrap interval.

    Seeds are resampled for each task apart, as rliable does. The tasks of one run share a network, though, so that
    they tend to be good or bad together; with *whole_runs* a seed is drawn with all its tasks.
    """
    value, runs = interquartile_mean(scores), len(scores)
    if runs < LEAST_SEEDS:
        return Interval(value, None, None)
    resampled = _resampled(scores, rng, whole_runs)
    means = trim_mean(resampled.reshape(REPETITIONS, -1), 0.25, axis=1)
    return Interval(value, *_percentiles(means))


def probability_of_improvement(first: Scores, second: Scores, rng: np.random.Generator) -> Interval:
    """That a run of *first* does better than one of *second* on a task, ties counted half, averaged over the tasks.

    With its stratified bootstrap interval. ValueError where they have not the same tasks.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"both must have the same tasks, got {first.shape[1]} and {second.shape[1]}")
    value = float(_superiority(first[None], second[None])[0])
    if min(len(first), len(second)) < LEAST_SEEDS:
        return Interval(value, None, None)
    resampled = _resampled(first, rng, False), _resampled(second, rng, False)
    return Interval(value, *_percentiles(_superiority(*resampled)))


def _resampled(scores: Scores, rng: np.random.Generator, whole_runs: bool) -> Scores:
    runs, tasks = scores.shape
    rows = rng.integers(0, runs, (REPETITIONS, runs, 1 if whole_runs else tasks))
    return scores[rows, np.arange(tasks)]


def _superiority(first: Scores, second: Scores) -> Scores:
    # (repetitions, runs, tasks) each; one run of first at a time keeps the memory that of the scores.
    wins = np.zeros(len(first))
    for run in range(first.shape[1]):
        mine = first[:, run : run + 1]
        wins += ((mine > second) + 0.5 * (mine == second)).mean(axis=(1, 2))
    return wins / first.shape[1]


def _percentiles(values: Scores) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
