"""``genoevo mega report`` and ``genoevo mega watch``."""

from __future__ import annotations

import signal
from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import RUN, RUNS, mega, trust
from genoevo_cli.pages import check_parent, write_page
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console


@mega.command()
@click.argument("run_dirs", metavar="RUN_DIR...", **RUNS)
@trust
@click.option(
    "--out",
    type=LocalPath(dir_okay=False),
    help="File to write.  [default: report.html in the run directory, or comparison.html here for several runs]",
)
def report(run_dirs: tuple[Path, ...], out: Path | None) -> None:
    """Write one HTML page about a run, or a comparison of several runs.

    The page is a single file and needs no network. It can be written while the run trains.

    Examples:
        genoevo mega report runs/a

        genoevo mega report runs/a runs/b runs/c --out comparison.html
    """
    with console.counter("loading"):
        from genoevo_mega.report.content import data_of
        from genoevo_mega.report.reader import RunReader
        from genoevo_runs.report.page import render

    out = out or (run_dirs[0] / "report.html" if len(run_dirs) == 1 else Path("comparison.html"))
    readers = [RunReader(directory) for directory in run_dirs]
    check_parent(out, "--out")
    with console.counter("reading", len(readers) if len(readers) > 1 else None) as progress:
        runs = []
        for reader in readers:
            runs.append(reader.read())
            progress(len(runs))
    with console.counter("rendering"):
        page = render(data_of(runs))
    write_page(out, page)


@mega.command()
@RUN
@trust
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on this machine.  [default: any free port]"
)
def watch(run_dir: Path, port: int) -> None:
    """Show a run's page in a browser while it trains, until Ctrl-C.

    The page is served to this machine only, under an address with a random token. It cannot change the run.

    Example:
        genoevo mega watch runs/a --port 8000
    """
    with console.counter("loading"):
        from genoevo_mega.report.content import data_of
        from genoevo_mega.report.reader import RunReader
        from genoevo_runs.report.server import Watch

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    with Watch(RunReader(run_dir), data_of, port) as server:
        console.note(f"{run_dir} is at {server.url} until Ctrl-C")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            console.note("Stopped.")
