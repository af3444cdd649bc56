"""``genoevo mega train`` and ``resume``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from genoevo_cli.mega.group import CHECKPOINT, RUN, complete_presets, machine_defaults, mega, trust
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console, live, tables
from genoevo_cli.terminal.signals import stop_on_signal

if TYPE_CHECKING:
    from genoevo_mega.config.run import Config
    from genoevo_mega.training.trainer import Trainer


@mega.command()
@click.option("--run-dir", type=LocalPath(), help="New directory for all results.  [required]")
@click.option(
    "--preset",
    shell_complete=complete_presets,
    help="Preset, from genoevo mega presets.  [default: mt50 for the suite mt50, else mt10]",
)
@click.option(
    "--suite",
    help="mt10, mt25, mt50, comma-separated Meta-World tasks, gymnasium:ID,ID or your own module:callable.",
)
@click.option(
    "--architecture",
    help="mega, mtsac, mtmhsac, soft-modules, paco, moore, d2r or your own module:callable.  [default: mega]",
)
@click.option(
    "--match-parameters",
    metavar="SIZE",
    help="Size of the actor, and of critics of its form: mega (MEGA at its start stage), mega:5 (5 modules) or a "
    "number of parameters.",
)
@click.option("--steps", type=int, help="Total environment steps over all tasks.")
@click.option("--seed", type=int, help="Seed of all random generators.")
@click.option(
    "--minutes", type=float, help="Time budget; when it is spent, the run ends as if it had reached its steps."
)
@click.option("--config", "config_file", type=LocalPath(), help="YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting; repeatable.")
@click.option("--device", help="Device of networks and replay, cpu or cuda.  [default: cpu]")
@click.option("--workers", type=int, help="Number of rollout workers.  [default: one per core]")
@click.option("--threads", type=int, help="Number of learner threads.  [default: one per core]")
@click.option(
    "--logger",
    "loggers",
    multiple=True,
    help="tensorboard, wandb or mlflow; repeatable.  [default: tensorboard]",
)
@click.option("--profile", is_flag=True, help="Write a torch profiler trace of 30 vector steps to profile.json.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Train nothing; print the resolved config, sizes, memory, and a time estimate from a ten-second probe.",
)
@click.option_panel(
    "What to train",
    options=[
        "--run-dir",
        "--preset",
        "--suite",
        "--architecture",
        "--match-parameters",
        "--steps",
        "--seed",
        "--minutes",
    ],
)
@click.option_panel("Settings", options=["--config", "--set"])
@click.option_panel(
    "This machine", options=["--device", "--workers", "--threads", "--logger", "--profile", "--dry-run"]
)
def train(
    run_dir: Path | None,
    preset: str | None,
    suite: str | None,
    architecture: str | None,
    match_parameters: str | None,
    steps: int | None,
    seed: int | None,
    minutes: float | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    device: str | None,
    workers: int | None,
    threads: int | None,
    loggers: tuple[str, ...],
    profile: bool,
    dry_run: bool,
) -> None:
    """Train a new run.

    Settings come from the preset, the file, --set and the options; each overrides those before it. Ctrl-C saves the
    run and prints the command that resumes it.

    Examples:
        genoevo mega train --preset demo --run-dir runs/demo

        genoevo mega train --suite mt10 --preset mt10 --steps 100000 --run-dir runs/a --seed 1

        genoevo mega train --suite reach-v3,push-v3 --set sac.batch_size=64 --run-dir runs/b

        genoevo mega train --preset mt50 --dry-run

        genoevo mega train --architecture soft-modules --match-parameters mega:5 --run-dir runs/c
    """
    with console.counter("loading"):
        from genoevo_mega.experiments import runs, sizes
        from genoevo_mega.training.profiling import Profiler
        from genoevo_runs.begun import removed_if_empty

    options = {
        "suite": suite,
        "architecture": architecture,
        "match_parameters": int(match_parameters) if (match_parameters or "").isdecimal() else match_parameters,
        "steps": steps,
        "seed": seed,
        "loggers": list(loggers) or None,
    }
    compute = {"device": device, "workers": workers, "threads": threads}
    resolved = _resolve(preset, config_file, settings, options, compute, {"time_limit_minutes": minutes})
    if dry_run:
        _estimate(resolved)
        return
    if run_dir is None:
        raise click.UsageError("Missing option '--run-dir'.")
    view = live.for_terminal()
    profiler = Profiler(run_dir / "profile.json", view.update) if profile else None
    trainer = runs.create(run_dir, resolved, sys.argv, profiler or view.update, console.note)
    if match := runs.matched(resolved):
        policy = sizes.policy_at_start(resolved, trainer.suite, trainer.state.evolver)
        console.note(tables.match_line(resolved.architecture, match, policy and policy.model_dump()))
    with removed_if_empty(run_dir), profiler or nullcontext():
        _run(trainer, resolved.steps, view)
    if profiler and not profiler.written:
        console.note("The run was too short for a profile: profiling starts after the first 20 updates.")


@mega.command()
@RUN
@trust
@CHECKPOINT
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="New total of environment steps.  [default: the total that the run was started with]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting from here on; repeatable. Learning rate, evaluation, checkpoints, workers, budget and "
    "some others may change.",
)
def resume(run_dir: Path, which: str | int, steps: int | None, settings: tuple[str, ...]) -> None:
    """Resume a run from its last checkpoint, exactly as if it had not been interrupted.

    From an earlier checkpoint, the run continues from there: later checkpoints are set aside, and what the metrics
    hold of later steps is removed. Changed settings are written into config.yaml and noted in run.json.

    Examples:
        genoevo mega resume runs/a --steps 200000

        genoevo mega resume runs/a --checkpoint best --set sac.learning_rate=1e-4
    """
    view = live.for_terminal()
    with console.counter("loading"):
        from genoevo_mega.config.renamed import with_new_names
        from genoevo_mega.experiments import runs
        from genoevo_runs.settings import merge, parse_setting

        changed = with_new_names(merge(*map(parse_setting, settings)), console.note)
        trainer = runs.resume(run_dir, view.update, console.note, which, changed, sys.argv)
    target = steps or trainer.config.steps
    if trainer.state.steps >= target and not trainer.state.evaluation_due:
        raise click.UsageError(f"{run_dir} has {trainer.state.steps:,} steps already; give --steps above that")
    _run(trainer, target, view)


def _resolve(
    preset: str | None, config_file: Path | None, settings: tuple[str, ...], *options: dict[str, Any]
) -> Config:
    """Merge preset, file, ``--set`` and options: general ones, ``compute`` and ``schedule``, None if not given.

    Code that ``--set`` or an option names is allowed; code that the file alone names is not.
    """
    from genoevo_mega.config import run as config
    from genoevo_mega.config.advice import advice
    from genoevo_mega.config.code import allow, check_allowed
    from genoevo_mega.config.renamed import with_new_names
    from genoevo_mega.training.build import kernels_or_reason
    from genoevo_runs.settings import merge, parse_setting, read_config

    general, compute, schedule = ({name: value for name, value in of.items() if value is not None} for of in options)
    typed = with_new_names(merge(*map(parse_setting, settings)), console.note)
    mine = merge(
        with_new_names(read_config(config_file), console.note) if config_file else {},
        typed,
        general,
        {"compute": compute},
        {"schedule": schedule} if schedule else {},
    )
    for setting in ("suite", "architecture"):
        allow(setting, general.get(setting) or str(typed.get(setting, "")))
    base = preset or ("mt50" if mine.get("suite") == "mt50" else "mt10")
    machine: dict[str, Any] = machine_defaults()
    if "kernels" not in mine["compute"] and mine["compute"].get("device", "cpu") == "cpu":  # else nothing is compiled
        machine = {**machine, "kernels": "torch" if kernels_or_reason() else "compiled"}
    resolved = config.build_config({"compute": machine}, config.preset(base), mine)
    if config_file:
        check_allowed(resolved.code, config_file)
    for sentence in advice(resolved):
        console.note(sentence)
    return resolved


def _estimate(resolved: Config) -> None:
    from genoevo_mega.config import run as config
    from genoevo_mega.experiments.dry_run import estimate

    click.echo(config.dump_config(resolved), nl=False)
    console.note("Building the environments for a ten-second probe ...")
    with console.counter("probing", 10) as progress:
        found = estimate(resolved, 10.0, lambda elapsed: progress(min(int(elapsed), 10)))
    tables.print_estimate(found, resolved.steps)


def _run(trainer: Trainer, steps: int, view: Any) -> None:
    from genoevo_mega.training.resuming import resume_command

    console.note(f"Building {len(trainer.suite.names)} environments ...")
    stopping = "Stopping after this step and saving ... (again: stop at once, without saving)"
    with stop_on_signal(trainer, stopping), view:
        finished = trainer.run(steps)
    again = resume_command(trainer.directory, trainer.config, steps)
    if not finished:
        console.note(f"Stopped at {trainer.state.steps:,} of {steps:,} steps; the run is saved. Resume with: {again}")
        return
    if trainer.state.evaluated is not None:
        from genoevo_mega.experiments import runs

        estimates = dict(zip(trainer.suite.names, trainer.state.evaluated, strict=True))
        tables.print_evaluation(runs.info(trainer.directory), estimates)
    if trainer.state.steps < steps:
        console.note(f"The time budget was spent at {trainer.state.steps:,} of {steps:,} steps. Resume with: {again}")
    else:
        more = resume_command(trainer.directory, trainer.config, 2 * steps)
        console.note(f"Done: {trainer.state.steps:,} steps in {trainer.directory}. Continue with: {more}")
