import shutil

import pytest

from tests.mega.checkpoint.tiny import train


@pytest.fixture(scope="module", autouse=True)
def _quick(quick_runs):
    """For every run of this directory."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run with checkpoints at 50 and 60 steps; not to be changed."""
    directory = tmp_path_factory.mktemp("run") / "run"
    train(directory)
    return directory


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished, tmp_path / "run")
