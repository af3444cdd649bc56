"""Loggers, which pass a run's numbers on to TensorBoard, Weights & Biases or MLflow.

A package is imported when its logger is chosen, never before. The run directory holds the files that a service needs
to resume a run.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from genoevo_runs.errors import UserError
from genoevo_runs.files import inside
from genoevo_runs.settings import flat
from genoevo_runs.user_code import check_outside, line

Values = list[tuple[str, float]]
PROJECT = "genoevo"
_BATCH = 1000  # metrics that MLflow takes in one request

NEEDED = {
    "tensorboard": ("tensorboard", "tensorboard"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow"),
}
"""The module that each logger imports, and the package to install for it."""


class Logger(Protocol):
    """A receiver of named numbers."""

    def log(self, values: Values, step: int) -> None:
        """Log the numbers of one step; steps never decrease."""

    def close(self) -> None:
        """Write what is buffered; nothing is logged after it."""


def check_loggers(names: Sequence[str], directory: Path) -> None:
    """Raise UserError for an unknown logger, or one whose package is not installed outside the run's *directory*."""
    for name in names:
        if name not in NEEDED:
            raise UserError(f"loggers = {name!r}: must be among {', '.join(NEEDED)}")
        module, package = NEEDED[name]
        if importlib.util.find_spec(module) is None:
            raise UserError(f"loggers = {name!r}: needs {package}, which is not installed: pip install {package}")
        check_outside(f"loggers = {name!r}", module, directory)


def open_logger(name: str, directory: Path, step: int, settings: dict[str, Any]) -> Logger:
    """Return the logger of that name for a run.

    Parameters
    ----------
    name
        One of :data:`NEEDED`; UserError as from :func:`check_loggers`, or if the service refuses.
    directory
        The run directory.
    step
        The steps that the run has taken already.
    settings
        The run's settings as JSON values, which services show.

    """
    check_loggers([name], directory)
    for written in ("tensorboard", "wandb", "wandb-run", "mlflow-run"):
        inside(directory, directory / written)
    try:
        if name == "tensorboard":
            return _TensorBoard(directory, step)
        return _WeightsAndBiases(directory, settings) if name == "wandb" else _MLflow(directory, settings)
    except OSError:
        raise
    except Exception as error:  # a service's own errors, of a missing login for example, have no common class
        raise UserError(f"loggers = {name!r}: it cannot be started: {line(error)}") from error


class _TensorBoard:
    """Event files, written by TensorBoard's own package; they hold the same as those of torch's SummaryWriter."""

    def __init__(self, directory: Path, step: int) -> None:
        folder = directory / "tensorboard"
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # the writer's own thread would fail with a traceback if it cannot write
        self._events = importlib.import_module("tensorboard.compat.proto.event_pb2")
        self._summaries = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        writer = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        while list(folder.glob(f"events.out.tfevents.{int(time.time())}.*")):
            time.sleep(0.05)  # TensorBoard reads files in the order of their names, which have whole seconds
        self._writer = writer.EventFileWriter(str(folder))
        if step:  # TensorBoard then drops what an interrupted run had logged after this step
            start = self._events.SessionLog(status=self._events.SessionLog.START)
            self._add(step + 1, file_version="brain.Event:2")
            self._add(step + 1, session_log=start)

    def log(self, values: Values, step: int) -> None:
        for name, value in values:
            scalar = self._summaries.Summary.Value(tag=name, simple_value=value)
            self._add(step, summary=self._summaries.Summary(value=[scalar]))

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, **content: Any) -> None:
        self._writer.add_event(self._events.Event(wall_time=time.time(), step=step, **content))


class _WeightsAndBiases:
    """A run of wandb, which is configured outside: ``wandb login``, WANDB_MODE, WANDB_PROJECT."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        kept = directory / "wandb-run"
        if not kept.exists():
            kept.write_text(uuid.uuid4().hex, encoding="utf-8")
        self._run = importlib.import_module("wandb").init(
            project=PROJECT,
            name=directory.resolve().name,
            dir=str(directory),
            id=kept.read_text(encoding="utf-8").strip(),
            resume="allow",
            config=settings,
        )

    def log(self, values: Values, step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """A run of MLflow, which is configured outside: MLFLOW_TRACKING_URI."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        entities = importlib.import_module("mlflow.entities")
        self._metric, parameter = entities.Metric, entities.Param
        self._client = importlib.import_module("mlflow").MlflowClient()
        kept = directory / "mlflow-run"
        if kept.exists():
            self._run = kept.read_text(encoding="utf-8").strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        experiment = self._client.get_experiment_by_name(PROJECT)
        number = self._client.create_experiment(PROJECT) if experiment is None else experiment.experiment_id
        self._run = self._client.create_run(number, run_name=directory.resolve().name).info.run_id
        kept.write_text(self._run, encoding="utf-8")
        parameters = [parameter(name, str(value)) for name, value in flat(settings).items()]
        for first in range(0, len(parameters), 100):  # as many as one request may hold
            self._client.log_batch(self._run, params=parameters[first : first + 100])

    def log(self, values: Values, step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, step) for name, value in values]
        for first in range(0, len(metrics), _BATCH):
            self._client.log_batch(self._run, metrics=metrics[first : first + _BATCH])

    def close(self) -> None:
        self._client.set_terminated(self._run)
