import os
import signal
import subprocess
import sys
import time

import pytest

from genoevo_mega.experiments import runs
from genoevo_runs import pools
from genoevo_runs.errors import StorageError, UserError
from genoevo_runs.pools import LocalPool, RayPool
from genoevo_runs.sweep import FINISHED
from genoevo_runs.user_code import allow
from tests.mega.sweeps import TINY, plan_sweep, train_run, write_sweep


def test_workers_take_one_run_after_the_other_and_one_that_fails_leaves_the_others(tmp_path):
    planned = plan_sweep(tmp_path, settings={**TINY["settings"], "steps": 40}, runs={"a": {}})
    planned[1].directory.mkdir(parents=True)
    (planned[1].directory / "run.json").write_text("{}")
    events = [(progress.run.seed, progress.event) for progress in LocalPool(1, ["test"]).run(planned)]
    ended = [event for event in events if event[1] != "steps"]
    assert ended == [(1, "began"), (1, "done"), (2, "began"), (2, "failed"), (3, "began"), (3, "done")]


def test_workers_find_a_suite_in_the_working_directory_after_all_that_is_installed(tmp_path, monkeypatch):
    made = "from genoevo_mega.envs.synthetic import SyntheticSuite\n\n"
    made += "def make(seed, goals):\n    return SyntheticSuite(('point', 'car'), seed, goals)\n"
    (tmp_path / "suite_of_mine.py").write_text(made)
    for name in ("yaml", "pydantic", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the working directory goes first')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("GENOEVO_ALLOW_SUITE", "")
    allow("suite", "suite_of_mine:make")
    settings = {**TINY["settings"], "suite": "suite_of_mine:make", "steps": 40}
    planned = plan_sweep(tmp_path / "runs", settings=settings, seeds=1)
    ended = [(progress.event, progress.text) for progress in LocalPool(1, ["test"]).run(planned)][-1]
    sys.modules.pop("suite_of_mine")
    assert ended == ("done", "")


# Answers each run with two lines at once; whoever waits for it after that waits 20 seconds at most.
TWO_LINES = """#!{python} -IS
import os, signal, sys
while sys.stdin.readline():
    signal.alarm(20)
    os.write(1, b'{{"event": "steps", "steps": 1}}\\n{{"event": "done", "steps": 2}}\\n')
"""


@pytest.fixture
def quick_worker(tmp_path, monkeypatch):
    """Stands in for the interpreter that workers are started with."""
    script = tmp_path / "worker"
    script.write_text(TWO_LINES.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_two_lines_that_arrive_together_are_both_heard_at_once(tmp_path, quick_worker):
    events = [progress.event for progress in LocalPool(1, ["test"]).run(plan_sweep(tmp_path, seeds=2))]
    assert events == ["began", "steps", "done"] * 2


def test_an_error_while_workers_are_started_ends_those_that_there_are(tmp_path, quick_worker, monkeypatch):
    start, started = pools._start, []

    def once():
        if started:
            raise OSError("no more processes")
        started.append(start())
        return started[0]

    monkeypatch.setattr(pools, "_start", once)
    with pytest.raises(OSError, match="no more processes"):
        list(LocalPool(2, ["test"]).run(plan_sweep(tmp_path, seeds=2)))
    assert started[0].poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    "error", [StorageError("the disk is full"), OSError("the disk is full"), UserError("the disk is full")]
)
def test_what_a_run_fails_with_is_its_outcome(tmp_path, monkeypatch, error):
    def fail(trainer, steps):
        raise error

    monkeypatch.setattr(runs.Trainer, "run", fail)
    run = plan_sweep(tmp_path, seeds=1)[0]
    assert train_run(run) == {"event": "failed", "steps": 0, "text": "the disk is full"}


def test_a_stop_while_a_worker_is_still_starting_is_no_failure(tmp_path):
    pool, events = LocalPool(1, ["test"]), []
    for progress in pool.run(plan_sweep(tmp_path, runs={"a": {}})):
        events.append((progress.run.seed, progress.event))
        pool.stop_requested = True
    assert events == [(1, "began"), (1, "stopped")]


@pytest.mark.slow
def test_a_worker_that_is_killed_fails_its_run_and_another_takes_the_next(tmp_path):
    planned = plan_sweep(tmp_path, seeds=2, settings={**TINY["settings"], "steps": 2000}, runs={"a": {}})
    killed, events = False, []
    for progress in LocalPool(1, ["test"]).run(planned):
        events.append((progress.run.seed, progress.event, progress.text))
        if progress.event == "steps" and not killed:
            killed = True
            _, pid, *_ = (progress.run.directory / "lock").read_text().split()
            os.kill(int(pid), signal.SIGKILL)
    ended = [event for event in events if event[1] in ("failed", "done")]
    assert ended == [(1, "failed", "its process died (exit code -9)"), (2, "done", "")]


@pytest.mark.slow
def test_ctrl_c_saves_every_run_and_the_same_command_goes_on(tmp_path):
    settings = {**TINY["settings"], "steps": 4000}
    patience = 900  # for a machine that does much else; what is waited for takes half a minute
    path = write_sweep(tmp_path / "s.yaml", preset="smoke", settings=settings, seeds=2)
    command = [sys.executable, "-m", "genoevo_cli", "mega", "sweep", str(path), "--dir", str(tmp_path / "runs")]
    first = subprocess.Popen([*command, "--processes", "2"], stderr=subprocess.PIPE, text=True)
    metrics = [tmp_path / "runs" / "run" / str(seed) / "metrics.jsonl" for seed in (1, 2)]
    deadline = time.monotonic() + patience
    while not all(path.exists() and path.stat().st_size for path in metrics) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=patience)
    assert first.returncode == 0
    assert "all runs are saved. Resume with: genoevo mega sweep" in told
    assert all(0 < runs.info(path.parent)["steps"] < 4000 for path in metrics)
    again = subprocess.run([*command, "--processes", "2"], capture_output=True, text=True, timeout=patience)
    assert again.returncode == 0, again.stderr
    assert all((path.parent / FINISHED).exists() for path in metrics)


