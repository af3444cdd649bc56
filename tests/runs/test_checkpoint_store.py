"""The store with checkpoints of a format of its own, without a replay: what another adapter would write."""

import json

import numpy as np
import pytest

from genoevo import state
from genoevo_runs import files, manifest
from genoevo_runs.checkpoint_store import CheckpointStore, Loaded, Snapshot
from genoevo_runs.errors import CorruptFileError, StorageError, UserError
from genoevo_runs.manifest import Format, Score, newest_whole
from genoevo_runs.metrics import METRICS

TOY = Format("toy-checkpoint", 2, ("weights.safetensors", "search.npz", "counters.json"), "toy-rows", 1)


def snapshot(step, success=None):
    score = None if success is None else Score(evaluated=True, success=success, step=step)
    content = {
        "weights.safetensors": {"w": np.arange(step, dtype=np.float32)},
        "search.npz": {"words": np.arange(3, dtype=np.uint64)},
        "counters.json": {"step": step},
    }
    return Snapshot(step, score, content)


@pytest.fixture
def directory(tmp_path):
    (tmp_path / METRICS).touch()
    return tmp_path


def store(directory, keep=2, loaded=None):
    return CheckpointStore(directory, TOY, keep, loaded or Loaded(), "toy resume here")


def test_every_file_is_written_by_its_suffix_and_marked_with_the_format(directory):
    loaded = Loaded()
    with store(directory, loaded=loaded) as checkpoints:
        checkpoints.save(snapshot(7))
    path = loaded.path
    weights = files.read_arrays(path / "weights.safetensors", "toy-checkpoint", 2)
    assert np.array_equal(weights["w"], np.arange(7, dtype=np.float32))
    assert np.array_equal(state.load(path / "search.npz")["words"], np.arange(3, dtype=np.uint64))
    assert json.loads((path / "counters.json").read_text()) == {"step": 7}
    content = manifest.read(path, TOY)
    assert (content.format, content.version, content.step, content.replay) == ("toy-checkpoint", 2, 7, [])
    assert [entry.name for entry in content.files] == list(TOY.files)
    assert not (directory / "replay").exists()


def test_the_newest_checkpoints_and_the_best_are_kept(directory):
    with store(directory) as checkpoints:
        for step, success in ((1, 0.9), (2, 0.1), (3, 0.2), (4, 0.3)):
            checkpoints.save(snapshot(step, success))
    assert [manifest.read(path, TOY).step for path in manifest.newest_first(directory)] == [4, 3, 1]


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (Format("other", 2, TOY.files, "", 1), "format = 'toy-checkpoint': must be 'other'"),
        (Format("toy-checkpoint", 3, TOY.files, "", 1), "version = 2: must be 3"),
        (Format("toy-checkpoint", 2, (*TOY.files, "more.json"), "", 1), "files: must name weights.safetensors"),
        (Format("toy-checkpoint", 2, TOY.files[:2], "", 1), "files.2.name = 'counters.json': must be one of"),
    ],
)
def test_a_checkpoint_of_another_format_is_refused(directory, other, problem):
    loaded = Loaded()
    with store(directory, loaded=loaded) as checkpoints:
        checkpoints.save(snapshot(1))
    with pytest.raises(CorruptFileError, match=problem):
        manifest.read(loaded.path, other)


def test_the_newest_checkpoint_that_can_be_read_is_found_and_the_others_are_set_aside(directory):
    with store(directory) as checkpoints:
        checkpoints.save(snapshot(1))
        checkpoints.save(snapshot(2))
    newest, older = manifest.newest_first(directory)
    (newest / "counters.json").write_text("{}")
    told = []
    path, damaged = newest_whole(
        [newest, older], lambda path: manifest.check(directory, path, manifest.read(path, TOY)), told.append
    )
    assert (path, list(damaged)) == (older, [newest])
    assert [line.partition(" ")[0] for line in told] == [newest.name]
    store(directory, loaded=Loaded(path, damaged=list(damaged)))
    assert (directory / "checkpoints" / f"{newest.name}.damaged").is_dir()
    assert manifest.newest_first(directory) == [older]


def test_a_store_refuses_a_directory_with_a_later_checkpoint(directory):
    with store(directory) as checkpoints:
        checkpoints.save(snapshot(1))
    with pytest.raises(UserError, match="was written by another process in the meantime"):
        store(directory)


def test_a_failed_write_names_the_command_that_resumes(directory):
    checkpoints = store(directory)
    checkpoints.save(Snapshot(1, None, {"counters.json": {"a": object()}}))
    with pytest.raises(StorageError, match=r"cannot be written: TypeError: .* then toy resume here"):
        checkpoints.wait()
    assert manifest.newest_first(directory) == []
