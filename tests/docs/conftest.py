import shutil
from pathlib import Path

import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from tests.mega.conftest import _quick_workers as _quick_workers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A small run, for pages that speak of one that they have not made."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    runs.create(directory, build_config(preset("smoke"), {"evaluation": {"at_end": False}}), ["test"], print).run(120)
    return directory


@pytest.fixture
def copy_of_run(trained):
    """Puts a copy of the small run into a directory that is not there yet."""

    def copy(directory: Path) -> None:
        if not directory.exists():
            shutil.copytree(trained, directory)

    return copy
