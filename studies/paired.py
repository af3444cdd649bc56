"""Print a table of paired differences between methods: success at the end, and averaged over all evaluations.

Reads ``comparison.json``, which ``collect.py`` writes, or several of one study's parts. Differences are those of a
row's runs to the runs of the same seeds of the row ``--to``, in percentage points with standard errors over seeds.
The average over evaluations at equal steps says how fast a method learns.

    python studies/paired.py studies/results/selection/comparison.json --to evolved
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from genoevo_runs.statistics import mean_of_runs

MEASURES = {
    "at the end": lambda run: np.mean(list(run["success"].values())),
    "over evaluations": lambda run: np.mean(run["curve"]["mean_success"]),
}


def by_seed(method: dict[str, Any], measure: str) -> dict[int, float]:
    """Return the measure of each seed's run."""
    return {run["seed"]: float(MEASURES[measure](run)) for run in method["runs"]}


def points(values: list[float]) -> str:
    """Return the mean of *values* and its standard error in percentage points."""
    if len(values) < 2:
        return "-"
    mean = mean_of_runs(np.array(values))
    return f"{100 * mean.value:+.1f} ± {100 * mean.error:.1f}"


def row(name: str, method: dict[str, Any], reference: dict[str, Any] | None) -> list[str]:
    """Return the cells of one method; *reference* is None for the reference itself."""
    cells = [name, str(len(method["runs"]))]
    for measure in MEASURES:
        own = by_seed(method, measure)
        cells.append(f"{100 * np.mean(list(own.values())):.1f}")
        if reference is None:
            cells.append("")
            continue
        theirs = by_seed(reference, measure)
        cells.append(points([value - theirs[seed] for seed, value in own.items() if seed in theirs]))
    adds = method["sizes"]["multiply_adds"]
    return [*cells, f"{100 * method['worst_task']:.0f}", "-" if adds is None else f"{adds:,.0f}"]


def table(rows: list[list[str]]) -> str:
    """Return the rows as a simple table of reStructuredText."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = " ".join("=" * width for width in widths)
    texts = [
        " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows
    ]
    return "\n".join([line, texts[0], line, *texts[1:], line])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", type=Path, nargs="+")
    parser.add_argument("--to", required=True)
    given = parser.parse_args()
    methods = {}
    for path in given.comparisons:
        methods |= json.loads(path.read_text())["methods"]
    average = {name: np.mean(list(by_seed(one, "over evaluations").values())) for name, one in methods.items()}
    ordered = sorted(methods.items(), key=lambda item: -average[item[0]])
    head = ["row", "seeds", "end", f"minus {given.to}", "mean", f"minus {given.to}", "worst", "multiply-adds"]
    rows = [row(name, one, None if name == given.to else methods[given.to]) for name, one in ordered]
    print(table([head, *rows]))


if __name__ == "__main__":
    main()
