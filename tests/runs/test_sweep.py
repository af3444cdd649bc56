import json
import sys

import pytest
import yaml

from genoevo_runs import pools
from genoevo_runs.errors import ConfigError, UserError
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
