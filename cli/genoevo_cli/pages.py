"""Writing HTML pages to files."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from genoevo.state.atomic import replacing
from genoevo_cli.terminal import console


def check_parent(path: Path, option: str) -> None:
    """Raise UsageError, which names *option*, unless the directory of *path* exists."""
    if not path.parent.is_dir():
        raise click.UsageError(f"{option}: directory {str(path.parent)!r} does not exist")


def write_page(path: Path, page: str) -> None:
    """Write *page* to *path*, which never holds a part of it, and print the path and the size."""
    with replacing(path) as file:
        file.write(page.encode())
    console.note(f"Wrote {path} ({len(page.encode()) / 2**20:.1f} MiB)")
