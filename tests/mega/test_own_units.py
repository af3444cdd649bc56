"""Policies act in the units of each task's own environment: its observations, its bounds, its shapes."""

import json
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import onnxruntime
import pytest
import torch

from genoevo_mega.envs.gymnasium import GymnasiumSuite
from genoevo_mega.envs.space import TaskSpace, spaces_of
from genoevo_mega.policies.export import export_tasks
from genoevo_mega.policies.policy import Policy
from genoevo_runs.errors import ConfigError

NAMES = ("Pendulum-v1", "Hopper-v5")


@pytest.fixture(scope="module", params=["mega", "mtsac"])
def trained(request, untrained):
    """Two tasks, of observations of 3 and 11 numbers and of actions of 1 number in [-2, 2] and of 3 in [-1, 1]."""
    made = untrained(
        "smoke",
        3 if request.param == "mega" else 0,
        suite="gymnasium:Pendulum-v1,Hopper-v5",
        architecture=request.param,
        mlp={"layers": [9, 8]},
    )
    rng = torch.Generator().manual_seed(1)
    for network in (made.agent.actor, made.agent.actor_ema):
        network.core.flat.data.add_(0.5 * torch.randn(network.core.flat.shape, generator=rng))
    return made


def _played(trained, name):
    """The own observations of a task, and the actions that the agent, in training's units, had the simulator take."""
    task = trained.suite.names.index(name)
    environment = trained.suite.make(task)
    taken, seen = [], []
    inner = environment.environment.step
    environment.environment.step = lambda action: (taken.append(action), inner(action))[1]
    observation = environment.reset(0, evaluation=True)
    for _ in range(5):
        rows = torch.zeros(len(trained.suite.names), 1, trained.suite.observation_size)
        rows[task, 0] = torch.from_numpy(observation)
        seen.append(observation[: environment.space.observation_size].astype(np.float32))
        observation, *_ = environment.step(trained.greedy(rows)[task, 0].numpy())
    return np.array(seen), np.array(taken)


@pytest.mark.parametrize("name", NAMES)
def test_an_action_is_what_the_environment_took_in_training(trained, name):
    seen, taken = _played(trained, name)
    policy = Policy(trained)
    many, _ = policy.predict(seen, name)
    one, _ = policy.predict(seen[2], name)
    assert many == pytest.approx(taken, abs=1e-5)
    assert one == pytest.approx(taken[2], abs=1e-5)
    space = gymnasium.make(name).action_space
    assert space.contains(one)
    assert np.abs(many).max() > (1 if name == "Pendulum-v1" else 0)  # beyond the suite's own [-1, 1]


def test_drawn_actions_are_within_the_environments_bounds(trained):
    policy, space = Policy(trained, seed=1), gymnasium.make("Pendulum-v1").action_space
    drawn = [policy.predict(np.zeros(3, np.float32), "Pendulum-v1", deterministic=False)[0] for _ in range(30)]
    assert all(space.contains(action) for action in drawn)
    assert np.abs(drawn).max() > 1


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros(11), r"must have shape \(3,\) or \(batch, 3\), got \(11,\)"),
        (np.zeros((2, 11)), r"must have shape \(3,\) or \(batch, 3\), got \(2, 11\)"),
        (["a", "b", "c"], "must be real numbers, got <U1"),
        ((np.zeros(3), {}), "must be an array"),
        ([0.0, 1e300, 0.0], "must be finite"),
        (None, "must be real numbers, got object"),
    ],
)
def test_another_observation_than_the_environments_own_is_refused(trained, observation, message):
    with pytest.raises(ValueError, match=message):
        Policy(trained).predict(observation, "Pendulum-v1")


def test_the_policy_of_one_task_has_the_interface_of_stable_baselines3(trained):
    policy = Policy(trained)
    alone, rows = policy.for_task("Pendulum-v1"), np.ones((4, 3), np.float32)
    expected, _ = policy.predict(rows, "Pendulum-v1")
    actions, state = alone.predict(rows, state=None, episode_start=np.ones(4, bool), deterministic=True)
    assert state is None
    assert np.array_equal(actions, expected)
    assert alone.predict(rows[0], None, None, False)[0].shape == (1,)
    assert (alone.space.observation_shape, alone.space.low, alone.space.high) == ((3,), (-2.0,), (2.0,))


def test_a_run_of_one_task_needs_no_name_and_a_run_of_several_says_what_to_write(untrained, trained):
    one = Policy(untrained("smoke", 3, suite="gymnasium:Pendulum-v1"))
    assert one.predict(np.zeros(3), deterministic=True)[0].shape == (1,)
    with pytest.raises(ValueError, match=r"one of Pendulum-v1, Hopper-v5; for_task\(NAME\) is the policy of one"):
        Policy(trained).predict(np.zeros(3))


@pytest.mark.parametrize("wrong", ["no", 0, None])
def test_whether_an_action_is_drawn_is_said_by_a_truth_value(trained, wrong):
    with pytest.raises(ValueError, match=f"deterministic must be True or False, got {wrong!r}"):
        Policy(trained).predict(np.zeros(3, np.float32), "Pendulum-v1", deterministic=wrong)


