"""Run directories that were begun for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genoevo_runs import manifest
from genoevo_runs.errors import RunError, StorageError, UserError
from genoevo_runs.lock import locked
from genoevo_runs.metrics import METRICS, TIME
from genoevo_runs.rundir import CONFIG, ORIGIN

_WRITTEN = (CONFIG, ORIGIN, METRICS, TIME, "tensorboard", "wandb", "wandb-run", "mlflow-run")


@contextmanager
def removed_if_empty(directory: Path) -> Iterator[None]:
    """Remove the directory of a new run that ends in an error before it holds a checkpoint or a record of metrics.

    A directory with anything else in it stays. It stays, too, if another process trains in it, or after a
    StorageError, whose message says how to resume the run.
    """
    try:
        yield
    except StorageError:
        raise
    except BaseException:
        with suppress(OSError, UserError, RunError):
            _remove(directory)
        raise


def _remove(directory: Path) -> None:
    metrics = directory / METRICS
    if manifest.newest_first(directory) or (metrics.exists() and metrics.stat().st_size):
        return
    if any(path.name not in _WRITTEN for path in directory.iterdir()):
        return
    with locked(directory):
        for name in _WRITTEN:
            path = directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    directory.rmdir()
