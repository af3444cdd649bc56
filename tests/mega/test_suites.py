import json
import subprocess
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs import custom
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError, UserError

SUITE = """
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    seed: int
    goals: int
    names: tuple[str, ...] = ("left", "right")
    observation_size: int = 2
    action_size: int = 1
    costs: tuple[float, ...] = (1.0, 1.0)
    action_dimensions: tuple[int, ...] | None = None

    def make(self, task):
        return Walk(-1 if task == 0 else 1)


class Walk:
    # Ends where it arrives: left sooner than right, so that episodes of the two do not end together.
    def __init__(self, side):
        self.side = side

    def reset(self, goal, *, evaluation):
        self.place, self.goal = 0.0, self.side * (1 + goal % 3) * (1 if self.side < 0 else 2)
        return np.array([self.place, self.goal])

    def step(self, action):
        self.place += float(action[0])
        arrived = abs(self.place - self.goal) < 0.5
        return np.array([self.place, self.goal]), -abs(self.place - self.goal), arrived, arrived


def make(seed, goals):
    return Line(seed, goals)


nothing = 3


def failing(seed, goals):
    raise RuntimeError("no such\\nsimulator")


def wrong(seed, goals):
    return object()


def local(seed, goals):
    class Here(Line):
        pass

    return Here(seed, goals)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A directory with the package mine, on the path."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "walks.py").write_text(SUITE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    yield tmp_path
    for name in ("mine", "mine.walks"):
        sys.modules.pop(name, None)


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


def test_a_suite_in_the_working_directory_trains_resumes_and_is_evaluated(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "walks.py").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    name = "mine.walks:make"
    settings = ["--preset", "smoke", "--set", "evaluation.at_end=false", "--suite", name]
    assert _genoevo("train", *settings, "--run-dir", "run", "--steps", 60) == 0

    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    capsys.readouterr()
    assert _genoevo("resume", "run", "--steps", 80) == 2
    refused = capsys.readouterr().err
    assert "which is code; if you trust it, say so with --suite mine.walks:make" in refused
    assert refused.count("\n") == 1
    assert _genoevo("resume", "run", "--steps", 80, "--suite", name) == 0
    assert _genoevo("evaluate", "run", "--episodes", 1, "--json") == 0
    assert '"left"' in capsys.readouterr().out
    sys.modules.pop("mine.walks"), sys.modules.pop("mine")


@pytest.fixture
def own_run(tmp_path, monkeypatch):
    """A run of a suite in the working directory, which nobody has allowed since."""
    (tmp_path / "walks_here.py").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    user_code.allow("suite", "walks_here:make")
    config = build_config(preset("smoke"), {"suite": "walks_here:make", "evaluation": {"at_end": False}})
    runs.create(tmp_path / "own run", config, [], print).run(200)
    sys.path.remove(str(tmp_path))
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    del sys.modules["walks_here"]
    yield tmp_path / "own run"
    sys.modules.pop("walks_here", None)


def test_a_suite_allowed_by_variable_is_found_in_the_working_directory(own_run, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["suite"], "walks_here:make")
    assert _genoevo("evaluate", own_run, "--episodes", 1) == 0


def test_verify_calls_a_missing_permission_no_damage(own_run, capsys):
    assert _genoevo("verify", own_run) == 2
    assert "names the suite walks_here:make, which is code" in capsys.readouterr().err
    assert _genoevo("verify", own_run, "--suite", "walks_here:make") == 0


@pytest.mark.parametrize("allowed", [(), ("--suite", "walks_here:make")])
@pytest.mark.parametrize("command", ["report", "info", "compare"])
def test_a_command_that_imports_no_suite_needs_no_permission_and_takes_it(own_run, command, allowed):
    assert _genoevo(command, own_run, *allowed) == 0
    assert "walks_here" not in sys.modules


def test_the_command_to_resume_allows_the_suite_and_is_quoted_for_a_shell(own_run, capsys):
    assert _genoevo("resume", own_run, "--steps", 210, "--suite", "walks_here:make") == 0
    assert f"genoevo mega resume '{own_run}' --suite walks_here:make --steps 420" in capsys.readouterr().err


def test_a_run_can_be_looked_at_without_importing_its_suite(package):
    config = build_config(preset("smoke"), {"suite": "mine.walks:make", "evaluation": {"at_end": False}})
    runs.create(package / "run", config, [], print).run(100)
    for name in ("mine", "mine.walks"):
        sys.modules.pop(name)
    assert set(runs.info(package / "run")["tasks"]) == {"left", "right"}
    assert "mine" not in sys.modules
    with pytest.raises(UserError, match=r"names the suite mine\.walks:make, which is code"):
        runs.resume(package / "run")
    assert "mine" not in sys.modules


def test_no_code_is_run_that_lies_in_the_run_directory(package, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["suite"], "mine.walks:make")
    user_code.check_allowed({"suite": "mine.walks:make", "architecture": "mega"}, package / "elsewhere")
    with pytest.raises(UserError, match=r"mine lies in .*"):
        user_code.check_allowed({"suite": "mine.walks:make", "architecture": "mega"}, package)


def test_other_suites_need_no_permission(tmp_path, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["suite"], "")
    for name in ("mt10", "reach-v3,push-v3", "gymnasium:Pendulum-v1"):
        user_code.check_allowed({"suite": name, "architecture": "mega"}, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.walk:make", r"importing mine\.walk failed: ModuleNotFoundError"),
        ("mine.walks:mak", r"mine\.walks has no mak"),
        ("mine.walks:nothing", r"holds no callable under the name nothing"),
        ("mine.walks:failing", r"failed: RuntimeError: no such simulator"),
        ("mine.walks:wrong", r"the returned object must have names, a tuple of distinct strings, got None"),
        ("mine.walks:local", r"must be picklable, for worker processes"),
        ("mine/walks.py:make", r"must be gymnasium:ID,ID or package\.module:callable"),
    ],
)
def test_what_is_wrong_with_a_suite_is_said_in_one_line(package, name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_suite(build_config(preset("smoke"), {"suite": name}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("a", "a")}, "names, a tuple of distinct strings, got"),
        ({"names": "ab"}, "names, a tuple of distinct strings, got 'ab'"),
        ({"observation_size": 0}, "observation_size, a whole number above 0, got 0"),
        ({"action_size": 1.5}, "action_size, a whole number above 0, got 1.5"),
        ({"goals": None}, "goals, a whole number above 0, got None"),
        ({"costs": (1.0,)}, r"costs, a number above 0 for each of its 2 tasks, got \(1\.0,\)"),
        ({"costs": (1.0, float("nan"))}, r"costs, a number above 0 for each of its 2 tasks, got \(1\.0, nan\)"),
        ({"costs": (1.0, float("inf"))}, r"costs, a number above 0 for each of its 2 tasks, got \(1\.0, inf\)"),
        ({"costs": (1.0, True)}, r"costs, a number above 0 for each of its 2 tasks, got \(1\.0, True\)"),
        ({"action_dimensions": (1,)}, r"action_dimensions, from 1 to 1 for each of its 2 tasks, or none, got \(1,\)"),
        ({"action_dimensions": (1, 2)}, r"action_dimensions, from 1 to 1 for each of its 2 tasks, .* got \(1, 2\)"),
        ({"action_dimensions": (1, True)}, r"action_dimensions, from 1 to 1 .* got \(1, True\)"),
    ],
)
def test_what_a_suite_lacks_is_named(package, monkeypatch, change, message):
    from mine import walks

    monkeypatch.setattr(walks, "make", lambda seed, goals: walks.Line(seed, goals, **change), raising=True)
    if "goals" in change:
        monkeypatch.setattr(walks, "make", lambda seed, goals: walks.Line(seed, None))
    with pytest.raises(ConfigError, match=message):
        custom.make_other("mine.walks:make", 1, 5)


def test_a_suite_whose_own_property_raises_is_told_in_one_line(package, monkeypatch):
    from mine import walks

    class Broken(walks.Line):
        @property
        def names(self):
            raise RuntimeError("no names\nhere")

    monkeypatch.setattr(walks, "make", lambda seed, goals: object.__new__(Broken))
    with pytest.raises(ConfigError, match=r"mine\.walks:make'.* failed: RuntimeError: no names here"):
        custom.make_other("mine.walks:make", 1, 5)


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("475", r"reward_threshold of Odd-v0 must be a number, got '475' \(str\)"),
        (True, r"reward_threshold of Odd-v0 must be a number, got True \(bool\)"),
        (float("nan"), r"reward_threshold of Odd-v0 must be finite, got nan"),
        (float("inf"), r"reward_threshold of Odd-v0 must be finite, got inf"),
    ],
)
def test_a_reward_threshold_of_gymnasium_is_checked_and_not_cast(monkeypatch, threshold, message):
    monkeypatch.setattr(gymnasium, "registry", dict(gymnasium.registry))
    monkeypatch.setattr("gymnasium.envs.registration.registry", gymnasium.registry)
    pendulum = "gymnasium.envs.classic_control:PendulumEnv"
    gymnasium.register("Odd-v0", pendulum, reward_threshold=threshold)
    with pytest.raises(ConfigError, match=message):
        custom.make_other("gymnasium:Odd-v0", 1, 5)


@pytest.mark.parametrize(
    ("missing", "message"),
    [("observation", "expected a Box of observations"), ("action", "expected a Box of actions")],
)
def test_an_environment_of_gymnasium_without_a_space_is_named(monkeypatch, missing, message):
    real = gymnasium.make("Pendulum-v1").unwrapped
    bare = SimpleNamespace(observation_space=real.observation_space, action_space=real.action_space)
    delattr(bare, f"{missing}_space")
    monkeypatch.setattr(gymnasium, "make", lambda name, **options: bare)
    with pytest.raises(ConfigError, match=rf"{message} in Pendulum-v1, got NoneType"):
        custom.make_other("gymnasium:Pendulum-v1", 1, 5)


def test_metaworlds_episodes_end_at_500_steps_and_others_need_not(monkeypatch):
    longer = {"environment": {"episode_length": 501}}
    with pytest.raises(ConfigError, match=r"environment\.episode_length = 501: must be at most 500"):
        make_suite(build_config(preset("smoke"), longer))
    assert make_suite(build_config(preset("smoke"), longer, {"suite": "gymnasium:Pendulum-v1"})).action_size == 1


def test_a_run_whose_tasks_end_apart_resumes_as_if_it_had_not_stopped(package, monkeypatch):
    monkeypatch.setenv(user_code.ALLOWED["suite"], "mine.walks:make")
    config = build_config(preset("smoke"), {"suite": "mine.walks:make", "evaluation": {"at_end": False}})
    whole, parts = (runs.create(package / name, config, [], print) for name in ("whole", "parts"))
    whole.run(300)
    parts.run(152)
    assert not np.array_equal(parts.state.episodes.taken, [0, 0])
    runs.resume(package / "parts").run(300)
    assert runs.info(package / "whole")["digest"] == runs.info(package / "parts")["digest"]
    assert whole.state.evolver.community.rounds > 1


def test_what_a_suite_prints_does_not_come_between_json(own_run):
    module = own_run.parent / "walks_here.py"
    text = module.read_text().replace("return Walk(", "return print('built') or Walk(")
    module.write_text(f"print('a greeting')\n{text}")
    command = [sys.executable, "-m", "genoevo_cli", "mega", "evaluate", str(own_run), "--episodes", "1", "--json"]
    ended = subprocess.run([*command, "--suite", "walks_here:make"], capture_output=True, text=True, check=True)
    assert set(json.loads(ended.stdout)["tasks"]) == {"left", "right"}
    assert "a greeting" in ended.stderr
    assert "built" in ended.stderr