def test_metaworlds_actions_are_those_of_the_suite(untrained):
    made = untrained("smoke", 3)
    expected = made.greedy(torch.ones(2, 1, 39))[0].numpy()
    assert np.array_equal(Policy(made).predict(np.ones((1, 39)), 0)[0], Policy(made).predict(np.ones((1, 39)), 0)[0])
    assert Policy(made).predict(np.ones((1, 39)), 0)[0] == pytest.approx(expected, abs=1e-6)
    assert spaces_of(made.suite)[0] == TaskSpace((39,), (4,), (-1.0,) * 4, (1.0,) * 4, scaled=False)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_file_takes_and_gives_the_units_of_its_environment(trained, kind, tmp_path):
    exported = export_tasks(trained, tmp_path / "out", kind=kind)
    for one in exported:
        seen, taken = _played(trained, one.task)
        path = tmp_path / "out" / one.file
        for rows in (1, 5):
            if kind == "onnx":
                actions = onnxruntime.InferenceSession(path).run(None, {"observation": seen[:rows]})[0]
            else:
                actions = torch.jit.load(path)(torch.from_numpy(seen[:rows])).numpy()
            assert actions == pytest.approx(taken[:rows], abs=1e-5)
        assert one.difference < 1e-5


def test_the_manifest_and_the_file_tell_its_units(trained, tmp_path):
    export_tasks(trained, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "policies.json").read_text())["policies"]
    expected = {"observation_size": 3, "action_size": 1, "action_low": [-2.0], "action_high": [2.0]}
    assert {name: listed[0][name] for name in expected} == expected
    assert (listed[1]["observation_size"], listed[1]["action_shape"]) == (11, [3])
    session = onnxruntime.InferenceSession(tmp_path / "out" / listed[0]["file"])
    notes = session.get_modelmeta().custom_metadata_map
    assert {name: json.loads(notes[name]) for name in expected} == expected
    assert (session.get_inputs()[0].shape[1], session.get_outputs()[0].shape[1]) == (3, 1)


class Grid(gymnasium.Env):
    """An environment whose observations and actions are not flat, with bounds that differ by component."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2, 2), np.float64)
    action_space = gymnasium.spaces.Box(np.array([[0.0, -5.0]]), np.array([[1.0, 5.0]]), dtype=np.float64)
    render_mode = "rgb_array"
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode=None):
        pass

    def reset(self, *, seed=None, options=None):
        return np.ones((2, 2)), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.ones((2, 2)), 0.0, False, False, {}


class Dials(Grid):
    """An environment that takes whole numbers."""

    action_space = gymnasium.spaces.Box(np.array([-128, 0], np.int8), np.array([127, 3], np.int8), dtype=np.int8)


class Endless(Grid):
    action_space = gymnasium.spaces.Box(-(2**60), 2**60, (1,), np.int64)


@pytest.fixture
def grid(monkeypatch):
    module = SimpleNamespace(Grid=Grid, Dials=Dials, Endless=Endless)
    monkeypatch.setitem(sys.modules, "grid_module", module)
    for name in vars(module):
        gymnasium.register(f"{name}-v0", f"grid_module:{name}", reward_threshold=1.0)
    yield "gymnasium:Grid-v0"
    for name in vars(module):
        del gymnasium.registry[f"{name}-v0"]


def test_observations_and_actions_that_are_not_flat_keep_their_shape(untrained, grid):
    made = untrained("smoke", 3, suite=grid)
    environment = made.suite.make(0)
    environment.reset(0, evaluation=False)
    environment.step(np.ones(2, np.float32))  # the environment checks it
    actions, _ = Policy(made).predict(np.ones((7, 2, 2)), "Grid-v0")
    assert (actions.shape, actions.dtype) == ((7, 1, 2), np.float64)
    assert all(Grid.action_space.contains(action) for action in actions)
    assert Policy(made).predict(np.ones((2, 2)))[0].shape == (1, 2)


def test_an_action_of_whole_numbers_is_the_nearest_within_the_bounds(grid):
    space = GymnasiumSuite.of(["Dials-v0"], 1, 1).make(0).space
    given = np.array([[-1, -1], [-0.996, -0.4], [0, 0.4], [0.99, 0.6], [7, 7]], np.float32)
    own = space.own_actions(given)
    assert own.tolist() == [[-128, 0], [-127, 1], [0, 2], [126, 2], [127, 3]]
    assert own.dtype == np.int8


def test_whole_numbers_that_a_float_cannot_tell_apart_are_refused(grid):
    with pytest.raises(ConfigError, match="the actions of Endless-v0 are whole numbers beyond"):
        GymnasiumSuite.of(["Endless-v0"], 1, 1)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_file_gives_the_whole_numbers_that_its_environment_takes(untrained, grid, kind, tmp_path):
    made = untrained("smoke", 3, suite="gymnasium:Dials-v0")
    (exported,) = export_tasks(made, tmp_path / "out", kind=kind)
    assert exported.difference == 0


def test_a_suite_of_gymnasium_pickles_with_its_units(grid):
    import pickle

    suite = GymnasiumSuite.of(["Grid-v0", "Pendulum-v1"], 1, 3)
    assert suite.spaces[0].bounds[1].tolist() == [1.0, 5.0]
    assert pickle.loads(pickle.dumps(suite)) == suite
    assert suite.action_dimensions == (2, 1)
