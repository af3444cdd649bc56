"""``genoevo evolve``: the engine on a problem with a known optimum."""

from __future__ import annotations

import json
import time

import numpy as np
import rich_click as click

from genoevo import Evolution, Population
from genoevo.evaluation import Vectorised
from genoevo.operators import Reproduction
from genoevo.problems import PROBLEMS


@click.command()
@click.option("--problem", type=click.Choice(sorted(PROBLEMS)), required=True, help="What to maximise.")
@click.option("--size", type=click.IntRange(1), default=100, show_default=True, help="Bits of a genotype.")
@click.option("--population", type=click.IntRange(2), default=100, show_default=True, help="Genotypes.")
@click.option("--generations", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@click.option("--crossover-rate", type=click.FloatRange(0, 1), default=0.9, show_default=True)
@click.option("--mutation-rate", type=click.FloatRange(0, 1), help="Flips per bit.  [default: 1 / size]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def evolve(
    problem: str,
    size: int,
    population: int,
    generations: int,
    crossover_rate: float,
    mutation_rate: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Run the genetic algorithm on a test problem until its optimum or the last generation.

    Example:
        genoevo evolve --problem trap --size 60 --population 400 --seed 3
    """
    try:
        function = PROBLEMS[problem](size)
        reproduction = Reproduction(crossover_threshold=crossover_rate, mutation_rate=mutation_rate)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    start = Population.random(population, size, np.random.default_rng([seed, 0]))
    evolution = Evolution(Vectorised(function), start, seed=seed, reproduction=reproduction)
    began = time.perf_counter()
    while evolution.generation < generations and not _solved(evolution, function.optimum):
        evolution.step()
    assert evolution.best is not None
    result = {
        "problem": problem,
        "size": size,
        "seed": seed,
        "best": evolution.best.fitness.values[0],
        "optimum": function.optimum,
        "solved": _solved(evolution, function.optimum),
        "generations": evolution.generation,
        "evaluations": evolution.evaluations,
        "genotype": str(evolution.best),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        for name, value in result.items():
            click.echo(f"{name:>12}  {value}")


def _solved(evolution: Evolution, optimum: float) -> bool:
    return evolution.best is not None and evolution.best.fitness.values[0] >= optimum
