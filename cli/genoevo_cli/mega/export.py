"""``genoevo mega export`` and ``render``: policies and videos for use without genoevo."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import CHECKPOINT, RUN, mega, trust
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console, tables


@mega.command()
@RUN
@trust
@CHECKPOINT
@click.option("--task", default="all", show_default=True, metavar="NAME|all", help="Task whose policy is exported.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "torchscript"]),
    default="onnx",
    show_default=True,
    help="onnx runs under onnxruntime, torchscript under torch or libtorch.",
)
@click.option("--out", type=LocalPath(), help="New directory.  [default: RUN_DIR/exported-FORMAT]")
@click.option(
    "--threshold",
    type=float,
    help="Remove connections whose share of the output is not above this. The default changes no action by 1e-5; "
    "larger values remove more, and the table shows how much actions change.  [default: 1e-8]",
)
@click.option(
    "--budget",
    type=float,
    metavar="SHARE",
    help="Largest share, above 0 and at most 1, of the multiply-adds of a policy that uses the whole pool "
    "(full_multiply_adds in policies.json). If a task's elite takes more, the settled genotype of its frontier "
    "within the budget whose estimated success is highest is exported instead.",
)
@click.option("--max-modules", type=click.IntRange(0), help="Largest number of modules, like --budget.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def export(
    run_dir: Path,
    which: str | int,
    task: str,
    kind: str,
    out: Path | None,
    threshold: float | None,
    budget: float | None,
    max_modules: int | None,
    as_json: bool,
) -> None:
    """Export each task's greedy policy as a file that runs without genoevo.

    The weights are decoded, and modules that the task does not use are removed. The table compares multiply-adds and
    latency with a policy that uses every module of the pool. For the other architectures, parts that belong to other
    tasks are removed.

    Examples:
        genoevo mega export runs/a --task all --format onnx

        genoevo mega export runs/a --task drawer-close-v3 --threshold 0.001 --out policies

        genoevo mega export runs/a --budget 0.3 --out small
    """
    with console.counter("loading"):
        from genoevo_mega.policies import export as exporting
        from genoevo_mega.policies.choice import Limit
        from genoevo_mega.policies.policy import Trained

        limit = Limit(budget, max_modules)
        trained = Trained.of_run(run_dir, which, console.note)
    out = out or run_dir / f"exported-{kind}"
    threshold = exporting.THRESHOLD if threshold is None else threshold
    with console.counter("exporting", len(trained.tasks(task))) as progress:
        exported = exporting.export_tasks(trained, out, task, kind, threshold, progress, limit)
    cut = exporting.cut(trained, threshold)
    if as_json:
        policies = [vars(one) for one in exported]
        console.print_json({"out": str(out), "threshold": threshold, "cut": cut, "policies": policies})
    else:
        tables.print_exported(exported, cut)
        console.note(f"Written to {out}.")


@mega.command()
@RUN
@trust
@CHECKPOINT
@click.option("--task", required=True, metavar="NAME", help="Task to record.")
@click.option(
    "--episodes", type=click.IntRange(1), default=3, show_default=True, help="Episodes, one evaluation goal each."
)
@click.option("--out", type=LocalPath(), required=True, metavar="FILE", help="New .mp4 or .gif file.")
@click.option("--every", type=click.IntRange(1), default=4, show_default=True, help="Environment steps per frame.")
@click.option("--fps", type=click.IntRange(1, 60), default=20, show_default=True, help="Frames per second.")
@click.option("--height", type=click.IntRange(120, 1080), default=240, show_default=True, help="Height in pixels.")
def render(
    run_dir: Path, which: str | int, task: str, episodes: int, out: Path, every: int, fps: int, height: int
) -> None:
    """Record a video of a task's greedy policy, with MEGA's module graph beside it, lit by activity.

    Rendering needs no screen. It uses EGL or OSMesa, whichever works, unless MUJOCO_GL names one.

    Examples:
        genoevo mega render runs/a --task drawer-close-v3 --episodes 3 --out drawer.mp4

        genoevo mega render runs/a --task door-close-v3 --episodes 1 --height 160 --out door.gif
    """
    with console.counter("loading"):
        from genoevo_mega.policies.film import Film, prepare_drawing, render_task
        from genoevo_mega.policies.policy import Trained

        prepare_drawing()
        trained = Trained.of_run(run_dir, which, console.note)
    total = episodes * trained.config.environment.episode_length
    with console.counter("recording", total) as progress:
        shown = render_task(trained, task, out, Film(episodes, every, fps, height), progress)
    for one in shown:
        result = "success" if one.success else "no success"
        console.note(f"goal {one.goal + 1}: {result}, {one.steps} steps, return {one.total_reward:,.1f}")
    console.note(f"Written to {out}.")
