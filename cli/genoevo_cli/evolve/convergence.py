"""The convergence curve of ``genoevo evolve --plot``: best value so far and quartiles of the population."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from deap.tools import Logbook

from genoevo.history import PopulationStatistics

_QUARTILES = "quartiles"


def statistics() -> PopulationStatistics:
    """Return statistics that log the quartiles of each population's fitness, of the first objective."""
    quartiles = PopulationStatistics(lambda population: population.fitness.reshape(len(population), -1)[:, 0])
    quartiles.register(_QUARTILES, lambda fitness: np.quantile(fitness, [0.25, 0.5, 0.75]).tolist())
    return quartiles


def check(log: Logbook) -> None:
    """Raise ValueError if a record of *log* lacks its quartiles."""
    for record in log:
        values = record.get(_QUARTILES)
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
            raise ValueError(f"generation {record['generation']} of the log has {_QUARTILES} {values!r:.80}")


def plot(evolution: Any, path: Path, title: str, optimum: float | None) -> None:
    """Write the curve to *path*, in the format of its suffix; *optimum* is None if nobody knows it.

    It ends at the present best, which a search may have found within a generation that has no record yet.

    Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    evaluations, best = evolution.logbook.select("evaluations", "best")
    lower, median, upper = np.array(evolution.logbook.select(_QUARTILES)).reshape(-1, 3).T
    if optimum is not None:
        axes.axhline(optimum, color="0.4", linestyle="--", linewidth=1, label=f"optimum {optimum:g}")
    last = evolution.evaluations, evolution.best.fitness.values[0]
    axes.plot([*evaluations, last[0]], [*best, last[1]], color="#d1495b", drawstyle="steps-post", label="best so far")
    axes.plot(evaluations, median, color="#00798c", label="population: median")
    axes.fill_between(
        evaluations, lower, upper, color="#00798c", alpha=0.25, linewidth=0, label="population: quartiles"
    )
    axes.set(title=title, xlabel="evaluations", ylabel="fitness")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)
