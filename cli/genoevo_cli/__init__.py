"""The ``genoevo`` command."""

from __future__ import annotations

import sys

from genoevo_cli import missing


def main() -> None:
    """Run the command line; exit with one line on what to install if a package is missing."""
    try:
        from genoevo_cli.main import cli
    except ModuleNotFoundError as error:
        sys.exit(f"genoevo: {missing.line(error, 'the command line')}")
    cli(prog_name="genoevo")
