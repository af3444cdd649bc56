import pytest

from genoevo_runs import rundir
from genoevo_runs.begun import removed_if_empty
from genoevo_runs.errors import RunError, StorageError
from genoevo_runs.lock import locked


@pytest.fixture
def directory(tmp_path):
    rundir.create(tmp_path / "run", "steps: 1\n", {"format": "toy"})
    (tmp_path / "run" / "metrics.jsonl").touch()
    (tmp_path / "run" / "tensorboard").mkdir()
    return tmp_path / "run"


def _fail(directory, error=RunError):
    with pytest.raises(error), removed_if_empty(directory):
        raise error("it failed")


@pytest.mark.parametrize("error", [RunError, ValueError, KeyboardInterrupt])
def test_a_run_that_ends_in_an_error_before_it_holds_anything_leaves_nothing(directory, error):
    _fail(directory, error)
    assert not directory.exists()


def test_a_run_without_an_error_stays(directory):
    with removed_if_empty(directory):
        pass
    assert rundir.is_run(directory)


@pytest.mark.parametrize("held", ["metrics.jsonl", "checkpoints/000000000100/manifest.json", "notes.txt"])
def test_a_run_that_holds_something_stays(directory, held):
    (directory / held).parent.mkdir(parents=True, exist_ok=True)
    (directory / held).write_text("{}\n")
    _fail(directory)
    assert rundir.is_run(directory)
    assert (directory / held).exists()


def test_a_run_that_cannot_be_written_stays_because_its_message_says_how_to_resume_it(directory):
    _fail(directory, StorageError)
    assert rundir.is_run(directory)


def test_a_run_that_is_being_trained_stays(directory):
    with locked(directory):
        _fail(directory)
        assert rundir.is_run(directory)
