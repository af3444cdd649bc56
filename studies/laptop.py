"""How far MT10 gets on two cores: success over environment steps and over minutes, beside BRC's published curve.

Adds finished runs to ``runs.jsonl``, a line for each: method, seed, settings that differ from those of the preset
``laptop``, sizes, and every greedy evaluation with its step and minute. Then draws all lines to ``curves.png`` and
prints the ends. A run that is there already, by method and seed, is replaced.

    genoevo mega train --suite mt10 --preset laptop --run-dir runs/laptop-1 \
        --set schedule.time_limit_minutes=100 --set evaluation.every=300000
    python studies/laptop.py studies/results/laptop --add laptop runs/laptop-1
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_runs.metrics import METRICS, TIME, read
from genoevo_runs.settings import comparable, flat

# Nauman et al. 2025 (arXiv 2505.23150): the ten tasks of MT10 within one agent for MT50, critics of width 4,096,
# computed from its published files of each task; success at environment steps per task.
BRC = [(50_000, 0.30), (100_000, 0.70), (200_000, 0.92), (300_000, 0.98)]


def record(method: str, directory: Path) -> dict[str, Any]:
    """Return what runs.jsonl holds of a run."""
    lines, info, config = list(read(directory / METRICS)), runs.info(directory), runs.open_config(directory)
    usual, own = (flat(comparable(each)) for each in (build_config(preset("laptop")), config))
    times = [(0.0, 0.0)]
    for line in read(directory / TIME):
        while times[-1][0] >= line["step"]:  # a resumed run has made these steps again
            times.pop()
        times.append((line["step"], sum(part for name, part in line.items() if name != "step")))
    if info["steps"] > times[-1][0]:  # it ended within a round
        times.append((info["steps"], sum(info["time"].values())))
    steps, seconds = np.array(times).T
    evaluations = [
        {
            "step": line["step"],
            "minutes": round(float(np.interp(line["step"], steps, seconds)) / 60, 2),
            "success": line["greedy_success"],
        }
        for line in lines
        if line["kind"] == "evaluation"
    ]
    tasks = len(evaluations[-1]["success"])
    return {
        "method": method,
        "seed": info["seed"],
        "settings": {name: value for name, value in own.items() if value != usual.get(name) and name != "seed"},
        "updates": info["updates"],
        "parameters": info["parameters"],
        "stages": [line["stage"] for line in lines if line["kind"] == "round"][-1],
        "seconds": info["time"],
        "machine": {name: info["machines"][-1]["facts"][name] for name in ("processor", "cores")},
        "compute": config.compute.model_dump(),
        "minutes_at_most": config.schedule.time_limit_minutes,
        "tasks": tasks,
        "evaluations": evaluations,
    }


def mean(evaluation: dict[str, Any]) -> float:
    """Return the mean success of all tasks."""
    return float(np.mean(list(evaluation["success"].values())))


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Draw the curves of all runs over steps per task and over minutes."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    by_steps, by_minutes = figure.subplots(1, 2, sharey=True)
    by_steps.plot(*zip(*BRC, strict=True), "k--o", label="BRC, published (width 4,096, MT50)")
    colours: dict[str, str] = {}
    for run in found:
        colour = colours.setdefault(run["method"], f"C{len(colours)}")
        success = [mean(each) for each in run["evaluations"]]
        label = f"{run['method']}, seed {run['seed']}"
        style = {"color": colour, "label": label, "linestyle": ("-", "--", ":")[(run["seed"] - 1) % 3]}
        by_steps.plot([each["step"] / run["tasks"] for each in run["evaluations"]], success, **style)
        by_minutes.plot([each["minutes"] for each in run["evaluations"]], success, **style)
    by_steps.set(xlabel="environment steps per task", ylabel="greedy success, mean of ten tasks", ylim=(0, 1))
    by_minutes.set(xlabel="minutes on two cores")
    for axes in (by_steps, by_minutes):
        axes.axhline(0.8, color="grey", linewidth=0.6)
        axes.grid(alpha=0.3)
    by_steps.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Add, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--add", nargs=2, action="append", default=[], metavar=("METHOD", "RUN"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "runs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = {(line["method"], line["seed"]): line for line in map(json.loads, lines)}
    for method, directory in options.add:
        new = record(method, Path(directory))
        found[method, new["seed"]] = new
    ordered = [found[key] for key in sorted(found)]
    path.write_text("".join(json.dumps(line) + "\n" for line in ordered))
    draw(ordered, options.results / "curves.png")
    for run in ordered:
        last = run["evaluations"][-1]
        print(
            f"{run['method']}, seed {run['seed']}: {mean(last):.1%} at step {last['step']:,}, {last['minutes']} min"
        )


if __name__ == "__main__":
    main()
