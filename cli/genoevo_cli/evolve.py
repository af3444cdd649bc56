"""``genoevo evolve``: the engine on a problem with a known optimum."""

from __future__ import annotations

import importlib.util
import inspect
import json
import time
from pathlib import Path

import numpy as np
import rich_click as click

from genoevo import Evolution, FlatLayout, Stop
from genoevo.evaluation import Vectorised
from genoevo.operators import Reproduction
from genoevo.problems import PROBLEMS, Problem
from genoevo_cli.convergence import Convergence

PLOT_FORMATS = (".png", ".svg")


@click.command()
@click.option("--problem", type=click.Choice(sorted(PROBLEMS)), required=True, help="What to maximise.")
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Bits of a genotype; of variable-onemax and segment-trap the right number of bits and segments.  "
    "[default: the problem's own]",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the problem, such as k=3 of nk."
)
@click.option("--population", type=click.IntRange(2), default=100, show_default=True, help="Genotypes.")
@click.option("--generations", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@click.option("--crossover-rate", type=click.FloatRange(0, 1), default=0.9, show_default=True)
@click.option("--mutation-rate", type=click.FloatRange(0, 1), help="Flips per bit.  [default: 1 / length]")
@click.option(
    "--resize-rate",
    type=click.FloatRange(0, 1),
    help="Probability that a gene is inserted, deleted or duplicated.  [default: 0.1 where lengths vary, else 0]",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the convergence curve with its quartiles to this .png or .svg file.",
)
def evolve(
    problem: str,
    size: int | None,
    settings: tuple[str, ...],
    population: int,
    generations: int,
    crossover_rate: float,
    mutation_rate: float | None,
    resize_rate: float | None,
    seed: int,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Run the genetic algorithm on a test problem until its optimum or the last generation.

    Examples:
        genoevo evolve --problem trap --size 30 --population 1000 --seed 3

        genoevo evolve --problem nk --set k=2 --set instance=5 --json

        genoevo evolve --problem hiff --population 400 --plot hiff.png
    """
    if plot is not None:
        _check_plot(plot)
    try:
        function = _problem(problem, size, settings)
        reproduction = Reproduction(
            crossover_threshold=crossover_rate,
            mutation_rate=mutation_rate,
            resize_rate=_resize_rate(function, resize_rate),
            granularity="gene",
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    start = function.random(population, np.random.default_rng([seed, 0]))
    convergence = Convergence()
    evolution = Evolution(
        Vectorised(function),
        start,
        seed=seed,
        reproduction=reproduction,
        layout=function.layout,
        callbacks=[convergence.record],
    )
    began = time.perf_counter()
    ended = evolution.run(generations, stop=Stop(target=function.optimum))
    assert evolution.best is not None
    result = {
        "problem": problem,
        "size": function.size,
        "seed": seed,
        "best": evolution.best.fitness.values[0],
        "optimum": function.optimum,
        "solved": ended == "target",
        "generations": evolution.generation,
        "evaluations": evolution.evaluations,
        "length": len(evolution.best),
        "genotype": str(evolution.best),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if plot is not None:
        convergence.plot(
            plot, f"{problem}, size {function.size}, {population} genotypes, seed {seed}", function.optimum
        )
    if as_json:
        click.echo(json.dumps(result))
    else:
        for name, value in result.items():
            click.echo(f"{name:>12}  {value}")


def _resize_rate(problem: Problem, rate: float | None) -> float:
    varies = problem.layout != FlatLayout(genes=problem.size)
    if rate and not varies:
        raise ValueError(f"resize-rate must be 0 where all genotypes have {problem.size} bits, got {rate:g}")
    return 0.1 * varies if rate is None else rate


def _problem(name: str, size: int | None, settings: tuple[str, ...]) -> Problem:
    """The problem of that name; ValueError for a setting that it does not have."""
    values: dict[str, int | str] = {} if size is None else {"size": size}
    known = inspect.signature(PROBLEMS[name]).parameters
    allowed = {key: type(p.default) for key, p in known.items() if key != "size" and isinstance(p.default, int | str)}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in allowed:
            raise ValueError(f"--set of {name} takes {_listed(allowed)}, got {setting!r}")
        try:
            values[key] = allowed[key](value)
        except ValueError:
            raise ValueError(f"{key} must be a whole number, got {value!r}") from None
    return PROBLEMS[name](**values)


def _listed(allowed: dict[str, type]) -> str:
    return ", ".join(f"{key}=..." for key in allowed) or "nothing"


def _check_plot(path: Path) -> None:
    if path.suffix.lower() not in PLOT_FORMATS:
        raise click.UsageError(f"--plot must end in {' or '.join(PLOT_FORMATS)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise click.UsageError(f"--plot: there is no directory {str(path.parent)!r}")
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("--plot needs matplotlib: pip install 'genoevo[plot]'")
