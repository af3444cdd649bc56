import itertools
import json
import re
import sys
import time
from importlib import metadata

import pytest
import yaml

from genoevo_runs import pools, worker
from genoevo_runs.errors import ConfigError, UserError
from genoevo_runs.lock import await_lock, locked
from genoevo_runs.pools import LocalPool
from genoevo_runs.sweep import FINISHED, SweepFile, plan, read_sweep
from genoevo_runs.user_code import allow


def _plan(kind, directory, **content):
    sweep = SweepFile.model_validate({"preset": "short", "seeds": 2, **content})
    return plan(kind, sweep, directory / "s.yaml", directory)


def _ended(pool, planned):
    """How each run ended: name/seed -> (event, text)."""
    events = [event for event in pool.run(planned) if event.event not in ("began", "steps")]
    return {f"{event.run.name}/{event.run.seed}": (event.event, event.text) for event in events}


def test_another_adapters_runs_are_swept_by_worker_processes(toy, tmp_path):
    planned = _plan(toy, tmp_path, grid={"scale": [1.0, 2.0]})
    events = list(LocalPool(2, ["the", "command"]).run(planned))
    assert [event.event for event in events].count("done") == 4
    assert {run.state for run in planned} == {"done"}
    totals = {(run.name, run.seed): json.loads((run.directory / FINISHED).read_text())["total"] for run in planned}
    assert totals["scale=2.0", 1] == 2 * totals["scale=1.0", 1] != 2 * totals["scale=1.0", 2]
    assert json.loads((planned[0].directory / "run.json").read_text())["command"] == ["the", "command"]


def test_steps_come_with_the_adapters_score(toy, tmp_path):
    (run,) = _plan(toy, tmp_path, seeds=1)
    (event,) = [event for event in LocalPool(1, ["test"]).run([run]) if event.event == "steps"]
    assert event.steps == 1
    assert isinstance(event.score, float)


def test_a_run_that_fails_leaves_the_others(toy, tmp_path):
    planned = _plan(toy, tmp_path, seeds=1, runs={"a": {"fail_at": 2}, "b": {}})
    ended = _ended(LocalPool(1, ["test"]), planned)
    assert ended == {"a/1": ("failed", "step 2 cannot be taken"), "b/1": ("done", "")}


def test_a_sweep_that_was_stopped_goes_on_to_the_same_end(toy, tmp_path):
    (whole,) = _plan(toy, tmp_path / "whole", seeds=1)
    assert _ended(LocalPool(1, ["test"]), [whole]) == {"run/1": ("done", "")}
    (run,) = _plan(toy, tmp_path / "stopped", seeds=1)
    training = toy.create(run.directory, run.config, [], lambda progress: training.stop())
    assert training.run() is False
    assert run.state == "begun"
    assert _ended(LocalPool(1, ["test"]), [run]) == {"run/1": ("done", "")}
    assert (run.directory / FINISHED).read_text() == (whole.directory / FINISHED).read_text()


