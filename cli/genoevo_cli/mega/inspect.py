"""``genoevo mega evaluate``, ``info`` and ``verify``: what a run has learnt and is, and whether it is intact."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import CHECKPOINT, RUN, mega, trust
from genoevo_cli.terminal import console, structure, tables


@mega.command()
@RUN
@trust
@CHECKPOINT
@click.option("--episodes", type=click.IntRange(1), default=20, show_default=True, help="Episodes per task.")
@click.option(
    "--frontier",
    is_flag=True,
    help="Evaluate every genotype of each task's frontier, all of a task by the same episodes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def evaluate(run_dir: Path, which: str | int, episodes: int, frontier: bool, as_json: bool) -> None:
    """Evaluate the greedy policy on goals that training never saw, with 95 % Wilson intervals.

    Examples:
        genoevo mega evaluate runs/a --episodes 50 --json

        genoevo mega evaluate runs/a --checkpoint best

        genoevo mega evaluate runs/a --episodes 50 --frontier
    """
    if frontier:
        _evaluate_frontier(run_dir, which, episodes, as_json)
        return
    with console.counter("loading"):
        from genoevo_mega.experiments import runs
    with console.counter("evaluating", episodes) as progress:
        estimates = runs.evaluate_run(run_dir, episodes, progress, console.note, which)
    summary = runs.info(run_dir, which=which)
    if as_json:
        tasks = {name: vars(estimate) for name, estimate in estimates.items()}
        mean = sum(estimate.success for estimate in estimates.values()) / len(estimates)
        found = {"steps": summary["steps"], "mean_success": mean, "sizes": summary["sizes"], "tasks": tasks}
        console.print_json(found)
    else:
        tables.print_evaluation(summary, estimates)


def _evaluate_frontier(run_dir: Path, which: str | int, episodes: int, as_json: bool) -> None:
    with console.counter("loading"):
        from genoevo_mega.experiments import runs
        from genoevo_mega.experiments.frontiers import Frontiers

        frontiers = Frontiers.of_run(run_dir, console.note, which)
    with console.counter("evaluating", frontiers.most * episodes) as progress:
        measured = frontiers.measure(episodes, progress)
    full, summary = frontiers.full_multiply_adds, runs.info(run_dir, which=which)
    if as_json:
        tasks = {name: [one.as_json() for one in found] for name, found in measured.items()}
        found = {"steps": frontiers.steps, "full_multiply_adds": full, "sizes": summary["sizes"], "tasks": tasks}
        console.print_json(found)
    else:
        structure.print_frontiers(measured, full)
        tables.print_sizes(summary)


@mega.command()
@RUN
@trust
@CHECKPOINT
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def info(run_dir: Path, which: str | int, as_json: bool) -> None:
    """Show what a run is, how far it has come, and where its time went.

    Example:
        genoevo mega info runs/a --json
    """
    with console.counter("reading"):
        from genoevo_mega.experiments import runs

        summary = runs.info(run_dir, console.note, which)
    if as_json:
        console.print_json(summary)
    else:
        tables.print_info(summary)


@mega.command()
@RUN
@trust
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def verify(run_dir: Path, as_json: bool) -> None:
    """Check the sizes, checksums and contents of all files of a run. Exit code 0 if intact, 1 if any is corrupt.

    Examples:
        genoevo mega verify runs/a

        genoevo mega verify runs/a --json
    """
    with console.counter("checking"):
        from genoevo_mega.experiments.verify import verify as check

        verdict = check(run_dir)
    if as_json:
        console.print_json(verdict)
    else:
        for problem in verdict["damaged"]:
            console.note(f"{problem['place']}: {problem['problem']}")
        state = "intact" if verdict["sound"] else f"{len(verdict['damaged'])} corrupt"
        console.note(f"{run_dir}: {verdict['checkpoints']} checkpoints, {verdict['files']} files: {state}")
    if not verdict["sound"]:
        sys.exit(1)
