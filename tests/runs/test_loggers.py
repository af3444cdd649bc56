import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genoevo_runs import files, loggers
from genoevo_runs.errors import StorageError, UserError
from genoevo_runs.loggers import open_logger
from genoevo_runs.metrics import MetricsWriter

WITHOUT_TORCH = """
import sys
from pathlib import Path

sys.modules["torch"] = None
from genoevo_runs.loggers import open_logger

logger = open_logger("tensorboard", Path(sys.argv[1]), 0, {})
logger.log([("score", 0.5)], 1)
logger.close()
"""


def _log(directory, since, *steps):
    logger = open_logger("tensorboard", directory, since, {})
    for step in steps:
        logger.log([("score", step / 10)], step)
    logger.close()


def test_tensorboard_forgets_what_an_interrupted_run_logged_after_its_checkpoint(tmp_path):
    _log(tmp_path, 0, 20, 40, 60)
    _log(tmp_path, 40, 50)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("score")] == [20, 40, 50]


def test_event_files_of_one_second_are_never_written(tmp_path):
    for step in range(3):
        _log(tmp_path, step, step + 1)
    seconds = [path.name.split(".")[3] for path in (tmp_path / "tensorboard").iterdir()]
    assert len(set(seconds)) == len(seconds) == 3


def test_tensorboard_needs_no_torch(tmp_path):
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)], check=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("score")] == [0.5]


class ServiceError(Exception):
    """What a service raises; it has nothing in common with other services' errors."""


def _refusing(**settings):
    raise ServiceError("api_key\nis not configured")


@pytest.fixture
def wandb(monkeypatch, tmp_path_factory):
    """A package in the place of wandb, outside the run directory."""
    place = tmp_path_factory.mktemp("installed")
    (place / "wandb.py").touch()
    monkeypatch.syspath_prepend(place)
    module = SimpleNamespace(init=_refusing)
    monkeypatch.setattr(loggers.importlib, "import_module", lambda name: module)
    return module


def test_a_service_that_refuses_is_named_in_one_line(wandb, tmp_path):
    with pytest.raises(UserError, match="loggers = 'wandb': it cannot be started: ServiceError: api_key is not"):
        MetricsWriter(tmp_path, ["wandb"], {}, resume="toy resume")


@pytest.mark.parametrize("method", ["log", "finish"])
def test_a_service_that_fails_later_ends_the_run_in_one_line_that_tells_how_to_resume(wandb, tmp_path, method):
    run = {"log": lambda *given, **named: None, "finish": lambda: None, method: _refusing}
    wandb.init = lambda **settings: SimpleNamespace(**run)
    expected = r"loggers = 'wandb': \w+Error: .* mend that, then toy resume"
    with (
        pytest.raises(StorageError, match=expected) as caught,
        MetricsWriter(tmp_path, ["wandb"], {}, resume="toy resume") as metrics,
    ):
        metrics.write({"step": 1, "score": 0.5})
    assert "\n" not in str(caught.value)


def test_numbers_that_json_does_not_have_are_null(tmp_path):
    with MetricsWriter(tmp_path, [], {}, resume="toy resume") as metrics:
        metrics.write({"step": 1, "temperature": {"a": float("inf"), "b": [float("nan"), 2.0]}})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=files.refuse_constant) == {
        "step": 1,
        "temperature": {"a": None, "b": [None, 2.0]},
    }
