"""What is noticed about a suite of one's own before a run begins."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.episodes import Episodes
from genoevo_mega.experiments import runs
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError

SUITE = """
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Suite:
    kind: str
    goals: int
    names: tuple[str, ...] = ("good", "odd")
    observation_size: int = 3
    action_size: int = 1
    costs: tuple[float, ...] = (1.0, 1.0)

    def make(self, task):
        if self.kind == "late" and Path("run/config.yaml").exists():
            raise RuntimeError("no licence is left")
        return Env(self.kind if task else "good")


class Env:
    def __init__(self, kind):
        self.kind, self.built, self.resets, self.rng = kind, os.getpid(), 0, np.random.default_rng()

    def reset(self, goal, *, evaluation):
        self.steps, self.resets, self.goal = 0, self.resets + 1, goal
        if self.kind == "reset":
            return self._see(), {}
        if self.kind == "evaluation" and evaluation:
            raise KeyError("evaluation goals")
        return self._see()

    def _see(self):
        odd = {"process": self.built, "history": self.resets, "random": self.rng.normal()}.get(self.kind, 0)
        return np.array([self.goal, self.steps, odd], float)

    def step(self, action):
        self.steps += 1
        if self.kind == "step":
            return self._see(), 0.0, False, {}
        if self.kind == "death":
            os._exit(3)
        if self.kind == "hanging":
            time.sleep(100)
        reward = self.rng.normal() if self.kind == "reward" and self.steps == 9 else float(action[0])
        return self._see(), reward, False, self.kind == "truncated" and self.steps >= 8


def _make(kind):
    return lambda seed, goals: Suite(kind, goals)


for kind in ("good", "reset", "evaluation", "step", "death", "hanging", "late", "process", "history", "random"):
    globals()[kind] = _make(kind)
reward, truncated = _make("reward"), _make("truncated")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "odd_suite.py").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    yield tmp_path
    sys.modules.pop("odd_suite", None)


def _create(kind, tell=print, **settings):
    config = build_config(preset("smoke"), {"suite": f"odd_suite:{kind}", "evaluation": {"at_end": False}}, settings)
    return runs.create(Path("run"), config, [], lambda status: None, tell)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("reset", r"odd: reset\(\) returned the observation tuple of 2 .*expected numbers of shape \(3,\)"),
        ("step", r"odd: step\(\) returned success = dict; expected True or False"),
        ("evaluation", r"odd: reset\(\): KeyError: 'evaluation goals' \(odd_suite\.py, line \d+\)"),
        ("death", r"odd: step\(\): died \(exit code 3\)"),
        ("hanging", r"odd: step\(\): did not answer within 2 s"),
    ],
)
def test_what_does_not_work_is_named_before_anything_is_written(place, kind, message):
    settings = {"faults": {"worker_timeout": 2}} if kind == "hanging" else {}
    with pytest.raises(ConfigError, match=rf"suite = 'odd_suite:{kind}': (good, )?{message}") as caught:
        _create(kind, **settings)
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


@pytest.mark.parametrize("kind", ["process", "history", "random", "reward"])
def test_a_task_that_is_not_deterministic_is_told_and_noted(place, kind):
    lines = []
    _create(kind, lines.append)
    [line] = lines
    assert line.startswith("odd is not deterministic: the same goal and actions gave another episode.")
    noted = json.loads(Path("run/run.json").read_text())["nondeterministic"]
    assert noted == {"odd": 9 if kind == "reward" else 0}


def test_it_is_told_again_when_the_run_is_resumed(place):
    _create("random").run(60)
    lines = []
    user_code.allow("suite", "odd_suite:random")
    runs.resume(Path("run"), tell=lines.append)
    assert [line.partition(":")[0] for line in lines] == ["odd is not deterministic"]


def test_nothing_is_told_of_a_suite_that_repeats_itself(place):
    lines = []
    _create("good", lines.append)
    assert lines == []
    assert "nondeterministic" not in json.loads(Path("run/run.json").read_text())


def test_a_time_limit_in_the_place_of_success_is_told(place):
    lines = []
    _create("truncated", lines.append)
    [line] = lines
    assert line.startswith("odd succeeded after 8 steps in three episodes with different goals and actions.")


def test_success_that_comes_with_the_clock_is_told_wherever_success_is_shown(place, capsys):
    made = _genoevo(
        "train", "--preset", "smoke", "--suite", "odd_suite:truncated", "--run-dir", "run", "--steps", 100
    )
    assert made == 0
    assert json.loads(Path("run/run.json").read_text())["timed"] == {"odd": 8}
    assert capsys.readouterr().err.count("odd succeeded after 8 steps") == 2  # at the start, and with the evaluation
    assert _genoevo("info", "run") == 0
    line = "Warning: odd succeeded after 8 steps in three episodes"
    assert line in " ".join(capsys.readouterr().err.split())
    assert _genoevo("info", "run", "--json") == 0
    [told] = json.loads(capsys.readouterr().out)["warnings"]
    assert told.startswith("odd succeeded after 8 steps")
    assert _genoevo("report", "run", "--out", "page.html") == 0
    assert "run: odd succeeded after 8 steps" in Path("page.html").read_text()
    lines = []
    runs.resume(Path("run"), tell=lines.append)
    assert lines == [told]


def test_suites_of_this_package_are_not_played(tmp_path, monkeypatch):
    monkeypatch.setattr("genoevo_mega.envs.probe._play", lambda *given: pytest.fail("it was played"))
    config = build_config(preset("smoke"), {"suite": "point,car"})
    runs.create(tmp_path / "run", config, [], lambda status: None)


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


def test_a_wrong_suite_is_a_mistake_of_usage(place, capsys):
    assert _genoevo("train", "--preset", "smoke", "--suite", "odd_suite:step", "--run-dir", "run") == 2
    assert capsys.readouterr().err.startswith(
        "genoevo: suite = 'odd_suite:step': odd: step() returned success = dict"
    )
    assert not Path("run").exists()


def test_a_directory_that_was_begun_for_nothing_is_removed(place, capsys):
    train = ("train", "--preset", "smoke", "--suite", "odd_suite:late", "--run-dir", "run")
    assert _genoevo(*train) == 1
    said = capsys.readouterr().err
    assert "cannot be built: RuntimeError: no licence is left" in said
    assert "there is no checkpoint yet" in said
    assert "resume" not in said
    assert not Path("run").exists()


class Replaying:
    """A pool of two tasks; the rewards of the second are drawn anew in every episode."""

    def __init__(self):
        self.lost = np.zeros(2, bool)
        self.rng = np.random.default_rng(1)

    def drop(self):
        pass

    def reset(self, goals, chosen):
        return np.zeros((2, 1), np.float32)

    def step(self, actions, active=None):
        from genoevo_mega.envs.transition import Transition

        rewards, none = np.array([1, self.rng.normal()], np.float32), np.zeros(2, bool)
        return Transition(np.zeros((2, 1), np.float32), rewards, none, none, none)


def test_an_episode_that_is_another_when_it_is_played_again_is_noticed_once():
    pool = Replaying()
    episodes = Episodes(2, 9, 1, 4, np.random.default_rng(0))
    episodes.restore(pool)
    for _ in range(3):
        actions = np.zeros((2, 1), np.float32)
        episodes.advance(actions, pool.step(actions))
    assert episodes.take_diverged().tolist() == []
    episodes.restore(pool)
    assert episodes.take_diverged().tolist() == [1]
    episodes.restore(pool)
    assert episodes.take_diverged().tolist() == []
