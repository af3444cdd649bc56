import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from genoevo_runs import user_code


@pytest.fixture
def toy(tmp_path_factory, monkeypatch):
    """The kind of an adapter that is installed beside genoevo, for this process and those that it starts."""
    place = tmp_path_factory.mktemp("installed")
    shutil.copy(Path(__file__).with_name("toy_runs.py"), place)
    installed = place / "genoevo_toy-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: genoevo-toy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[genoevo.runs]\ntoy-run = toy_runs:KIND\n")
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("TOY_ALLOW_SOURCE", "")
    for registry in ("ALLOWED", "_NAMES_CODE"):
        monkeypatch.setattr(user_code, registry, dict(getattr(user_code, registry)))
    yield importlib.import_module("toy_runs").KIND
    del sys.modules["toy_runs"]
