"""The group that the commands of ``genoevo mega`` register with, and the code they share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import rich_click as click

from genoevo_cli.paths import LocalPath

# Spinning OpenMP threads take the cores from the rollout workers, and on a busy machine from one another. The
# OpenMP library reads this when torch is loaded, which the commands do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _no_code_from(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
    """Leave run directories out of the search for modules while the command runs, however it was started."""
    from genoevo._path import nothing_from

    for directory in given if isinstance(given, tuple) else [given] if given else []:
        context.with_resource(nothing_from(directory))
    return given


RUN = click.argument("run_dir", type=LocalPath(), callback=_no_code_from, is_eager=True)


def _which(context: click.Context, parameter: click.Parameter, given: str) -> str | int:
    return int(given) if given.isascii() and given.isdigit() else given


CHECKPOINT = click.option(
    "--checkpoint",
    "which",
    default="latest",
    show_default=True,
    callback=_which,
    metavar="latest|best|STEP",
    help="Checkpoint to read; genoevo mega info --json lists them.",
)
RUNS: dict[str, Any] = {
    "nargs": -1,
    "required": True,
    "type": LocalPath(),
    "callback": _no_code_from,
    "is_eager": True,
}
"""What the argument of a command that reads several runs has beside its names."""


def _allow(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> None:
    for name in names:
        from genoevo_mega.config.code import allow

        allow(str(parameter.name), name)


def trust(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add options by which the user allows a run, or a file, to import the code that it names."""
    for setting in ("architecture", "suite"):
        option = click.option(
            f"--{setting}",
            expose_value=False,
            multiple=True,
            callback=_allow,
            metavar="MODULE:CALLABLE",
            help=f"Allow the run, or the file, to import its {setting} if it is your own code; repeatable.",
        )
        command = option(command)
    return command


@click.group()
@click.command_panel("Catalogue", commands=["presets", "settings", "tasks"])
@click.command_panel("Train", commands=["train", "resume", "sweep"])
@click.command_panel("Inspect", commands=["info", "evaluate", "report", "watch", "compare", "verify"])
@click.command_panel("Export", commands=["export", "render"])
@click.command_panel("Move", commands=["pack", "unpack"])
def mega() -> None:
    """Train modular agents whose structure evolves, on Meta-World's suites or your own.

    Examples:
        genoevo mega presets

        genoevo mega train --preset demo --run-dir runs/demo

        genoevo mega evaluate runs/demo

        genoevo mega export runs/demo --format onnx
    """


def complete_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of presets that begin with *incomplete*."""
    from genoevo_mega.config.presets import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


def machine_defaults() -> dict[str, int]:
    """Return one rollout worker and one learner thread per core that this process may use."""
    from genoevo_runs.machine import cores

    return {"workers": cores(), "threads": cores()}
