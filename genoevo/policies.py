"""Policies of training runs, loaded by whichever installed package can read the run.

The engine knows no such package. One that writes runs registers a loader as an entry point of the group
``genoevo.policies``, under the name that stands as ``format`` in its runs' ``run.json``.
"""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Any

GROUP = "genoevo.policies"


def load_policy(directory: str | PathLike[str], **options: Any) -> Any:
    """The trained policies of a run directory, as an object with ``predict(observation, task)``.

    Parameters
    ----------
    directory
        A run, such as ``genoevo mega train`` makes.
    options
        For the loader of that kind of run; MEGA's takes ``seed``, for actions that are drawn.

    Raises
    ------
    FileNotFoundError
        Where the directory is no run.
    ValueError
        Where its ``run.json`` is damaged.
    ModuleNotFoundError
        Where no installed package reads such a run.

    """
    origin = Path(directory) / "run.json"
    if not origin.is_file():
        raise FileNotFoundError(f"{directory} is no run: it has no run.json")
    try:
        kind = json.loads(origin.read_text(encoding="utf-8"))["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{origin} is damaged: {error}") from None
    loaders = {loader.name: loader for loader in entry_points(group=GROUP)}
    if kind not in loaders:
        known = ", ".join(sorted(loaders)) or "none"
        raise ModuleNotFoundError(
            f"{directory} is a run of the format {kind!r}, which no installed package reads (known: {known}); "
            "those of genoevo mega need pip install 'genoevo[mega]'"
        )
    try:
        load = loaders[kind].load()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the policies of {directory} need {error.name}: pip install 'genoevo[mega]'", name=error.name
        ) from None
    return load(Path(directory), **options)
