"""``genoevo evolve``: the engine on a problem of genoevo's or of the user's own."""

from __future__ import annotations

import importlib.util
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rich_click as click
from click.core import ParameterSource

from genoevo import Stop
from genoevo.algorithms.options import MOST as MOST_AT_ONCE
from genoevo.evaluation import EvaluationError
from genoevo.problems import PROBLEMS
from genoevo.progress import ProgressBar
from genoevo.state import State
from genoevo_cli.evolve import convergence, saved, search
from genoevo_cli.evolve.algorithms import ALGORITHMS, EVALUATIONS
from genoevo_cli.evolve.outcome import ROWS, ended_within, lines_of, result_of, spread, without_front
from genoevo_cli.evolve.problems import SETTING, is_code, parse_settings
from genoevo_cli.evolve.search import MOST_GENOTYPES, MOST_SIZE, Search
from genoevo_cli.pages import check_parent, write_page
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console
from genoevo_runs import user_code
from genoevo_runs.errors import nearest
from genoevo_runs.report.evolution import Course
from genoevo_runs.report.page import render

PLOT_FORMATS = (".png", ".svg")
FILE = LocalPath(dir_okay=False)


class _Named(click.Choice):
    """A choice whose error message suggests the nearest name."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return super().get_invalid_choice_message(value, ctx) + nearest(str(value), list(self.choices))


class _Problem(_Named):
    """A name of a problem, or code of the user's own, which is allowed by naming it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not is_code(str(value)):
            return super().convert(value, param, ctx)
        user_code.allow(SETTING, value)
        return value


