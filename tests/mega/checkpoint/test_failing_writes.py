import os
import subprocess
import sys

import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_runs import metrics
from genoevo_runs.errors import StorageError
from tests.mega.checkpoint.tiny import TINY, names, resumed_to


def test_a_failed_write_stops_the_run_at_once_and_says_how_to_go_on(tmp_path, monkeypatch):
    before = {}

    def full(path):
        if "000000000030" in str(path):
            before.update(dict.fromkeys(names(tmp_path / "run")))
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("genoevo_runs.checkpoint_store.files.sha256", lambda path: full(path) or "0" * 64)
    config = build_config(preset("smoke"), TINY)
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    with pytest.raises(
        StorageError, match=r"cannot be written: No space left on device; .* genoevo mega resume"
    ) as stop:
        trainer.run(60)
    assert "\n" not in str(stop.value)
    assert trainer.state.steps <= 40  # seen after the step under way, at the latest by the next checkpoint
    assert names(tmp_path / "run") == list(before) == ["000000000020", "000000000010"]


LIMITED = """
import resource, sys
from genoevo_cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv[1:] = sys.argv[2:]
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_one_line_and_exit_code_1_and_the_run_goes_on_when_it_is_mended(run, finished):
    # The replay's segment is the first file to be larger than that.
    command = [sys.executable, "-c", LIMITED, "30000", "mega", "resume", str(run), "--steps", "100"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert "File too large" in line
    assert f"genoevo mega resume {run}" in line
    assert "Traceback" not in result.stderr
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert resumed_to(run, 80)[0].state.steps == 80
    assert verify(run)["sound"]


def test_a_directory_that_cannot_be_written_is_named_in_one_line_and_left_as_it_was(run):
    before = runs.info(run)["digest"]
    command = [sys.executable, "-m", "genoevo_cli", "mega", "resume", str(run), "--steps", "80"]
    if os.geteuid() == 0:  # to whom no directory is read-only, unless it gives up the right
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    places = [run, *(path for path in run.rglob("*") if path.is_dir())]
    for path in places:
        path.chmod(0o555)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        for path in places:
            path.chmod(0o755)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert runs.info(run)["digest"] == before


def test_metrics_that_cannot_be_written_stop_the_run(run, monkeypatch):
    def full(file, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "_append", full)
    with pytest.raises(StorageError, match="metrics cannot be written: No space left"):
        runs.resume(run).run(100)
