"""``genoevo mega compare``: a comparison of methods over their runs."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import RUNS, mega, trust
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console, tables


@mega.command()
@click.argument("paths", metavar="RUN...", **RUNS)
@trust
@click.option("--against", help="Method that the others are compared with.  [default: the best]")
@click.option("--picture", type=LocalPath(), help="Write a picture to this .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def compare(paths: tuple[Path, ...], against: str | None, picture: Path | None, as_json: bool) -> None:
    """Compare the success, speed and size of methods over seeds and tasks. A RUN may be a sweep's directory.

    Success is the interquartile mean over seeds and tasks of the last greedy evaluation, with 95 % intervals by
    stratified bootstrap. A second interval resamples whole runs, because the tasks of a run share a network. A method
    with too few seeds has no interval.

    Examples:
        genoevo mega compare sweeps/start_stage --picture start_stage.png

        genoevo mega compare runs/a runs/b runs/c --json
    """
    with console.counter("loading"):
        from genoevo_mega.experiments import compare as comparing
        from genoevo_mega.experiments.plot import check_picture, draw
        from genoevo_mega.experiments.results import collect

    if picture:
        check_picture(picture)
    left_out: list[str] = []
    with console.counter("reading"):
        results = collect(list(dict.fromkeys(paths)), left_out.append)
    for line in left_out:
        click.echo(line, err=True)
    with console.counter("resampling"):
        comparison = comparing.compare(results, against)
    if picture:
        draw(comparison, picture)
    if as_json:
        console.print_json(comparing.as_json(comparison))
    else:
        tables.print_comparison(comparison)