@click.command()
@click.option(
    "--problem",
    type=_Problem(sorted(PROBLEMS)),
    help="Problem to solve, or your own as package.module:callable; required for a new search.",
)
@click.option(
    "--size",
    type=click.IntRange(1, MOST_SIZE),
    help="Bits of a genotype; for variable-onemax and segment-trap, the optimal number of bits and segments.  "
    "[default: the problem's own]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of the problem, such as k=3 for nk; repeatable.",
)
@click.option(
    "--algorithm",
    type=_Named(sorted(ALGORITHMS)),
    help="Algorithm; ga is the genetic algorithm and nsga2 the one for several objectives. They take --population "
    "and the rates, ltga takes --population, p3 and fast-ga take --at-once.  [default: nsga2 for several objectives, "
    "else ga]",
)
@click.option(
    "--population",
    type=click.IntRange(2, MOST_GENOTYPES),
    help="Number of genotypes, for ga, nsga2 and ltga.  [default: 100; for ltga, populations of growing size]",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=1,
    show_default=True,
    help="Genotypes that p3 or fast-ga evaluates side by side, which workers can share. It changes the search.",
)
@click.option(
    "--generations",
    type=click.IntRange(1),
    help="Maximum number of generations.  [default: 1000 for ga and nsga2 without --evaluations, else no limit]",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    help="Maximum number of evaluations; the batch that reaches it is completed.  [default: no limit; "
    f"{EVALUATIONS} for algorithms other than ga and nsga2 without --generations]",
)
@click.option(
    "--crossover-rate",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Probability that a child has two parents.",
)
@click.option(
    "--mutation-rate", type=click.FloatRange(0, 1), help="Probability that a bit is flipped.  [default: 1 / length]"
)
@click.option(
    "--resize-rate",
    type=click.FloatRange(0, 1),
    help="Probability that a gene is inserted, deleted or duplicated.  [default: 0.1 if lengths vary, else 0]",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the random generator.")
@click.option(
    "--state", "state_file", type=FILE, help="Save the search to this file; if the file exists, resume from it."
)
@click.option("--resume", "resume_file", type=FILE, help="Resume the search in this file, with its settings.")
@click.option(
    "--every", type=click.IntRange(1), help="Generations between two saves.  [default: save every 10 seconds]"
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that compute the fitness, or actors of --ray; for p3 and fast-ga, give --at-once, too.  "
    "[default: this process; with --ray, all CPUs]",
)
@click.option("--ray", "on_ray", is_flag=True, help="Compute the fitness on Ray.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option(
    "--plot",
    type=LocalPath(dir_okay=False, writable=True),
    help="Write the convergence curve with its quartiles to this .png or .svg file.",
)
@click.option(
    "--report",
    type=FILE,
    help="Write convergence, diversity, lengths and lineage as an HTML page to this file. For a resumed search, the "
    "page starts at the resumption, and has the lineage only if the search began with --report.",
)
@click.pass_context
def evolve(
    context: click.Context,
    state_file: Path | None,
    resume_file: Path | None,
    every: int | None,
    workers: int | None,
    on_ray: bool,
    as_json: bool,
    plot: Path | None,
    report: Path | None,
    **options: Any,
) -> None:
    """Run an algorithm on a problem until its optimum or a limit.

    With --state, Ctrl-C (or SIGTERM) saves after the current evaluations and prints the command that resumes the
    search. A resumed search continues exactly as if it had not been interrupted. To continue a finished search,
    resume it with more --generations or --evaluations, which take the place of both limits in its file.

    Examples:
        genoevo evolve --problem trap --size 30 --population 1000 --seed 3

        genoevo evolve --problem nk --set k=2 --set instance=5 --json

        genoevo evolve --problem hiff --population 400 --plot hiff.png

        genoevo evolve --problem trap --size 30 --algorithm p3 --evaluations 100000

        genoevo evolve --problem segment-trap --report evolution.html

        genoevo evolve --problem nk --generations 100000 --state nk.npz

        genoevo evolve --resume nk.npz --generations 200000

        genoevo evolve --problem mypackage.mymodule:MyProblem --set depth=3 --workers 4
    """
    if plot is not None:
        _check_plot(plot)
    if report is not None:
        check_parent(report, "--report")
    course = Course(wanted=report is not None)
    path = saved.state_path(state_file, resume_file)
    given = {name: value for name, value in options.items() if _is_given(context, name)}
    own = given.get("problem") if is_code(str(given.get("problem"))) else None  # which must be allowed again
    again = {"--problem": own, "--every": every, "--workers": workers, "--plot": plot, "--report": report}
    flags = [name for name, is_given in (("--ray", on_ray), ("--json", as_json)) if is_given]
    resume = "" if path is None else saved.command(path, again, flags)
    with saved.opened(path, every, resume) as checkpoint, ExitStack() as pools:
        try:
            state = None if checkpoint is None else checkpoint.load()
            settings = _search(path, state, given)
            optimum = settings.posed.optimum
            progress = ProgressBar(settings.generations, target=optimum, console=console.stderr())
            callbacks = [progress, *course.callbacks, *([] if checkpoint is None else [checkpoint])]
            evaluate = pools.enter_context(spread(settings, workers, on_ray))
            evolution = settings.evolution(state, evaluate, callbacks, report=report is not None)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if checkpoint is not None:
            checkpoint.about = settings.about()
        began = time.perf_counter()
        with progress:
            stop = Stop(target=optimum, generations=settings.generations, evaluations=settings.evaluations)
            ended = _run(evolution, stop, path, resume)
        if state is not None and evolution.evaluations == state["evaluations"]:
            has = f"{evolution.generation:,} generations and {evolution.evaluations:,} evaluations"
            console.note(f"{path} already has {has}; it has ended by: {ended}.")
    result = result_of(settings, evolution, ended, time.perf_counter() - began, None if as_json else ROWS)
    if plot is not None:
        by = settings.algorithm if settings.population is None else f"{settings.population} genotypes"
        title = f"{settings.problem}, size {settings.size}, {by}, seed {settings.seed}"
        convergence.plot(evolution, plot, title, optimum)
    if report is not None:
        if ended_within(evolution):
            course.record(evolution)
        write_page(report, render(course.data(evolution, without_front(result))))
    if as_json:
        click.echo(json.dumps(result))
    else:
        for line in lines_of(result):
            click.echo(line)


def _run(evolution: Any, stop: Stop, path: Path | None, resume: str) -> str:
    """Run a search to its end; an evaluation that failed ends it in one line, with how to *resume* from *path*."""
    try:
        return str(evolution.run(stop=stop))
    except RuntimeError as error:
        if type(error) not in (EvaluationError, RuntimeError):  # the latter if a worker could not start
            raise
        hint = "" if path is None or not path.exists() else f". {path} has its last checkpoint; resume with: {resume}"
        raise click.ClickException(f"{error}{hint}") from None


def _search(path: Path | None, state: State | None, given: dict[str, Any]) -> Search:
    """Return a new search, or the one in *state*; ValueError if the options do not fit."""
    if state is None or path is None:
        if "problem" not in given:
            raise ValueError("--problem is required for a new search")
        problem = given["problem"]
    else:
        problem = search.problem_of(path, state)
    if "settings" in given:
        given = {**given, "settings": parse_settings(given.get("problem", problem), given["settings"])}
    return search.new_search(given) if state is None or path is None else search.resumed_search(path, state, given)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _check_plot(path: Path) -> None:
    if path.suffix.lower() not in PLOT_FORMATS:
        raise click.UsageError(f"--plot must end in {' or '.join(PLOT_FORMATS)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise click.UsageError(f"--plot: directory {str(path.parent)!r} does not exist")
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("--plot needs matplotlib: pip install 'genoevo[plot]'")
