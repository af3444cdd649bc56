import numpy as np
import pytest

from genoevo_mega.envs import checked
from genoevo_mega.envs.checked import WrongValueError
from genoevo_mega.envs.gymnasium import GymnasiumTask
from genoevo_mega.envs.metaworld import MetaWorldTask

GOOD = np.zeros(3), -1.0, False, False


class Given:
    """An environment that returns what it is given."""

    def __init__(self, value):
        self.value = value

    def reset(self, goal, *, evaluation):
        return self.value

    def step(self, action):
        return self.value

    def render(self):
        return self.value


def _step(value):
    return checked.step(Given(value), np.zeros(1, np.float32), 3)


def _with(place, value):
    return tuple(value if i == place else good for i, good in enumerate(GOOD))


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        [[1, 2, 3], 5, np.True_, True],
        (np.zeros(3, np.float32), np.float32(0.5), True, np.False_),
        (np.array([True, False, True]), np.int64(3), False, False),
    ],
)
def test_numbers_and_flags_of_python_and_numpy_are_taken_as_they_are(value):
    observation, *rest = _step(value)
    assert observation.tolist() == list(value[0])
    assert all(mine is theirs for mine, theirs in zip(rest, value[1:], strict=True))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (3, {"success": 0.0}, r"success = dict; expected True or False \(that looks like the info of gym's step"),
        (3, float("nan"), r"success = nan \(float\); expected True or False"),
        (3, "no", r"success = 'no' \(str\)"),
        (3, 1.0, r"success = 1\.0 \(float\)"),
        (3, None, r"success = None \(NoneType\)"),
        (3, np.array([True]), r"success = bool array of shape \(1,\)"),
        (2, 0, r"terminated = 0 \(int\); expected True or False"),
        (1, np.array([-1.0]), r"reward = float64 array of shape \(1,\); expected a number"),
        (1, "2", r"reward = '2' \(str\)"),
        (1, True, r"reward = True \(bool\)"),
        (1, None, r"reward = None"),
        (0, 0.5, r"the observation 0\.5 \(float\); expected numbers of shape \(3,\)"),
        (0, np.zeros(1), r"float64 array of shape \(1,\); expected numbers of shape \(3,\)"),
        (0, np.zeros((3, 1)), r"float64 array of shape \(3, 1\)"),
        (0, np.array([1, None, 2]), r"object array of shape \(3,\)"),
        (0, ["1", "2", "3"], r"list of 3 \(str, str, str\)"),
        (0, np.zeros(3, complex), "complex128 array"),
    ],
)
def test_a_value_of_another_type_or_shape_is_refused_and_named(place, value, message):
    with pytest.raises(WrongValueError, match=message):
        _step(_with(place, value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((*GOOD, {}), r"tuple of 5 \(.*, dict\); expected 4 values.*\(that looks like gymnasium's step\(\)"),
        (GOOD[:3], r"tuple of 3 \(float64 array of shape \(3,\), float, bool\); expected 4 values"),
        (None, r"step\(\) returned None"),
        (np.zeros(4), r"step\(\) returned float64 array of shape \(4,\)"),
    ],
)
def test_another_number_of_values_is_refused(value, message):
    with pytest.raises(WrongValueError, match=message):
        _step(value)


@pytest.mark.parametrize("reward", [np.nan, -np.inf, 1e39, 10**400])
def test_a_reward_that_is_not_finite_as_float32_is_refused(reward):
    with pytest.raises(FloatingPointError, match="the reward is"):
        _step(_with(1, reward))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((np.zeros(3), {}), r"reset\(\) returned the observation tuple of 2 .*\(that looks like gymnasium's reset"),
        (None, r"reset\(\) returned the observation None"),
        (np.zeros(4), r"shape \(4,\); expected numbers of shape \(3,\)"),
    ],
)
def test_a_reset_that_returns_something_else_is_named(value, message):
    with pytest.raises(WrongValueError, match=message):
        checked.reset(Given(value), 0, evaluation=False, size=3)


@pytest.mark.parametrize("picture", [None, np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), [[0]]])
def test_a_picture_is_not_made_of_other_numbers(picture):
    with pytest.raises(WrongValueError, match=r"render\(\) returned .*; expected a uint8 array \(height, width, 3\)"):
        checked.picture(Given(picture))


def _gymnasium(monkeypatch, method, value):
    task = GymnasiumTask("Pendulum-v1", 1, 0, 0)
    task.reset(0, evaluation=False)
    monkeypatch.setattr(task, "environment", type("Env", (), {method: lambda self, *given, **named: value})())
    monkeypatch.setattr(
        task.environment, "action_space", type("Box", (), {"shape": (1,), "dtype": "f4"}), raising=False
    )
    return task.reset(0, evaluation=False) if method == "reset" else task.step(np.zeros(1, np.float32))


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        (
            "reset",
            np.zeros(2),
            r"reset\(\) of Pendulum-v1 returned float64 array of shape \(2,\); expected observation",
        ),
        ("reset", (np.zeros(2), {}), r"shape \(2,\); expected numbers of shape \(3,\)"),
        (
            "step",
            (np.zeros(3), 0.0, False, {}),
            r"tuple of 4 \(.*\); expected observation, reward, terminated, trunc",
        ),
        ("step", (np.zeros(3), np.zeros(1), False, False, {}), r"reward = float64 array of shape \(1,\)"),
        (
            "step",
            (np.float64(0.5), 0.0, False, False, {}),
            r"the observation .*0\.5.* expected numbers of shape \(3,\)",
        ),
    ],
)
def test_what_an_environment_of_gymnasium_returns_is_checked(monkeypatch, method, value, message):
    with pytest.raises(WrongValueError, match=message):
        _gymnasium(monkeypatch, method, value)


def test_metaworlds_success_is_0_or_1(monkeypatch):
    task = MetaWorldTask("reach-v3", 1, 1, "v2")
    task.reset(0, evaluation=False)
    real = task.simulator.step
    monkeypatch.setattr(task.simulator, "step", lambda action: (*real(action)[:4], {"success": float("nan")}))
    with pytest.raises(FloatingPointError, match="the success is nan"):
        task.step(np.zeros(4, np.float32))
