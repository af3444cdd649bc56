"""Print how rows recover from a change of some tasks' dynamics, and draw it.

Reads ``metrics.jsonl.gz`` and ``configs.json`` of a study that ran on the suite ``synthetic-change``, which
``collect.py`` writes. For all tasks, those that change and those that do not: greedy success in the last evaluation
before the change, and in the mean of the evaluations after it. Differences are to the runs of the same seeds of the
row ``--to``, in percentage points with standard errors over seeds.

    python studies/recovery.py studies/results/change --to fixed --picture studies/results/change/recovery.png
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from paired import points, table

from genoevo_mega.envs.synthetic import CHANGE

GROUPS = {
    "all tasks": lambda task: True,
    "tasks that change": lambda task: task.endswith(CHANGE),
    "other tasks": lambda task: not task.endswith(CHANGE),
}
Curves = dict[str, dict[int, list[tuple[int, float]]]]  # by row and seed: environment steps and success


def curves(results: Path, group: str) -> Curves:
    """Return the mean success of a group of tasks in every evaluation of every run."""
    found: Curves = {}
    with gzip.open(results / "metrics.jsonl.gz", "rt") as file:
        for record in map(json.loads, file):
            if record["kind"] == "evaluation":
                success = [value for task, value in record["greedy_success"].items() if GROUPS[group](task)]
                run = found.setdefault(record["method"], {}).setdefault(record["seed"], [])
                run.append((record["step"], float(np.mean(success))))
    return found


def after(run: list[tuple[int, float]], change: int) -> float:
    """Return the mean success of the evaluations after the change."""
    return float(np.mean([value for step, value in run if step > change]))


def before(run: list[tuple[int, float]], change: int) -> float:
    """Return the success of the last evaluation before the change.

    One that falls on the change tests the changed tasks, so it counts as neither before nor after.
    """
    return [value for step, value in run if step < change][-1]


def rows(found: Curves, change: int, to: str) -> list[list[str]]:
    """Return a row of cells for each row of the study, the reference first."""
    cells = []
    for name in sorted(found, key=lambda name: (name != to, name)):
        own = {seed: after(run, change) for seed, run in found[name].items()}
        theirs = {seed: after(run, change) for seed, run in found[to].items()}
        difference = points([value - theirs[seed] for seed, value in own.items() if seed in theirs])
        earlier = np.mean([before(run, change) for run in found[name].values()])
        last = np.mean([run[-1][1] for run in found[name].values()])
        success = [f"{100 * value:.1f}" for value in (earlier, np.mean(list(own.values())), last)]
        cells.append([name, str(len(own)), *success[:2], "" if name == to else difference, success[2]])
    return cells


def draw(groups: dict[str, Curves], change: int, path: Path) -> None:
    """Draw the mean success of every row over steps, a picture for each group of tasks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (group, found) in zip(figure.subplots(1, len(groups), sharey=True), groups.items(), strict=True):
        for name, runs in sorted(found.items()):
            every = np.array(list(runs.values()))
            steps, success = every[0, :, 0], every[:, :, 1]
            error = success.std(axis=0, ddof=1) / np.sqrt(len(success)) if len(success) > 1 else 0.0
            axes.errorbar(steps, success.mean(axis=0), error, label=name, capsize=2, marker=".")
        axes.axvline(change, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=group, xlabel="environment steps")
        axes.grid(linewidth=0.4)
    figure.axes[0].set_ylabel("greedy success, with standard errors over seeds")
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", required=True)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    configs: dict[str, Any] = json.loads((given.results / "configs.json").read_text())
    change = configs[given.to]["environment"]["change_at"]
    groups = {group: curves(given.results, group) for group in GROUPS}
    head = ["row", "seeds", "before", "after", f"minus {given.to}", "end"]
    for group, found in groups.items():
        print(f"{group}\n\n{table([head, *rows(found, change, given.to)])}\n")
    if given.picture:
        draw(groups, change, given.picture)


if __name__ == "__main__":
    main()
