"""Trained policies of training runs.

The engine knows no run directories. The package that does registers its loader as the entry point ``load_policy`` of
the group ``genoevo``. The function here looks it up when it is called, so the engine imports nothing that is built on
it, not even lazily.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from os import PathLike
from typing import Any

from genoevo._path import nothing_from


def load_policy(directory: str | PathLike[str], **options: Any) -> Any:
    """Return the trained policies of a run directory, an object with ``predict(observation, task)``.

    No code is taken from the directory, not even if it is the working directory.

    Parameters
    ----------
    directory
        A run, such as ``genoevo mega train`` makes.
    options
        For the loader of that kind of run; MEGA's takes ``seed``, for actions that are drawn, and ``checkpoint``:
        ``latest``, ``best`` or a step.

    Raises
    ------
    FileNotFoundError
        If the directory is not a run.
    ValueError
        If its ``run.json`` is corrupt.
    UserError
        Of :mod:`genoevo_runs.errors`, if it is an address such as ``s3://bucket``, or has no such checkpoint.
    ModuleNotFoundError
        If no installed package reads such a run.

    """
    with nothing_from(directory):
        loaders = tuple(entry_points(group="genoevo", name="load_policy"))
        if not loaders:
            raise ModuleNotFoundError("no installed package loads policies: pip install 'genoevo[mega]'")
        return loaders[0].load()(directory, **options)
