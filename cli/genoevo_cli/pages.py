"""HTML pages as files."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from genoevo.state.atomic import replacing
from genoevo_cli.terminal import console


def check_parent(path: Path, option: str) -> None:
    """Usage error where the directory that is to hold *path* is not there."""
    if not path.parent.is_dir():
        raise click.UsageError(f"{option}: there is no directory {str(path.parent)!r}")


def write_page(path: Path, page: str) -> None:
    """Write *page* so that *path* never holds a part of it, and say so."""
    with replacing(path) as file:
        file.write(page.encode())
    console.note(f"Wrote {path} ({len(page.encode()) / 2**20:.1f} MiB)")
