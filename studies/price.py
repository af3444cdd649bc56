"""Draw success against what a policy costs, and compare families of methods at the same cost.

Reads ``comparison.json`` of a study whose methods are called FAMILY-SIZE, such as ``mtsac-small``. The picture shows
each family's mean success against multiply-adds for one action, trained parameters of the actor, and time of
training. The result is, for each size of the family ``--of``, its mean success minus that of every other family at as
many multiply-adds, and at twice as many: paired by seed, with the standard error over seeds. Between two sizes of a
family, success is interpolated linearly in the logarithm of the multiply-adds; beyond its sizes there is no value.

    python studies/price.py studies/results/frontier_50/comparison.json --of mega --picture price.png > price.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from genoevo_runs.statistics import mean_of_runs

COSTS = {
    "multiply-adds for one action": lambda method: method["sizes"]["multiply_adds"],
    "trained parameters of the actor": lambda method: method["sizes"]["actor"],
    "minutes of training": lambda method: np.mean([run["wall_seconds"] for run in method["runs"]]) / 60,
}


def families(methods: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the methods of each family, the cheapest first, each with its whole name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, method in methods.items():
        found.setdefault(name.rpartition("-")[0], []).append({"name": name, **method})
    return {name: sorted(every, key=lambda one: one["sizes"]["multiply_adds"]) for name, every in found.items()}


def success(method: dict[str, Any]) -> dict[int, float]:
    """Return the mean success over tasks of each seed."""
    return {run["seed"]: float(np.mean(list(run["success"].values()))) for run in method["runs"]}


def at(family: list[dict[str, Any]], seed: int, multiply_adds: float) -> float | None:
    """Return a family's success at a price, interpolated; None if it has no runs of that seed or no such size."""
    known = [(one["sizes"]["multiply_adds"], success(one).get(seed)) for one in family]
    prices, values = zip(*[(price, value) for price, value in known if value is not None], strict=True)
    # Sizes are matched within a few per cent.
    if not prices or not 0.95 * prices[0] <= multiply_adds <= 1.05 * prices[-1]:
        return None
    return float(np.interp(np.log(multiply_adds), np.log(prices), values))


def difference(method: dict[str, Any], family: list[dict[str, Any]], factor: float) -> dict[str, Any] | None:
    """Return the method's success minus the family's at *factor* times its price, in paired runs."""
    price = factor * method["sizes"]["multiply_adds"]
    pairs = [(mine, at(family, seed, price)) for seed, mine in success(method).items()]
    of_seeds = np.array([mine - theirs for mine, theirs in pairs if theirs is not None])
    if len(of_seeds) < 2:
        return None
    mean = mean_of_runs(of_seeds)
    return {"difference": round(mean.value, 4), "error": round(mean.error, 4), "seeds": mean.runs}


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw success with standard errors over seeds against every cost."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (label, cost) in zip(figure.subplots(1, 3, sharey=True), COSTS.items(), strict=True):
        for number, (name, methods) in enumerate(found.items()):
            values = [method["mean"] for method in methods]
            errors = [method["mean_error"] or 0.0 for method in methods]
            style = {"color": colormaps["tab10"](number), "label": name, "linewidth": 2.5 if name == "mega" else 1.2}
            axes.errorbar([cost(method) for method in methods], values, errors, marker="o", capsize=3, **style)
        axes.set(xlabel=label, xscale="log")
        axes.grid(linewidth=0.4)
    figure.axes[0].set_ylabel("mean success, with standard errors over seeds")
    figure.axes[0].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("--of", default="mega")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    found = families(json.loads(given.comparison.read_text())["methods"])
    if given.picture:
        draw(found, given.picture)
    result = {
        method["name"]: {
            "multiply_adds": round(method["sizes"]["multiply_adds"]),
            "success": round(method["mean"], 4),
            **{
                key: {name: difference(method, family, factor) for name, family in found.items() if name != given.of}
                for key, factor in (("minus_others_at_equal_price", 1.0), ("minus_others_at_twice_the_price", 2.0))
            },
        }
        for method in found[given.of]
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
