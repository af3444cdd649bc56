import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_runs.errors import CorruptFileError, UserError, VersionError
from tests.mega.checkpoint.tiny import huge_npy, names, newest, rewritten

FIXTURES = Path(__file__).parents[1] / "fixtures"


def old_run(tmp_path, version):
    return shutil.copytree(FIXTURES / version, tmp_path / "run")


def test_a_run_of_version_2_is_read(tmp_path):
    run = old_run(tmp_path, "run_v2")
    info = runs.info(run)
    assert (info["steps"], info["updates"], info["rounds"]) == (46, 35, 1)
    # As version 2 printed it.
    assert info["digest"] == "36c716e3e9636beca504ed86871ec99f08ed049c511bbdfc58ba73f513d12e2b"
    assert verify(run)["sound"]
    assert runs.evaluate_run(run, 1, lambda done: None)["drawer-close-v3"].episodes == 1


def test_a_run_of_version_2_goes_on_in_the_middle_of_its_episode(tmp_path):
    run = old_run(tmp_path, "run_v2")
    trainer = runs.resume(run)
    assert (trainer.state.steps, len(trainer.state.replay), trainer.state.episodes.taken.tolist()) == (46, 46, [6])
    rows = np.load(run / "checkpoint" / "replay" / "rewards.npy")
    assert np.array_equal(trainer.state.replay.rewards[:, : rows.shape[1]], rows)
    trainer.run(60)
    assert names(run) == ["000000000060"]
    assert not (run / "checkpoint").exists()
    assert runs.info(run)["pool_size"] == 3
    assert verify(run)["sound"]


def test_a_run_of_version_2_is_sound_while_its_checkpoint_is_removed(tmp_path, monkeypatch):
    run, rmtree, sound = old_run(tmp_path, "run_v2"), shutil.rmtree, []

    def half_removed(path, **settings):
        if (path / "state.json").exists():
            (path / "agent.safetensors").unlink()
            sound.append(verify(run)["sound"])
        rmtree(path, **settings)

    trainer = runs.resume(run)
    monkeypatch.setattr(shutil, "rmtree", half_removed)
    trainer.run(48)
    assert sound == [True]


def test_a_damaged_run_of_version_2_is_refused_by_name(tmp_path):
    run = old_run(tmp_path, "run_v2")
    (run / "checkpoint" / "replay" / "rewards.npy").write_bytes(huge_npy())
    with pytest.raises(UserError, match=r"rewards.npy is corrupt: .*of shape .* takes"):
        runs.resume(run)


def test_a_newer_checkpoint_is_refused_and_not_passed_over(run):
    rewritten(newest(run), lambda content: content.update(version=99))
    for read in (runs.info, runs.resume):
        with pytest.raises(VersionError, match="has format version 99; this genoevo reads up to 3: use a newer one"):
            read(run)


def test_a_newer_run_is_refused(run):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(VersionError, match=r"run.json has format version 99"):
        runs.resume(run)


@pytest.mark.parametrize("value", [0, "3", None, True, 2.0])
def test_a_version_that_is_no_number_is_damage(run, value):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "version": value}))
    with pytest.raises(CorruptFileError, match="version = "):
        runs.resume(run)