@pytest.mark.ray
def test_ray_trains_the_same_runs_and_tells_of_one_that_fails(three_nodes, swept, tmp_path):
    import ray

    planned = plan_sweep(tmp_path, grid={"genotypes.start_stage": [1]})
    planned[2].directory.mkdir(parents=True)
    (planned[2].directory / "run.json").write_text("{}")
    events = {progress.run.seed: progress.event for progress in RayPool(tmp_path, 1, ["test"]).run(planned)}
    assert events == {1: "done", 2: "done", 3: "failed"}
    here = {run.seed: runs.info(run.directory)["digest"] for run in swept[1] if run.name == "start_stage=1"}
    assert {run.seed: runs.info(run.directory)["digest"] for run in planned[:2]} == {1: here[1], 2: here[2]}
    assert [run.state for run in planned[:2]] == ["done"] * 2
    assert ray.is_initialized()  # whoever had started it goes on with it


@pytest.mark.ray
def test_a_stop_reaches_runs_on_ray_and_they_can_be_gone_on_with(three_nodes, swept, tmp_path):
    planned = plan_sweep(tmp_path, seeds=1, grid={"genotypes.start_stage": [1]})
    pool = RayPool(tmp_path, 1, ["test"])
    pool.stop_requested = True
    assert [progress.event for progress in pool.run(planned)] == ["stopped"]
    assert not (tmp_path / pools.STOP).exists()
    assert [progress.event for progress in RayPool(tmp_path, 1, ["test"]).run(planned)] == ["done"]
    assert runs.info(planned[0].directory)["digest"] == runs.info(swept[1][0].directory)["digest"]


def test_a_sweep_on_ray_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--ray needs ray: pip install 'genoevo\[ray\]'"):
        RayPool(tmp_path, 1, ["test"])


def test_a_ray_that_does_not_start_is_told_in_one_line(tmp_path, monkeypatch):
    class Stub:
        is_initialized = staticmethod(lambda: False)

        @staticmethod
        def init(**settings):
            raise RuntimeError("the node timed out during startup")

    monkeypatch.setitem(sys.modules, "ray", Stub)
    with pytest.raises(UserError, match=r"--ray: Ray does not start: the node timed out during startup"):
        list(RayPool(tmp_path, 1, ["test"]).run([]))
