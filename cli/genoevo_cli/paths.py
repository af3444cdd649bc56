"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from genoevo_runs.errors import refuse_address


class LocalPath(click.Path):
    """A path as :class:`pathlib.Path`; an address such as ``s3://bucket`` is refused, and no folder made of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: D102
        name = param.opts[-1].lstrip("-").replace("_", "-") if param else "path"
        refuse_address(name, value)
        return super().convert(value, param, ctx)
