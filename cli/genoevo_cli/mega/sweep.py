"""``genoevo mega sweep``: many runs from one file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from genoevo_cli.mega.group import machine_defaults, mega, trust
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console, live
from genoevo_cli.terminal.signals import stop_on_signal


@mega.command()
@click.argument("file", type=LocalPath())
@trust
@click.option("--dir", "directory", type=LocalPath(), help="Directory for the runs.  [default: sweeps/FILE]")
@click.option("--scale", help="One of the file's scales, for example laptop, node or paper.")
@click.option("--processes", type=click.IntRange(1), help="Number of runs at a time.  [default: one per core]")
@click.option("--ray", "use_ray", is_flag=True, help="Run on Ray; all of its machines must share the directory.")
@click.option("--dry-run", is_flag=True, help="List the runs and their states; run nothing.")
def sweep(
    file: Path, directory: Path | None, scale: str | None, processes: int | None, use_ray: bool, dry_run: bool
) -> None:
    """Train all runs that FILE describes, several at a time; skip finished runs and resume interrupted ones.

    FILE has a grid of settings, a list of named runs, or both, each with several seeds; studies/ has examples.
    Results go to DIR/NAME/SEED. The runs share the machine's cores, one thread each if there are as many runs as
    cores. Ctrl-C saves all runs, and the same command resumes them.

    Examples:
        genoevo mega sweep studies/start_stage.yaml --scale laptop --dry-run

        genoevo mega sweep studies/start_stage.yaml --scale laptop --dir sweeps/start_stage
    """
    with console.counter("loading"):
        from genoevo_mega.run_kind import KIND
        from genoevo_runs import sweep as plans
        from genoevo_runs.errors import RunError
        from genoevo_runs.pools import LocalPool, RayPool

    chosen = plans.read_sweep(KIND, file, scale)
    root = directory or Path("sweeps") / (f"{file.stem}-{scale}" if scale else file.stem)
    cores = machine_defaults()["threads"]
    planned = plans.plan(KIND, chosen, file, root, console.note)
    at_once = min(processes or max(1, cores // max(run.config.compute.threads for run in planned)), len(planned))
    share = max(1, cores // at_once)
    planned = [run.on(share) for run in planned]
    states = {run: run.state for run in planned}
    if dry_run:
        _list(states)
        return
    plans.prepare(root, chosen)
    waiting = [run for run, state in states.items() if state != "done"]
    console.note(f"{len(planned)} runs in {root}: {len(planned) - len(waiting)} done, {len(waiting)} to do.")
    pool: Any = RayPool(root, share, sys.argv) if use_ray else LocalPool(at_once, sys.argv)
    again = _command(file, root, scale, processes, use_ray) + _permissions(planned)
    stopping = "Stopping: every run saves after its current step ... (again: stop at once, without saving)"
    with stop_on_signal(pool, stopping), live.SweepView(len(planned), len(planned) - len(waiting)) as view:
        failed = []
        try:
            for progress in pool.run(waiting):
                view.update(progress)
                if progress.event == "failed":
                    failed.append(progress.run)
        except RunError as error:
            raise RunError(f"{error}; its runs save and stop. Resume with: {again}") from error
    if failed:
        raise click.ClickException(
            f"{len(failed)} of {len(planned)} runs failed; the others are saved. Retry with: {again}"
        )
    if pool.stop_requested:
        console.note(f"Stopped; all runs are saved. Resume with: {again}")
    else:
        console.note(f"Done. Compare them with: genoevo mega compare {shlex.quote(str(root))}")


def _command(file: Path, root: Path, scale: str | None, processes: int | None, use_ray: bool) -> str:
    """Return the command that continues a sweep, for a shell."""
    given = {"--scale": scale, "--dir": str(root), "--processes": processes and str(processes)}
    words = [word for name, value in given.items() if value for word in (name, value)]
    return shlex.join(["genoevo", "mega", "sweep", str(file), *words, *(["--ray"] if use_ray else [])])


def _permissions(planned: list[Any]) -> str:
    """Return the options that allow the code which the runs name."""
    from genoevo_mega.config.code import options

    named = [{name: value} for run in planned for name, value in run.kind.code(run.config).items()]
    return "".join(dict.fromkeys(map(options, named)))


def _list(states: dict[Any, str]) -> None:
    for run, state in states.items():
        config = run.config
        click.echo(f"{state:6} {run.directory}  {config.architecture} on {config.suite}, {config.steps:,} steps")
