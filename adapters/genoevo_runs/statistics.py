"""Statistics of the scores of few runs on several tasks.

The source is Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice". The
definitions agree with their package rliable, which would add pandas, seaborn and arch to the dependencies.

Scores are (runs, tasks) float64: one row per seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import trim_mean

Scores = npt.NDArray[np.float64]

REPETITIONS = 5_000
LEAST_SEEDS = 3
"""Seeds below which no interval is given, because two values show too little of their spread."""
FEW_SEEDS = 10
"""Seeds below which an interval needs a warning, because the bootstrap of few values is too narrow."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile interval; ``low`` and ``high`` are None below LEAST_SEEDS seeds."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Mean:
    """A mean over ``runs`` runs and its standard error, None for a single run."""

    value: float
    error: float | None
    runs: int


def mean_of_runs(values: Scores) -> Mean:
    """Return the mean of one value per run, (runs,), with its standard error."""
    runs = len(values)
    error = None if runs < 2 else float(values.std(ddof=1) / np.sqrt(runs))
    return Mean(float(values.mean()), error, runs)


def interquartile_mean(scores: Scores) -> float:
    """Return the mean of all scores without the lowest and the highest quarter, each rounded down."""
    return float(trim_mean(scores, 0.25, axis=None))


def iqm_interval(scores: Scores, rng: np.random.Generator, *, whole_runs: bool = False) -> Interval:
    """Return the interquartile mean and its stratified bootstrap interval.

    Seeds are resampled for each task separately, as in rliable. But the tasks of a run may share a network, and then
    their scores are correlated. With *whole_runs* a seed is drawn with all its tasks.
    """
    value, runs = interquartile_mean(scores), len(scores)
    if runs < LEAST_SEEDS:
        return Interval(value, None, None)
    resampled = _resampled(scores, rng, whole_runs)
    means = trim_mean(resampled.reshape(REPETITIONS, -1), 0.25, axis=1)
    return Interval(value, *_percentiles(means))


def probability_of_improvement(first: Scores, second: Scores, rng: np.random.Generator) -> Interval:
    """Return the probability that a run of *first* scores higher than a run of *second*, averaged over the tasks.

    Ties count half. The interval is a stratified bootstrap. ValueError if the numbers of tasks differ.
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
    # Both are (repetitions, runs, tasks). One run of first at a time needs no more memory than the scores.
    wins = np.zeros(len(first))
    for run in range(first.shape[1]):
        mine = first[:, run : run + 1]
        wins += ((mine > second) + 0.5 * (mine == second)).mean(axis=(1, 2))
    return wins / first.shape[1]


def _percentiles(values: Scores) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
