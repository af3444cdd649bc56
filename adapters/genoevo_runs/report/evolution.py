"""The data of the page of a search: convergence, diversity, lengths, the front of several objectives, lineage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo import Evolution, Population
from genoevo.operators.reproduction import Origin
from genoevo.pareto import hypervolume
from genoevo.state import State, check_array, check_state
from genoevo.state.values import json_value
from genoevo_runs.report.front import front_data, objectives, worst
from genoevo_runs.report.page import ASSETS, register

POINTS = 500
"""The most generations that a curve shows, evenly spaced and with the last."""

Columns = dict[str, list[float | None]]

_RECORDED = (
    *("generation", "evaluations", "best", "lower", "median", "upper", "diversity", "distinct"),
    *("shortest", "mean_length", "longest"),
)
_ALL = (*_RECORDED, "hypervolume")

register("evolution", ASSETS / "evolution.js")


class Course:
    """A recorder of each generation of a search, for its page.

    Parameters
    ----------
    wanted
        Whether to record at all.

    Attributes
    ----------
    callbacks : list
        The callbacks of :class:`~genoevo.Evolution` that record; empty unless *wanted*.

    """

    def __init__(self, *, wanted: bool) -> None:
        self.callbacks: list[Callable[[Evolution], None]] = [self.record] if wanted else []
        self._rows: list[dict[str, float]] = []
        self._reference: list[float] = []

    def record(self, evolution: Evolution) -> None:
        """Record the present generation, its fitness by the first objective; a callback of ``Evolution``."""
        assert evolution.best is not None
        population = evolution.population
        fitness = population.fitness.reshape(len(population), -1)[:, 0]
        finite = fitness[np.isfinite(fitness)]
        lower, median, upper = np.quantile(finite, [0.25, 0.5, 0.75]) if finite.size else [np.nan] * 3
        lengths = population.lengths
        self._rows.append(
            {
                "generation": evolution.generation,
                "evaluations": evolution.evaluations,
                "best": evolution.best.fitness.values[0],
                "lower": lower,
                "median": median,
                "upper": upper,
                "diversity": diversity(population),
                "distinct": len(np.unique(np.column_stack([lengths, population.words]), axis=0)) / len(population),
                "shortest": int(lengths.min()),
                "mean_length": float(lengths.mean()),
                "longest": int(lengths.max()),
                "hypervolume": self._hypervolume(evolution),
            }
        )

    def _hypervolume(self, evolution: Evolution) -> float:
        """The volume beyond the worst values of the first feasible generation; NaN with one objective."""
        if len(objectives(evolution)) < 2:
            return np.nan
        if not self._reference:
            self._reference = worst(evolution.population, evolution.constraints)
        if not self._reference:
            return 0.0
        return hypervolume(evolution.population, self._reference, constraints=evolution.constraints)

    def state_dict(self) -> State:
        """Return what was recorded, for the checkpoint of a search whose page shows all of it."""
        columns = {name: np.array([row[name] for row in self._rows], dtype=np.float64) for name in _ALL}
        return {**columns, "reference": np.array(self._reference, dtype=np.float64)}

    def restore(self, state: State) -> None:
        """Take what :meth:`state_dict` gave; ValueError says what is missing or does not fit."""
        check_state("the course of a search", state, _RECORDED)
        count = len(check_array("evaluations", state["evaluations"], np.float64, (None,)))
        state = {"hypervolume": np.full(count, np.nan), "reference": np.zeros(0), **state}  # as earlier versions had
        columns = [check_array(name, state[name], np.float64, (count,)).tolist() for name in _ALL]
        self._rows = [dict(zip(_ALL, row, strict=True)) for row in zip(*columns, strict=True)]
        self._reference = check_array("reference", state["reference"], np.float64, (None,)).tolist()

    def data(self, evolution: Evolution, result: dict[str, Any]) -> dict[str, Any]:
        """Return the data of the page; *result* is the JSON object that ``genoevo evolve --json`` prints.

        The optimum may be None, and the seconds may be missing. It may have the names of the objectives, what the
        best genotype means (``decoded``), and what was chosen in its place (``chosen``).
        """
        spaced = np.linspace(0, len(self._rows) - 1, POINTS if self._rows else 0)
        shown = [self._rows[row] for row in np.unique(spaced.round().astype(int))]
        columns: Columns = {name: [_finite(row[name]) for row in shown] for name in _ALL}
        return {
            "kind": "evolution",
            "title": f"{result['problem']}, size {result['size']}, seed {result['seed']}",
            "summary": f"{_summary(result)}{_failures(evolution.failures)}",
            "result": result,
            "columns": columns,
            "front": front_data(evolution, result.get("objectives")),
            "reference": self._reference,
            "lineage": None if evolution.lineage is None else _lineage(evolution),
        }


def decoded(value: Any) -> Any:
    """Return what a genotype means as JSON gives it back, or as text if JSON does not have it."""
    try:
        return json_value("decoded", value)
    except (TypeError, ValueError):
        return str(value)


def diversity(population: Population) -> float:
    """Return the expected fraction of bits in which two genotypes differ, among the bits that both have.

    The two are drawn with replacement. A uniformly random population has 0.5.
    """
    bits, counts = population.bits(), (np.arange(population.lengths.max()) < population.lengths[:, None]).sum(axis=0)
    ones = bits.sum(axis=0) / counts
    return float(np.average(2 * ones * (1 - ones), weights=counts))


def _finite(value: float) -> float | None:
    # JSON has no infinity, which is the fitness of a genotype whose evaluation failed.
    return round(float(value), 6) if np.isfinite(value) else None


def _summary(result: dict[str, Any]) -> str:
    of = "" if result["optimum"] is None else f" of {result['optimum']:g}"
    found = "the optimum" if result["solved"] else f"{result['best']:g}{of}"
    return (
        f"The best genotype reaches {found}, after {result['generations']:,} generations and "
        f"{result['evaluations']:,} evaluations; it has {result['length']:,} bits."
    )


def _failures(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    listed = "; ".join(f"{number:,} {reason}" for reason, number in reasons.items())
    return f" {sum(reasons.values()):,} evaluations failed: {listed}."


def _lineage(evolution: Evolution) -> dict[str, Any]:
    """The line of first parents of the best genotype, and how often each operator improved on the parent."""
    lineage = evolution.lineage
    assert lineage is not None
    first, origins = lineage.parents[:, 0], lineage.origins
    fitness = lineage.fitness[:, 0] * np.sign(evolution.population.weights[0])
    number = _best(evolution, fitness)
    births = []
    while number >= 0 and origins[number] >= 0:
        births.append([int(lineage.generations[number]), int(origins[number]), None])
        number = int(first[number])
    operators = [
        {**_worth(origin, first, origins, fitness), "own": list(lineage.made_by(origin))} for origin in Origin
    ]
    return {"births": births[::-1], "operators": operators}


def _best(evolution: Evolution, merit: npt.NDArray[np.float64]) -> int:
    """The number of the first genotype that is as good as the best; by *merit* if the best is a mean."""
    assert evolution.best is not None
    assert evolution.lineage is not None
    equal = (evolution.lineage.fitness == evolution.best.fitness.values).all(axis=1)
    return int(equal.argmax() if equal.any() else merit.argmax())


def _worth(
    origin: Origin, first: npt.NDArray[np.int64], origins: npt.NDArray[np.int8], fitness: npt.NDArray[np.float64]
) -> dict[str, Any]:
    made = np.flatnonzero(origins == origin)
    parents = first[made]
    compared = parents >= 0
    gains = fitness[made[compared]] - fitness[parents[compared]]
    return {
        "operator": int(origin),
        "children": len(made),
        "better": int((gains > 0).sum()) if compared.any() else None,
        "worse": int((gains < 0).sum()) if compared.any() else None,
    }