def test_a_file_without_a_preset_means_the_adapters_default(toy, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"seeds": 1}))
    sweep = read_sweep(toy, path)
    assert sweep.preset == "short"
    assert plan(toy, sweep, path, tmp_path)[0].config.steps == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"settings": {"seed": 7}}, "settings: seed = 7"),
        ({"runs": {"a": {}, "b": {"seed": 7}}}, "runs.b: seed = 7"),
        ({"grid": {"seed": [1, 2]}}, "grid: seed = list of 2"),
        ({"scales": {"paper": {"settings": {"seed": 7}}}}, "scales.paper.settings: seed = 7"),
        ({"scales": {"paper": {"runs": {"a": {"seed": 7}}}}}, "scales.paper.runs.a: seed = 7"),
    ],
)
def test_a_seed_that_seeds_would_override_is_refused(toy, tmp_path, content, message):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        read_sweep(toy, path)
    assert str(caught.value).startswith(f"{path}: {message}: must be left out; the seeds of all runs are seeds")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"preset": "shrt"}, "run 'run': preset = 'shrt': must be one of short, long"),
        ({"grid": {"stps": [1]}}, "run 'stps=1': stps is not a setting .did you mean steps"),
        ({"settings": {"scale": 0.0}}, "run 'run': scale = 0.0: must not be 0"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(toy, tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        _plan(toy, tmp_path, **content)
    assert list(tmp_path.iterdir()) == []


def test_cores_are_shared_out_by_the_adapter_and_make_no_other_run(toy, tmp_path):
    (run,) = _plan(toy, tmp_path, seeds=1)
    toy.create(run.directory, run.config, [], print)
    assert run.on(2).config.compute.cores == 2
    assert run.on(2).state == "begun"
    (other,) = _plan(toy, tmp_path, seeds=1, settings={"scale": 3.0})
    with pytest.raises(UserError, match=r"scale is 1\.0 there, 3\.0 is asked for; choose another --dir"):
        _ = other.state


def test_workers_import_code_that_was_allowed_for_a_setting_of_the_adapter(toy, tmp_path, monkeypatch):
    (tmp_path / "numbers_of_mine.py").write_text("def draw(seed, step):\n    return 7.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    settings = {"source": "numbers_of_mine:draw"}
    with pytest.raises(UserError, match=r"s\.yaml names the source numbers_of_mine:draw, which is code"):
        _plan(toy, tmp_path / "runs", seeds=1, settings=settings)
    allow("source", "numbers_of_mine:draw")
    (run,) = _plan(toy, tmp_path / "runs", seeds=1, settings=settings)
    assert _ended(LocalPool(1, ["test"]), [run]) == {"run/1": ("done", "")}
    assert json.loads((run.directory / FINISHED).read_text()) == {"total": 21.0}


def test_a_worker_that_dies_in_the_middle_of_a_message_fails_its_run_alone(toy, tmp_path, monkeypatch):
    planned = _plan(toy, tmp_path, seeds=1, runs={"a": {}, "b": {}})
    dies = 'import sys; sys.stdin.readline(); sys.stdout.write(\'{"event": "st\'); sys.exit(9)'
    start, started = pools.subprocess.Popen, []

    def first_dies(command, **settings):
        started.append(command)
        return start([sys.executable, "-c", dies] if len(started) == 1 else command, **settings)

    monkeypatch.setattr(pools.subprocess, "Popen", first_dies)
    assert _ended(LocalPool(1, ["test"]), planned) == {
        "a/1": ("failed", "its process died (exit code 9)"),
        "b/1": ("done", ""),
    }


def _on_ray(planned, directory, patience=0.0):
    """Train a run as a node of a Ray cluster does."""
    (directory / "proof").touch()
    run = pools._as_json(planned, ["test"])
    return pools._ray_task(run, str(directory / pools.STOP), str(directory / "proof"), patience)


def _stopped_and_moved(toy, tmp_path):
    (run,) = _plan(toy, tmp_path, seeds=1)
    training = toy.create(run.directory, run.config, [], lambda progress: training.stop())
    training.run()
    (run.directory / "moved").touch()
    return run


def test_what_a_resumed_run_tells_is_an_event_of_it(toy, tmp_path):
    run = _stopped_and_moved(toy, tmp_path)
    events = [(event.event, event.text) for event in LocalPool(1, ["test"]).run([run])]
    assert [event for event in events if event[0] != "steps"] == [
        ("began", ""),
        ("told", "the run moves"),
        ("done", ""),
    ]


def test_what_a_run_tells_on_a_node_comes_with_its_last_event(toy, tmp_path):
    event = _on_ray(_stopped_and_moved(toy, tmp_path), tmp_path)
    assert (event["event"], event["text"]) == ("done", "the run moves")


def test_a_node_with_another_version_is_refused_in_one_line(toy, tmp_path, monkeypatch):
    (run,) = _plan(toy, tmp_path, seeds=1)
    as_json = pools._as_json
    monkeypatch.setattr(pools, "_as_json", lambda *given: as_json(*given) | {"versions": {"numpy": "1.0"}})
    event = _on_ray(run, tmp_path)
    assert event["event"] == "failed"
    here = metadata.version("numpy")
    message = rf"\S+ has numpy {re.escape(here)} instead of 1\.0: install the same version"
    assert re.fullmatch(message, event["text"])
    assert run.state == "new"


def test_a_run_whose_node_is_gone_saves_and_stops(toy, tmp_path, monkeypatch):
    (planned,) = _plan(toy, tmp_path, preset="long", seeds=1)
    monkeypatch.setattr(worker, "_INTERVAL", 0.0)
    parents = itertools.chain([7, 7, 7], itertools.repeat(1))
    monkeypatch.setattr(pools.os, "getppid", lambda: next(parents))
    event = _on_ray(planned, tmp_path)
    assert event["event"] == "stopped"
    assert 0 < event["steps"] < planned.config.steps
    assert json.loads((planned.directory / "state.json").read_text())["steps"] == event["steps"]


def test_a_resumed_run_waits_for_the_lock_of_the_node_that_was_lost(toy, tmp_path):
    (planned,) = _plan(toy, tmp_path, preset="short", seeds=1)
    planned.directory.mkdir(parents=True)
    (planned.directory / "run.json").write_text("{}")
    with locked(planned.directory):
        began = time.monotonic()
        await_lock(planned.directory, 1.5)
        assert time.monotonic() - began >= 1.5
    began = time.monotonic()
    await_lock(planned.directory, 60.0)
    assert time.monotonic() - began < 30
