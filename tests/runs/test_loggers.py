import subprocess
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genoevo_runs.loggers import open_logger

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


def test_tensorboard_needs_no_torch(tmp_path):
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)], check=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("score")] == [0.5]
