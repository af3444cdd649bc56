"""Measure the effect of evolution alone on tasks that never succeed: the share of output by paths around module 1.

There is no learner and no simulator: success is 0 in every round, mean return is noise, and tasks grow as usual. The
search starts from random genotypes, so the first value of each case is the result without selection.

    python studies/usage_term.py
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from genoevo import Community, StagedLayout
from genoevo.community import Growth, Mating
from genoevo.decode import output_shares, stages_of
from genoevo.operators import Reproduction

TASKS, SIZE, ROUNDS = 10, 3, 88


def around_module_1(community: Community) -> npt.NDArray[np.float64]:
    """Return the share of each elite's output by paths around module 1, (tasks,) float64."""
    elites = community.population[np.arange(0, len(community.population), community.size)]
    return output_shares(community.weights(elites), stages_of(elites, community.layout))[:, 0]


def course(usage_cost: float, seed: int) -> list[float]:
    """Return the mean of :func:`around_module_1` at the start and after a third, two thirds and all of the rounds."""
    rng = np.random.default_rng(seed)
    community = Community(
        StagedLayout(precision=2),
        [str(task) for task in range(TASKS)],
        seed=seed,
        size=SIZE,
        stage=3,
        reproduction=Reproduction(crossover_threshold=0.6, mutation_threshold=0.9),
        mating=Mating(usage_cost=usage_cost),
        growth=Growth(warmup_rounds=8, patience=8, max_modules=8),
    )
    seen = [float(around_module_1(community).mean())]
    for number in range(1, ROUNDS + 1):
        community.step(np.zeros((TASKS, SIZE)), rng.normal(size=(TASKS, SIZE)))
        if number in (ROUNDS // 3, 2 * ROUNDS // 3, ROUNDS):
            seen.append(float(around_module_1(community).mean()))
    return seen


def main() -> None:
    """Print mean and standard deviation over 20 seeds, for three usage costs."""
    for cost in (0.01, 0.001, 0.0):
        seeds = np.array([course(cost, seed) for seed in range(1, 21)])
        figures = {
            "mean": seeds.mean(axis=0).round(3).tolist(),
            "deviation": seeds.std(axis=0, ddof=1).round(3).tolist(),
        }
        print(json.dumps({"usage_cost": cost, "rounds": [0, ROUNDS // 3, 2 * ROUNDS // 3, ROUNDS], **figures}))


if __name__ == "__main__":
    main()
