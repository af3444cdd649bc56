"""Measure whether what selection preferred is better: elites against the other genotypes of their populations.

Each genotype of the last population of a run plays the same greedy episodes on goals that training never saw. The
elite is compared with those of its task that are as old in rounds and have been trained as long. The result is paired
over tasks, and then over runs.

    python studies/elites.py sweeps/selection/evolved/* --episodes 30 > elites.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from genoevo.community import RecordCommunity
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.evaluation import evaluate, greedy
from genoevo_runs.errors import UserError
from genoevo_runs.statistics import Mean, mean_of_runs


def measure(run: Path, episodes: int) -> dict[str, Any]:
    """Return the success rate of every genotype, by task, with its age in rounds and its record."""
    config = runs.open_config(run)
    suite = make_suite(config)
    agent, evolver = checkpoint.load_policy(checkpoint.find(run), config, suite)
    if not isinstance(evolver, Evolver) or not isinstance(evolver.community, RecordCommunity):
        raise UserError(f"{run} has no genotypes with a record: it needs selection.rule = record")
    community, success = evolver.community, []
    with RolloutPool(suite, config.compute.workers) as pool:
        for place in range(community.size):
            act = greedy(agent, evolver.population_routing(place))
            rates = evaluate(pool, act, episodes, config.environment.episode_length)
            assert rates is not None
            success.append([rate.success for rate in rates])
    age = community.record.age[:, : community.size]
    return {
        "run": str(run),
        "tasks": community.tasks,
        "success": np.transpose(success).tolist(),
        "age": age.tolist(),
        "elite_minus_others": difference(np.transpose(success), age),
    }


def difference(success: np.ndarray[Any, Any], age: np.ndarray[Any, Any]) -> list[float | None]:
    """Return by task the elite's rate minus the mean of others at least half as old; None if there is none."""
    found: list[float | None] = []
    for rates, rounds in zip(success, age, strict=True):
        peers = [rate for rate, r in zip(rates[1:], rounds[1:], strict=True) if r > 0 and 2 * r >= rounds[0]]
        found.append(float(rates[0] - np.mean(peers)) if peers else None)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--episodes", type=int, default=30)
    given = parser.parse_args(arguments)
    try:
        measured = [measure(run, given.episodes) for run in given.runs]
    except UserError as error:
        sys.exit(str(error))
    of_runs = [[d for d in one["elite_minus_others"] if d is not None] for one in measured]
    means = np.array([np.mean(differences) for differences in of_runs if differences])
    mean = mean_of_runs(means) if len(means) else Mean(np.nan, None, 0)
    summary = {"runs": mean.runs, "mean": mean.value if len(means) else None, "standard_error": mean.error}
    print(json.dumps({"elite_minus_others": summary, "measured": measured}, indent=1))


if __name__ == "__main__":
    main()
