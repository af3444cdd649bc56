"""Compare expected running times on the PBO suite with published ones.

    python validation/pbo.py --algorithms evolution --write validation/pbo.rst

Two configurations of Evolution ("evolution"), and the algorithms that need no tuning ("untuned"), run on F1-F12,
n = 100, instance 1. The (1+1) EA_>0 is among the published algorithms and must agree with them: it flips at rate 1/n,
and draws again if nothing flips. The other is a generational genetic algorithm: 50 genotypes, tournaments of 3,
uniform crossover with probability 0.9, flips at rate 1/n, one elite. LTGA begins with 8 genotypes, the others of
genoevo.algorithms with one. This needs ioh (pip install ioh), which computes the functions.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ioh
import numpy as np

from genoevo import Evolution, Islands, Population, Survival
from genoevo.algorithms import LTGA, P3, Algorithm, FastGA, LambdaLambdaGA
from genoevo.operators import Reproduction

HERE = Path(__file__).parent
SIZE = 100
Function = Callable[[Population], np.ndarray]
# The evaluations up to the first optimum, for each run; None if the budget ended first.
Runs = list[int | None]


def pbo(number: int) -> tuple[str, Function, float]:
    """Return name, function of a population, and optimum of PBO function *number*."""
    problem = ioh.get_problem(number, instance=1, dimension=SIZE, problem_class=ioh.ProblemClass.PBO)

    def function(population: Population) -> np.ndarray:
        bits = population.bits().astype(np.int64)
        assert bits.shape[1] == SIZE  # ioh returns NaN for another length
        return np.array(problem(bits))

    return problem.meta_data.name, function, problem.optimum.y


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of Evolution: *size* genotypes per run; mutants that equal their parent may be *free*."""

    size: int
    free: bool
    reproduction: Reproduction
    survival: Survival


@dataclass(frozen=True)
class Untuned:
    """An algorithm that needs no tuning, and the genotypes that it starts from."""

    kind: type[Algorithm]
    size: int = 1


ALGORITHMS: dict[str, Settings | Untuned] = {
    "genoevo (1+1) EA_>0": Settings(
        size=1,
        free=True,
        reproduction=Reproduction(crossover_threshold=0),
        survival=Survival(strategy="plus", offspring=1),
    ),
    "genoevo GA": Settings(
        size=50,
        free=False,
        reproduction=Reproduction(crossover="uniform", crossover_threshold=0.9),
        survival=Survival(elites=1),
    ),
    "genoevo fast GA": Untuned(FastGA),
    "genoevo (1+(λ,λ)) GA": Untuned(LambdaLambdaGA),
    "genoevo LTGA": Untuned(LTGA, size=8),
    "genoevo P3": Untuned(P3),
}

GROUPS = {
    "evolution": [label for label, algorithm in ALGORITHMS.items() if isinstance(algorithm, Settings)],
    "untuned": [label for label, algorithm in ALGORITHMS.items() if isinstance(algorithm, Untuned)],
}


def searches(
    algorithm: Settings | Untuned, function: Function, optimum: float, runs: int, budget: int, seed: int
) -> Runs:
    """Make independent runs; return the evaluations of each to the optimum."""
    if isinstance(algorithm, Untuned):
        return [untuned(algorithm, function, optimum, budget, 1000 * seed + run) for run in range(runs)]
    return islands(algorithm, function, optimum, runs, budget, seed)


def untuned(algorithm: Untuned, function: Function, optimum: float, budget: int, seed: int) -> int | None:
    """Make one run; return its evaluations to the optimum."""
    start = Population.random(algorithm.size, SIZE, np.random.default_rng([seed, 0]))
    search = algorithm.kind(None, start, seed=seed)
    while search.evaluations < budget:
        values = function(search.ask())
        reached = np.flatnonzero(values >= optimum)
        if len(reached):
            return search.evaluations + int(reached[0]) + 1
        search.tell(values)
        search.logbook.clear()  # a million records would fill the memory
    return None


