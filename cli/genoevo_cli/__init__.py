"""The ``genoevo`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point; says which extra is missing where click or the training packages are not installed."""
    try:
        from genoevo_cli.main import cli
    except ModuleNotFoundError as error:
        sys.exit(f"genoevo: the command line needs {error.name}: pip install 'genoevo[mega]' (or 'genoevo[cli]')")
    cli(prog_name="genoevo")
