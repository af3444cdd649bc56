"""The convergence curve of ``genoevo evolve --plot``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from genoevo import Evolution


class Convergence:
    """Best value so far and quartiles of the population, generation by generation."""

    def __init__(self) -> None:
        self._evaluations: list[int] = []
        self._best: list[float] = []
        self._quartiles: list[npt.NDArray[np.float64]] = []

    def record(self, evolution: Evolution) -> None:
        """Add the present generation, of one objective; a callback of :class:`~genoevo.Evolution`."""
        assert evolution.best is not None
        self._evaluations.append(evolution.evaluations)
        self._best.append(evolution.best.fitness.values[0])
        self._quartiles.append(np.quantile(evolution.population.fitness, [0.25, 0.5, 0.75]))

    def plot(self, path: Path, title: str, optimum: float) -> None:
        """Write the curve to *path*, as the format that its suffix names. Raises ImportError without matplotlib."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot()
        lower, median, upper = np.array(self._quartiles).T
        axes.axhline(optimum, color="0.4", linestyle="--", linewidth=1, label=f"optimum {optimum:g}")
        axes.plot(self._evaluations, self._best, color="#d1495b", drawstyle="steps-post", label="best so far")
        axes.plot(self._evaluations, median, color="#00798c", label="population: median")
        axes.fill_between(
            self._evaluations, lower, upper, color="#00798c", alpha=0.25, linewidth=0, label="population: quartiles"
        )
        axes.set(title=title, xlabel="evaluations", ylabel="fitness")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False)
        figure.savefig(path, dpi=150)