def islands(algorithm: Settings, function: Function, optimum: float, runs: int, budget: int, seed: int) -> Runs:
    """Make independent runs, each an island of one evolution; return the evaluations of each to the optimum."""
    evolution = Evolution(
        None,
        Population.random(runs * algorithm.size, SIZE, np.random.default_rng([seed, 0])),
        seed=seed,
        reproduction=algorithm.reproduction,
        survival=algorithm.survival,
        islands=Islands(count=runs, migrants=0),
    )
    found: Runs = [None] * runs
    spent, running = np.zeros(runs, dtype=np.int64), np.ones(runs, dtype=np.bool_)
    while running.any():
        genotypes = evolution.ask()
        evaluated = running.repeat(len(genotypes) // runs)
        if algorithm.free and evolution.generation:
            evaluated &= (genotypes.words != evolution.population.words).any(axis=1)
        # A genotype that is not evaluated gets the worst possible fitness: its parent stays.
        values = np.full(len(genotypes), -np.inf)
        values[evaluated] = function(genotypes[evaluated]) if evaluated.any() else []
        evolution.tell(values)
        evolution.logbook.clear()  # a million records would fill the memory
        counts = spent[:, None] + evaluated.reshape(runs, -1).cumsum(axis=1)
        reached = (values >= optimum).reshape(runs, -1)
        for run in np.flatnonzero(reached.any(axis=1)):
            found[run] = int(counts[run, reached[run].argmax()])
        spent = counts[:, -1]
        running &= (spent < budget) & ~reached.any(axis=1)
    return found


def expected_running_time(found: Runs, budget: int) -> float:
    """Return all evaluations spent over the number of runs that reached the optimum; infinity if no run did."""
    reached = [evaluations for evaluations in found if evaluations is not None]
    spent = sum(reached) + budget * (len(found) - len(reached))
    return spent / len(reached) if reached else float("inf")


def published() -> dict[int, dict[str, float]]:
    """Return the expected running times of the published algorithms, by function and name."""
    table: dict[int, dict[str, float]] = {}
    with (HERE / "pbo_ert.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table.setdefault(int(row["funcId"]), {})[row["alg"]] = float(row["ERT"] or "inf")
    return table


def _text(time: float) -> str:
    return "never" if time == float("inf") else f"{time:,.0f}"


def as_rst(results: dict[int, dict], runs: int, budget: int) -> str:
    """Return a reStructuredText table of our and the published running times, and the functions on which we lose."""
    shown = ["(1+1) EA_>0", "(30,30) vGA"]
    labels = list(next(iter(results.values()))["found"])
    head = ["function", *labels, *[f"{name}, published" for name in shown], "best published"]
    rows = [[*head, "published that are faster than all of ours"]]
    for number, result in results.items():
        others = published()[number]
        ours = [expected_running_time(found, budget) for found in result["found"].values()]
        best = min(others, key=lambda name: others[name])
        faster = [name for name, time in others.items() if time < min(ours)]
        reached = [sum(evaluations is not None for evaluations in found) for found in result["found"].values()]
        rows.append(
            [
                f"F{number} {result['name']}",
                *[_text(t) + ("" if r == runs else f" ({r} of {runs})") for t, r in zip(ours, reached, strict=True)],
                *[_text(others[name]) for name in shown],
                f"{_text(others[best])}, {best}",
                ", ".join(faster) or "none",
            ]
        )
    lost = [row[0] for row in rows[1:] if row[-1] != "none"]
    return "\n".join(
        [
            f"Expected running times in evaluations: n = {SIZE}, instance 1, {runs} runs each, ours with a budget of",
            f"{budget:,} a run. *never*: no run reached the optimum; in brackets: how many of ours did, if not all.",
            "",
            ".. list-table::",
            "   :header-rows: 1",
            "",
            *[f"   {'  ' if i else '* '}- {_escaped(cell)}" for row in rows for i, cell in enumerate(row)],
            "",
            f"Some published algorithm is faster than all of ours on {', '.join(lost) or 'none'}.",
            "",
        ]
    )


def _escaped(name: str) -> str:
    return name.replace("_", "\\_")  # "EA_" would be a reference


def main() -> None:
    """Run the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, nargs="+", default=list(range(1, 13)), choices=range(1, 13))
    names = [*GROUPS, *ALGORITHMS]
    parser.add_argument("--algorithms", nargs="+", default=list(GROUPS), choices=names, metavar="NAME")
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--budget", type=int, default=50 * SIZE**2, help="evaluations a run (default: 50 n^2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="file for the table (reStructuredText)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    labels = [label for name in options.algorithms for label in GROUPS.get(name, [name])]
    results: dict[int, dict] = {}
    for number in options.functions:
        name, function, optimum = pbo(number)
        found = {}
        for label in labels:
            found[label] = searches(ALGORITHMS[label], function, optimum, options.runs, options.budget, options.seed)
            time = _text(expected_running_time(found[label], options.budget))
            print(f"F{number} {name}: {label} {time}", file=sys.stderr, flush=True)
        results[number] = {"name": name, "found": found}
    table = as_rst(results, options.runs, options.budget)
    if options.write:
        options.write.write_text(table, encoding="utf-8")
    print(json.dumps(results) if options.json else table)


if __name__ == "__main__":
    main()
