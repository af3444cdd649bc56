"""Measure whether selection prefers what is better while a run trains: elites against the genotypes that it rejects.

Trains the runs of one row of a sweep's file. Every few rounds, just before selection decides, each genotype of each
task plays the same greedy episodes on goals that training never saw. The outcome is compared with what selection then
does by its records. Elite and rejected genotypes of a task have been trained by the same updates; *peers* are those
at least half as old in rounds as the elite.

    python studies/rejected.py studies/selection.yaml --row evolved --dir sweeps/rejected > rejected.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from genoevo.community import RecordCommunity, RecordRound
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.run_kind import KIND
from genoevo_mega.training.evaluation import evaluate, greedy
from genoevo_mega.training.trainer import Trainer
from genoevo_runs.errors import UserError
from genoevo_runs.statistics import Mean, mean_of_runs
from genoevo_runs.sweep import PlannedRun, plan, read_sweep


class Watched:
    """A community's step, before which every *every*-th time all genotypes play *episodes* greedy episodes."""

    def __init__(self, trainer: Trainer, community: RecordCommunity, every: int, episodes: int) -> None:
        self._trainer, self._step, self._every, self._episodes = trainer, community.step, every, episodes
        self._community = community
        self.found: list[dict[str, Any]] = []

    def __call__(self, **options: Any) -> RecordRound:
        """Make the step of the community, with the success of its genotypes if it is the turn."""
        wanted = (self._community.rounds + 1) % self._every == 0
        success = self._measure() if wanted else None
        done = self._step(**options)
        if success is not None:
            self.found += [
                {
                    "round": self._community.rounds,
                    "task": name,
                    "success": success[task],
                    "age": done.age[task].tolist(),
                    "record": done.success.mean[task].round(4).tolist(),
                    "elite": int(done.elites[task]),
                    "rejected": np.flatnonzero(done.rejected[task]).tolist(),
                }
                for task, name in enumerate(self._community.tasks)
            ]
        return done

    def _measure(self) -> list[list[float]]:
        state, config, rates = self._trainer.state, self._trainer.config, []
        assert isinstance(state.evolver, Evolver)
        with RolloutPool(self._trainer.suite, 1) as pool:
            for place in range(self._community.size):
                act = greedy(state.agent, state.evolver.population_routing(place))
                of_tasks = evaluate(pool, act, self._episodes, config.environment.episode_length)
                assert of_tasks is not None
                rates.append([rate.success for rate in of_tasks])
        return np.transpose(rates).tolist()


def measure(planned: PlannedRun, every: int, episodes: int) -> dict[str, Any]:
    """Train a run and return what was found in its rounds."""
    trainer = runs.create(planned.directory, planned.config, sys.argv, lambda status: None)
    evolver = trainer.state.evolver
    if not isinstance(evolver, Evolver) or not isinstance(evolver.community, RecordCommunity):
        raise UserError(f"{planned.name} has no genotypes with a record: it needs selection.rule = record")
    watched = Watched(trainer, evolver.community, every, episodes)
    evolver.community.step = watched  # type: ignore[method-assign]
    trainer.run(planned.config.steps)
    return {"seed": planned.seed, "rounds": watched.found}


def summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the elite's success minus that of others, paired within tasks and rounds, with errors over runs."""
    found: dict[str, list[float]] = {"rejected": [], "rejected peers": [], "other peers": []}
    counts = dict.fromkeys(found, 0)
    deviations = []
    for run in measured:
        of_run: dict[str, list[float]] = {name: [] for name in found}
        for one in run["rounds"]:
            success, age, elite = np.array(one["success"]), np.array(one["age"]), one["elite"]
            deviations.append(success.var(ddof=1))
            for place in range(len(success)):
                if place == elite:
                    continue
                gone, peer = place in one["rejected"], 2 * age[place] >= age[elite] > 0
                names = (["rejected"] if gone else []) + (
                    ["rejected peers" if gone else "other peers"] if peer else []
                )
                for name in names:
                    of_run[name].append(float(success[elite] - success[place]))
        for name, differences in of_run.items():
            counts[name] += len(differences)
            found[name] += [float(np.mean(differences))] if differences else []
    result: dict[str, Any] = {"deviation_between_genotypes_of_a_task": round(float(np.sqrt(np.mean(deviations))), 4)}
    for name, means in found.items():
        mean = mean_of_runs(np.array(means)) if means else Mean(np.nan, None, 0)
        result[f"elite minus {name}"] = {
            "mean": round(mean.value, 4) if means else None,
            "error": None if mean.error is None else round(mean.error, 4),
            "runs": mean.runs,
            "pairs": counts[name],
        }
    return result


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--scale")
    parser.add_argument("--row", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=30)
    given = parser.parse_args()
    try:
        planned = [
            one.on(1)
            for one in plan(KIND, read_sweep(KIND, given.file, given.scale), given.file, given.dir)
            if one.name == given.row and (given.seeds is None or one.seed in given.seeds)
        ]
        measured = [measure(one, given.every, given.episodes) for one in planned]
    except UserError as error:
        sys.exit(str(error))
    print(json.dumps({"summary": summary(measured), "runs": measured}))


if __name__ == "__main__":
    main()
