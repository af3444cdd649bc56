"""Plot growth and specialisation of MEGA's tasks over several seeds, as one picture.

The left plot shows every task's stage over environment steps. The middle plot shows each module's share of the output
of the task's elite. The right plot shows how similarly two tasks use the modules: the cosine of their shares,
including the share by paths around module 1. All are means over seeds. Modules are numbered in the order in which
they may feed each other. A number therefore means the same place in every seed, but not the same function.

    python studies/specialisation.py sweeps/families/mega/* --picture specialisation.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo.decode import output_shares, stages_of
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.plot import check_picture
from genoevo_mega.training import checkpoint
from genoevo_runs.errors import UserError
from genoevo_runs.metrics import METRICS

Floats = npt.NDArray[np.float64]


def usage(run: Path) -> tuple[list[str], Floats]:
    """Return task names, and each elite's shares (tasks, max_modules + 1): around module 1, then each module's."""
    config = runs.open_config(run)
    if config.architecture != "mega":
        raise UserError(f"{run} is a run of {config.architecture}, which has no genotypes")
    _, evolver = checkpoint.load_policy(checkpoint.find(run), config, make_suite(config))
    community = evolver.community
    elites = community.population[np.arange(0, len(community.population), community.size)]
    shares = output_shares(community.weights(elites), stages_of(elites, community.layout))
    return list(community.tasks), np.pad(shares, [(0, 0), (0, config.growth.max_modules + 1 - shares.shape[1])])


def likeness(shares: Floats) -> Floats:
    """Return the cosine of every two rows of *shares* (tasks, n), (tasks, tasks); 1 means the same use of modules."""
    unit = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    return unit @ unit.T


def stages(run: Path, points: Floats) -> Floats:
    """Return every task's stage at *points*, shares of the run in [0, 1]: (len(points), tasks)."""
    lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
    rounds = [record for record in map(json.loads, lines) if record["kind"] == "round"]
    if not rounds:
        raise UserError(f"{run} has had no round yet")
    steps = np.array([record["step"] for record in rounds])
    rows = np.searchsorted(steps / steps[-1], points).clip(max=len(rounds) - 1)
    return np.array([list(rounds[row]["stage"].values()) for row in rows], float)


def draw(found: list[Path], picture: Path) -> dict[str, Any]:
    """Draw *found*, runs of the same tasks; return the plotted values as JSON values."""
    from matplotlib.figure import Figure

    tasks, tables = zip(*map(usage, found), strict=True)
    if any(names != tasks[0] for names in tasks):
        raise UserError("the runs have different tasks")
    points = np.linspace(0, 1, 40)
    grown = np.mean([stages(run, points) for run in found], axis=0)
    shares, alike = np.mean(tables, axis=0), np.mean([likeness(table) for table in tables], axis=0)
    figure = Figure(figsize=(18, max(4.5, 0.5 * len(tasks[0]) + 2)), layout="constrained")
    growth, modules, pairs = figure.subplots(1, 3)
    for name, course in zip(tasks[0], grown.T, strict=True):
        growth.plot(100 * points, course, label=name)
    growth.legend(fontsize="small")
    growth.set(title=f"stage, mean of {len(found)} seeds", xlabel="% of the run")
    _grid(figure, modules, shares, tasks[0], ["input", *map(str, range(1, shares.shape[1]))])
    modules.set(title="share of the elite's output", xlabel="module")
    _grid(figure, pairs, alike, tasks[0], tasks[0])
    pairs.tick_params(axis="x", rotation=90)
    pairs.set(title="likeness of tasks (cosine of shares)")
    figure.savefig(picture, dpi=110)
    return {"tasks": tasks[0], "stage": grown[-1].tolist(), "shares": shares.tolist(), "likeness": alike.tolist()}


def _grid(figure: Any, axes: Any, values: Floats, rows: list[str], columns: list[str]) -> None:
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if value < 0.6 else "k"
        )
    figure.colorbar(image, ax=axes, shrink=0.8)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="runs of the same tasks, one per seed")
    parser.add_argument("--picture", type=Path, required=True, help="a file ending in .png or .svg")
    arguments = parser.parse_args()
    try:
        check_picture(arguments.picture)
        print(json.dumps(draw(arguments.runs, arguments.picture)))
    except UserError as error:
        print(f"specialisation: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
