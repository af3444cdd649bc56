"""``genoevo mega compare``: runs beside one another."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import mega
from genoevo_cli.terminal import console, tables


@mega.command()
@click.argument("paths", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--against", help="The method that the others are to improve on.  [default: the best]")
@click.option("--picture", type=click.Path(path_type=Path), help="Write a picture: a file ending in .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def compare(paths: tuple[Path, ...], against: str | None, picture: Path | None, as_json: bool) -> None:
    """Success, speed and size of methods, over their seeds and tasks. A RUN may be a sweep's directory.

    Success is that of the last greedy evaluation, as interquartile mean over seeds and tasks with stratified
    bootstrap 95 % intervals; beside them intervals from whole runs resampled, since the tasks of a run share a
    network. Where seeds are too few for an interval there is none.

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
        click.echo(json.dumps(comparing.as_json(comparison)))
    else:
        tables.print_comparison(comparison)
