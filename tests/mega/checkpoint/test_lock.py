import os
import platform
import time

import pytest

from genoevo.state import lock
from genoevo_mega.experiments import runs
from genoevo_runs.errors import RunError, StorageError, UserError
from genoevo_runs.lock import locked
from tests.mega.checkpoint.tiny import resumed_to


def test_the_lock_names_its_holder(run):
    message = rf"is being trained by process {os.getpid()} on {platform.node()} since 20\d\d-"
    with locked(run), pytest.raises(UserError, match=message):
        runs.resume(run).run(80)


@pytest.mark.parametrize("content", ["", "12345", "process 1 on a\x1b[2J since 2001", "\x00" * 50])
def test_a_lock_that_does_not_say_whose_it_is(run, content):
    with locked(run):
        (run / "lock").write_text(content)
        with pytest.raises(UserError, match="is being trained by another process"), locked(run):
            pass


def test_what_a_dead_process_left_in_the_lock_holds_nobody_up(run):
    (run / "lock").write_text("process 1 on elsewhere since 2001-01-01T00:00:00+00:00")
    with locked(run):
        pass
    assert not (run / "lock").exists()


def test_a_link_in_place_of_the_lock_is_refused_and_what_it_leads_to_is_left_alone(run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    (run / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(StorageError, match="lock cannot be written"), locked(run):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_file_system_without_locks_is_named(run, monkeypatch):
    import fcntl

    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="cannot be locked: Operation not supported; keep the run on"), locked(run):
        pass


def test_a_run_that_another_process_has_trained_in_the_meantime_is_not_spoilt(run):
    stale = runs.resume(run)
    resumed_to(run, 70)
    with pytest.raises(UserError, match="was written by another process"):
        stale.run(80)
    assert runs.info(run)["steps"] == 70


def test_a_run_that_another_machine_has_taken_stops_and_writes_no_checkpoint(run, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    before = {*(run / "checkpoints").iterdir()}

    def take(status):
        (run / "lock").write_text("process 7 on elsewhere since 2026-01-01T00:00:00+00:00 (machine 0123abcd, beat 1)")
        time.sleep(0.2)

    with pytest.raises(RunError, match=r"trained by process 7 on elsewhere.*, which has taken it"):
        runs.resume(run, take).run(200)
    assert {*(run / "checkpoints").iterdir()} == before
    assert "elsewhere" in (run / "lock").read_text()


def test_a_run_that_was_suspended_and_taken_in_a_step_appends_no_record_of_its_round(run, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    trainer, taken = runs.resume(run), []
    step = trainer._vector_step

    def suspended():
        step()
        if trainer.state.evolver.due and not taken:
            taken.append((run / "metrics.jsonl").read_bytes())
            (run / "lock").write_text(
                "process 7 on elsewhere since 2026-01-01T00:00:00+00:00 (machine 0123abcd, beat 1)"
            )
            time.sleep(0.2)

    monkeypatch.setattr(trainer, "_vector_step", suspended)
    with pytest.raises(RunError, match=r"trained by process 7 on elsewhere.*, which has taken it"):
        trainer.run(200)
    assert taken == [(run / "metrics.jsonl").read_bytes()]
