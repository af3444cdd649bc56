"""Locks on a file system that machines share, and that may lock within one machine alone."""

import subprocess
import sys
import time

import pytest

from genoevo.checkpoint import Checkpoint, InUseError
from genoevo.state import lock
from genoevo.state.lock import held

OTHER = "process 7 on elsewhere since 2026-01-01T00:00:00+00:00 (machine 0123abcd, beat {})"
HOLDER = """
import sys, time
from pathlib import Path
from genoevo.state import lock
lock.BEAT, lock.machine, lock.fcntl = 0.05, lambda: "0123abcd", None  # another machine, whose locks are its own
with lock.held(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setattr(lock, "LEASE", 1.0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.lock"


@pytest.fixture
def elsewhere(file):
    """A process that holds the file as one of another machine would, without a lock that this kernel knows of."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_living_holder_on_another_machine_is_respected(file, elsewhere):
    lines = []
    with (
        pytest.raises(InUseError, match=rf"x is in use by process {elsewhere.pid} on [\w.-]+ since"),
        held(file, "x is in use", lines.append),
    ):
        pass
    assert "waiting 1 s, whether it still runs" in lines[0]
    assert elsewhere.poll() is None
    assert file.exists()


def test_a_dead_holder_on_another_machine_holds_up_for_a_lease(file, elsewhere):
    elsewhere.kill()
    elsewhere.wait()
    began = time.monotonic()
    with held(file, "x is in use"):
        assert time.monotonic() - began >= 1
    assert not file.exists()


def test_a_dead_holder_on_this_machine_holds_nobody_up(file):
    file.write_text(OTHER.format(3).replace("0123abcd", lock.machine()))
    began = time.monotonic()
    with held(file, "x is in use"):
        assert time.monotonic() - began < 1


def test_a_holder_keeps_writing(file):
    with held(file, "x is in use") as mine:
        first = file.read_text()
        time.sleep(0.3)
        assert file.read_text() != first
        mine.check()


@pytest.mark.parametrize("taken", [OTHER.format(1), "nonsense", None])
def test_a_holder_that_was_cut_off_notices_and_leaves_the_file_alone(file, taken):
    with held(file, "x is in use") as mine:
        if taken is None:
            file.unlink()
        else:
            file.write_text(taken)
        time.sleep(0.3)
        by = "process 7 on elsewhere" if taken and "elsewhere" in taken else "another process"
        with pytest.raises(InUseError, match=f"x is in use by {by}.*, which has taken it from this process"):
            mine.check()
    assert (file.read_text() if file.exists() else None) == taken


def test_a_suspended_holder_looks_before_it_goes_on(file, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 60)  # its thread has not run yet
    with held(file, "x is in use") as mine:
        file.write_text(OTHER.format(1))
        mine.check()  # nothing was missed yet
        time.sleep(1.1)
        with pytest.raises(InUseError, match="process 7 on elsewhere"):
            mine.check()


def test_a_search_that_lost_its_file_does_not_save(tmp_path):
    class Search:
        def state_dict(self):
            return {"a": 1}

    with Checkpoint(tmp_path / "s.npz") as checkpoint:
        checkpoint.save(Search())
        before = (tmp_path / "s.npz").read_bytes()
        (tmp_path / "s.npz.lock").write_text(OTHER.format(1))
        time.sleep(0.3)
        with pytest.raises(InUseError, match="which has taken it from this process"):
            checkpoint.save(Search())
    assert (tmp_path / "s.npz").read_bytes() == before
