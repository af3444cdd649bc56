"""Trained policies of runs, loaded by the adapter whose runs they are."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from genoevo_runs.errors import refuse_address
from genoevo_runs.run_kind import find


def load_policy(directory: str | PathLike[str], **options: Any) -> Any:
    """Return the trained policies of a run directory; :func:`genoevo.load_policy` documents it."""
    refuse_address("directory", directory)
    origin = Path(directory) / "run.json"
    if not origin.is_file():
        raise FileNotFoundError(f"{directory} is not a run directory: run.json is missing")
    try:
        format = json.loads(origin.read_text(encoding="utf-8"))["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{origin} is corrupt: {error}") from None
    kind = find(format, directory)
    try:
        return kind.load_policy(Path(directory), **options)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the policies of {directory} need {error.name}: pip install '{kind.requirement}'", name=error.name
        ) from None
