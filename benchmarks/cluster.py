"""Compare rollouts and fitness on a Ray cluster with processes of this machine.

    python benchmarks/cluster.py [--quick] [--json]

The cluster has its nodes on this machine: each is a raylet with processes of its own. Simulators and fitness
functions sleep, so that two cores can hold many of them. What is measured is the cost of messages, not of a network.

- ``step``: four workers with one task each, as processes and as actors on three nodes of two cores. The overhead is
  the time of a vector step beyond the simulator's, idle and with ten milliseconds of work of the learner while the
  step is under way, as with ``schedule.update_lag`` of 1.
- ``lag``: the same workers with ``schedule.action_lag`` of 0, 1 and 2, in a loop like training's: a millisecond of
  acting, the next step is sent, two milliseconds of an update, the oldest step is finished. The overhead is the time
  of a vector step beyond the simulator's, which the learner's three milliseconds exceed if it takes 0.3 ms.
- ``evaluation``: four workers of ``ProcessPool`` and of ``RayPool``. The overhead is the worker's time for one
  evaluation beyond the fitness function's.
- ``scaling``: 24 tasks on one, two and three nodes of two workers. A ratio is the speed beside one node's, divided by
  the number of nodes; 1 is ideal.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from reporting import Measured, report

from genoevo import Genotype, Population
from genoevo.evaluation import evaluated
from genoevo.pools import ProcessPool, RayPool
from genoevo_mega.envs.rollout import RolloutPool
from tests.cluster.cluster import cluster

MILLISECONDS = (0.3, 3.0, 30.0)
WORKERS = 4
LEARNING = 0.01  # seconds
LAGS = 0, 1, 2
ACTING, UPDATE = 0.001, 0.002  # seconds


@dataclass(frozen=True)
class Sleeping:
    """A suite of MT50's sizes whose simulators take a given time."""

    tasks: int
    seconds: float
    observation_size: int = 39
    action_size: int = 4
    goals: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks' numbers."""
        return tuple(map(str, range(self.tasks)))

    @property
    def costs(self) -> tuple[float, ...]:
        """Equal costs."""
        return (1.0,) * self.tasks

    def make(self, task: int) -> SleepingTask:
        """Make a task."""
        return SleepingTask(self)


class SleepingTask:
    """A task of :class:`Sleeping`."""

    def __init__(self, suite: Sleeping) -> None:
        self._observation, self._seconds = np.zeros(suite.observation_size), suite.seconds

    def reset(self, goal: int, *, evaluation: bool) -> npt.NDArray[np.float64]:
        """Start an episode, in no time."""
        return self._observation

    def step(self, action: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], float, bool, bool]:
        """Sleep."""
        time.sleep(self._seconds)
        return self._observation, 0.0, False, False


@dataclass(frozen=True)
class Slept:
    """A fitness function that takes a given time."""

    seconds: float

    def __call__(self, genotype: Genotype) -> float:
        """Return the length."""
        time.sleep(self.seconds)
        return float(len(genotype))


def median_step(pool: RolloutPool, steps: int, learn: Callable[[], None] = lambda: None) -> float:
    """Return the median time of a vector step in milliseconds; *learn* is called while each is under way."""
    actions, spent = np.zeros((len(pool.lost), 4), np.float32), []
    pool.reset(np.zeros(len(pool.lost), np.int64))
    for _ in range(steps):
        began = time.perf_counter()
        pool.begin_step(actions)
        learn()
        pool.finish_step()
        spent.append(time.perf_counter() - began)
    return 1000 * statistics.median(spent)


def learn(seconds: float = LEARNING) -> None:
    """Occupy this process, as updates do."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def median_lagged(pool: RolloutPool, steps: int, lag: int) -> float:
    """Return the median time of a vector step in milliseconds, with *lag* more under way."""
    actions, ends = np.zeros((len(pool.lost), 4), np.float32), []
    pool.reset(np.zeros(len(pool.lost), np.int64))
    begun = 0
    for step in range(steps + lag + 1):
        while begun <= step + lag:
            learn(ACTING)
            pool.begin_step(actions)
            begun += 1
        learn(UPDATE)
        pool.finish_step()
        ends.append(time.perf_counter())
    pool.drop()
    return 1000 * statistics.median(np.diff(ends)[lag:])


def of_lags(steps: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Return ratios, and a row for each simulator time."""
    ratios, rows = {}, []
    for milliseconds in MILLISECONDS:
        row = {"simulator ms": milliseconds}
        for rollouts in ("local", "ray"):
            suite = Sleeping(WORKERS, milliseconds / 1000)
            with RolloutPool(suite, WORKERS, rollouts=rollouts, ahead=max(LAGS)) as pool:
                median_step(pool, 5)
                whole = {lag: median_lagged(pool, steps, lag) for lag in LAGS}
            row |= {f"{rollouts}, lag {lag}": whole[lag] - milliseconds for lag in LAGS}
            ratios[f"lag_{milliseconds:g}ms_{rollouts}_{LAGS[-1]}_vs_0"] = whole[0] / whole[LAGS[-1]]
        rows.append(row)
    return ratios, rows


