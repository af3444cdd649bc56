"""``genoevo mega pack`` and ``unpack``: a run as one file, for another machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import rich_click as click

from genoevo_cli.mega.group import RUN, mega
from genoevo_cli.paths import LocalPath
from genoevo_cli.terminal import console


@mega.command()
@RUN
@click.option("--out", type=LocalPath(), help="New archive.  [default: RUN_DIR.tar]")
@click.option(
    "--without-replay",
    is_flag=True,
    help="Leave the replay out. A resume then begins with an empty one, which is not exact.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def pack(run_dir: Path, out: Path | None, without_replay: bool, as_json: bool) -> None:
    """Write a run to one archive: a plain tar with a checksum of every file. It is read again to verify it.

    Examples:
        genoevo mega pack runs/a

        genoevo mega pack runs/a --out a.tar --without-replay
    """
    with console.counter("packing"):
        from genoevo_mega.experiments.archives import default_out, pack_run

        packed = pack_run(run_dir, out or default_out(run_dir), replay=not without_replay, tell=console.note)
    if as_json:
        console.print_json(packed)
    else:
        console.note(
            f"{packed['archive']}: {packed['files']} files, {packed['checkpoints']} checkpoints, "
            f"{packed['bytes'] / 2**20:,.1f} MiB, verified. SHA-256 {packed['sha256']}"
        )
    if without_replay:
        console.note(_LOST)


@mega.command()
@click.argument("file", type=LocalPath())
@click.argument("directory", metavar="DIR", type=LocalPath())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def unpack(file: Path, directory: Path, as_json: bool) -> None:
    """Check an archive of a run and unpack it into a new directory, which appears when all of it is intact.

    Example:
        genoevo mega unpack a.tar runs/a
    """
    with console.counter("unpacking"):
        from genoevo_mega.experiments.archives import unpack_run

        found = unpack_run(file, directory)
    if as_json:
        console.print_json(found)
    else:
        console.note(
            f"{directory}: {found['files']} files, {found['checkpoints']} checkpoints, intact. Resume with: "
            f"genoevo mega resume {shlex.quote(str(directory))}"
        )
    if not found["replay"]:
        console.note(_LOST)


_LOST = (
    "The archive has no replay. Evaluation, reports and export need none. A resume begins with an empty replay: it "
    "makes no update until every task has sac.random_steps new steps, and is not exact."
)
