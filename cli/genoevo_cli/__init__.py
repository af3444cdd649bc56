"""The ``genoevo`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exit with the missing extra if click or the training packages are not installed."""
    try:
        from genoevo_cli.main import cli
    except ModuleNotFoundError as error:
        sys.exit(f"genoevo: the command line needs {error.name}: pip install 'genoevo[mega]' (or 'genoevo[cli]')")
    cli(prog_name="genoevo")