def of_steps(steps: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Return ratios, and a row for each simulator time."""
    ratios, rows = {}, []
    for milliseconds in MILLISECONDS:
        suite = Sleeping(WORKERS, milliseconds / 1000)
        row = {"simulator ms": milliseconds}
        whole = {}
        for rollouts in ("local", "ray"):
            with RolloutPool(suite, WORKERS, rollouts=rollouts) as pool:
                median_step(pool, 5)
                whole[rollouts] = median_step(pool, steps)
                row[f"{rollouts} ms"] = whole[rollouts] - milliseconds
                hidden = median_step(pool, steps, learn) - max(milliseconds, 1000 * LEARNING)
                row[f"{rollouts} learning ms"] = hidden
        ratios[f"step_{milliseconds:g}ms_ray_vs_local"] = whole["local"] / whole["ray"]
        rows.append(row)
    return ratios, rows


def of_evaluations(count: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Return ratios, and a row for each time of the fitness function."""
    ratios, rows = {}, []
    population = Population.random(count, 100, np.random.default_rng(1))
    for milliseconds in MILLISECONDS:
        row, whole = {"function ms": milliseconds}, {}
        for name, kind in (("local", ProcessPool), ("ray", RayPool)):
            with kind(Slept(milliseconds / 1000), workers=WORKERS) as pool:
                evaluated(pool, population[:WORKERS])
                began = time.perf_counter()
                evaluated(pool, population)
                whole[name] = 1000 * (time.perf_counter() - began) * WORKERS / count
            row[f"{name} ms"] = whole[name] - milliseconds
        ratios[f"evaluation_{milliseconds:g}ms_ray_vs_local"] = whole["local"] / whole["ray"]
        rows.append(row)
    return ratios, rows


def of_nodes(nodes: Any, steps: int, times: tuple[float, ...]) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Return ratios, and a row for each number of nodes; *nodes* has one that is not its head."""
    tasks, rows = 24, []
    for count in (1, 2, 3):
        if count > 1:
            nodes.add(2)
        row: dict[str, float] = {"nodes": count}
        for milliseconds in times:
            with RolloutPool(Sleeping(tasks, milliseconds / 1000), 2 * count, rollouts="ray") as pool:
                median_step(pool, 2)
                row[f"{milliseconds:g} ms, step"] = median_step(pool, steps)
                row[f"{milliseconds:g} ms, ideal"] = milliseconds * tasks / (2 * count)
        rows.append(row)
    ratios = {
        f"scaling_{row['nodes']}_nodes_{milliseconds:g}ms": rows[0][name] / row[name] / row["nodes"]
        for row in rows[1:]
        for milliseconds in times
        for name in [f"{milliseconds:g} ms, step"]
    }
    return ratios, rows


def measure(quick: bool) -> Measured:
    """Measure one cluster, which grows."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as directory:
        os.environ["RAY_TMPDIR"] = directory
        with cluster(0, 2) as nodes:
            scaled, of_scaling = of_nodes(nodes, 5 if quick else 30, (30.0,) if quick else MILLISECONDS)
            stepped, of_step = of_steps(30 if quick else 300)
            lagged, of_lag = of_lags(30 if quick else 300)
            answered, of_evaluation = of_evaluations(40 if quick else 400)
    ratios = stepped | lagged | answered | scaled
    return ratios, {
        "overhead of a vector step": of_step,
        "overhead of a vector step by action lag": of_lag,
        "overhead of an evaluation": of_evaluation,
        "milliseconds of a vector step of 24 tasks": of_scaling,
        "cores": os.cpu_count() or 1,
    }


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
