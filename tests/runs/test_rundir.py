import json
import platform
from importlib.metadata import version

import pytest

from genoevo_runs import rundir
from genoevo_runs.errors import ConfigError, CorruptFileError, UserError, VersionError


def make(directory, **about):
    origin = rundir.new_origin("toy-run", 2, ["toy", "train"], about, ["numpy", "no-such-package"])
    rundir.create(directory, "steps: 3\n", origin)
    return origin


def test_a_run_is_created_and_its_origin_read(tmp_path):
    origin = make(tmp_path / "runs" / "a", seed=5)
    assert rundir.is_run(tmp_path / "runs" / "a")
    assert rundir.read_origin(tmp_path / "runs" / "a", "toy-run", 2) == origin
    assert (origin["format"], origin["version"], origin["seed"]) == ("toy-run", 2, 5)
    assert origin["command"] == ["toy", "train"]
    assert origin["versions"] == {"numpy": version("numpy"), "no-such-package": None}
    assert origin["python"] == platform.python_version()
    assert (tmp_path / "runs" / "a" / "config.yaml").read_text() == "steps: 3\n"
    assert sorted(path.name for path in (tmp_path / "runs" / "a").iterdir()) == ["config.yaml", "run.json"]


def test_a_run_of_another_kind_or_a_later_version_is_refused(tmp_path):
    make(tmp_path / "a")
    with pytest.raises(CorruptFileError, match="format = 'toy-run': must be 'other-run'"):
        rundir.read_origin(tmp_path / "a", "other-run", 2)
    with pytest.raises(VersionError, match="has format version 2; this genoevo reads up to 1"):
        rundir.read_origin(tmp_path / "a", "toy-run", 1)


def test_a_directory_that_is_not_empty_is_refused_unless_its_creation_was_interrupted(tmp_path):
    rundir.check_vacant(tmp_path / "new")
    rundir.check_vacant(tmp_path)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="exists and is not empty"):
        rundir.check_vacant(tmp_path)
    (tmp_path / ".begun").mkdir()
    rundir.check_vacant(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": "toy-run", "version": 2}))
    with pytest.raises(UserError, match=r"is not a run directory: run\.json is missing"):
        rundir.read_origin(tmp_path, "toy-run", 2)
    make(tmp_path)
    assert rundir.is_run(tmp_path)


def test_only_a_run_can_be_resumed_instead(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match=r"choose another$"):
        rundir.check_vacant(tmp_path)
    make(tmp_path / "a")
    with pytest.raises(ConfigError, match=r"choose another or resume it$"):
        rundir.check_vacant(tmp_path / "a")


def test_a_file_in_place_of_a_run_directory_is_refused(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(ConfigError, match="exists and is not empty"):
        rundir.check_vacant(tmp_path / "a")
    with pytest.raises(UserError, match="cannot be written"):
        make(tmp_path / "a")
