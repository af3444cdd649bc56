"""Measure whether growth is used: the newest module's share of the output, and the success of tasks when they grew.

For every task above its start stage at the end of a run: the share of its elite's output that its newest module
carries. For every growth: the change of the task's mean success over the rounds before it, the later half minus the
earlier half of as many rounds as the patience, in standard errors; above 2 the task grew while its success rose.

    python studies/growth_used.py sweeps/growth/grown/* > growth_used.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from genoevo.decode import output_shares, stages_of
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_runs.errors import UserError
from genoevo_runs.metrics import METRICS


def newest_shares(run: Path) -> dict[str, float]:
    """Return the share of the newest module in the elite's output, by task, of the tasks above their start stage."""
    config = runs.open_config(run)
    _, evolver = checkpoint.load_policy(checkpoint.find(run), config, make_suite(config))
    if not isinstance(evolver, Evolver):
        raise UserError(f"{run} is a run of {config.architecture}, which has no genotypes")
    community = evolver.community
    elites = community.population[:: community.size]
    stages = stages_of(elites, community.layout)
    shares = output_shares(community.weights(elites), stages)
    grown = np.flatnonzero(stages > community.start_stage)
    return {community.tasks[task]: round(float(shares[task, stages[task]]), 4) for task in grown}


def growths(run: Path) -> list[dict[str, Any]]:
    """Return every growth of a run: its task, its round, and how the task's success changed before it."""
    patience = runs.open_config(run).growth.patience
    lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
    rounds = [record for record in map(json.loads, lines) if record["kind"] == "round"]
    found = []
    for number in range(1, len(rounds)):
        for task, stage in rounds[number]["stage"].items():
            if stage > rounds[number - 1]["stage"][task]:
                before = [record["success"][task] for record in rounds[: number + 1]][-max(patience, 2) :]
                half = len(before) // 2
                episodes = rounds[number]["episodes"][task]
                change = np.mean(before[half:]) - np.mean(before[:half])
                mean = (np.sum(before) * episodes + 1) / (len(before) * episodes + 2)
                error = np.sqrt(mean * (1 - mean) / episodes * (1 / half + 1 / (len(before) - half)))
                found.append({"task": task, "round": number + 1, "rise": round(float(change / error), 3)})
    return found


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    given = parser.parse_args(arguments)
    try:
        found = [{"run": str(run), "newest": newest_shares(run), "growths": growths(run)} for run in given.runs]
    except UserError as error:
        sys.exit(str(error))
    shares = [share for one in found for share in one["newest"].values()]
    rises = [growth["rise"] for one in found for growth in one["growths"]]
    summary = {
        "grown_tasks": len(shares),
        "newest_above_0.1": sum(share > 0.1 for share in shares),
        "growths": len(rises),
        "growths_while_success_rose": sum(rise > 2 for rise in rises),
    }
    print(json.dumps({"summary": summary, "runs": found}, indent=1))


if __name__ == "__main__":
    main()
