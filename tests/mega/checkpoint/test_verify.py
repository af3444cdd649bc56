import pytest

from genoevo_mega.experiments.verify import verify
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_runs import manifest
from genoevo_runs.checkpoint_store import CheckpointStore, Loaded
from genoevo_runs.errors import UserError
from tests.mega.checkpoint.tiny import FILES, newest, segments


def test_a_sound_run_is_sound(run):
    verdict = verify(run)
    assert verdict["sound"]
    assert verdict["checkpoints"] == 2
    assert verdict["files"] >= 2 * 5 + 3 + 1


@pytest.mark.parametrize("name", [*FILES, "segment"])
def test_verify_names_every_file_that_was_changed(run, name):
    if name == "segment":
        name = f"replay/{segments(newest(run))[0].name}"
    path = run / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x80
    path.write_bytes(content)
    verdict = verify(run)
    assert not verdict["sound"]
    assert {problem["place"].partition(",")[0] for problem in verdict["damaged"]} == {name}


@pytest.mark.parametrize("moment", [(manifest, "read"), (manifest, "problems"), (checkpoint, "load_one")], ids=str)
def test_a_checkpoint_that_training_removes_while_it_is_verified_is_no_damage(run, monkeypatch, moment):
    older, removed = manifest.newest_first(run)[1], []
    monkeypatch.setattr(manifest, "best", lambda manifests: None)
    function = getattr(*moment)

    def first_removed(*arguments, **settings):
        if older in arguments and not removed:
            removed.append(older)
            CheckpointStore(run, CHECKPOINT, 1, Loaded(newest(run)), "")._prune()
        return function(*arguments, **settings)

    monkeypatch.setattr(*moment, first_removed)
    verdict = verify(run)
    assert removed == [older]
    assert (verdict["damaged"], verdict["checkpoints"]) == ([], 1)


def test_verify_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        verify(tmp_path)
