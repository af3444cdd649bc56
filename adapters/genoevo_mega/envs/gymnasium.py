"""A suite of gymnasium's continuous-control environments: any with a Box of observations and a Box of actions.

All tasks of a suite share the sizes of observations and actions. Observations are padded with zeros to the largest
size of any task. Action components beyond a task's own are ignored. These environments may terminate. An episode
succeeds:

- in Pendulum-v1, which has no rule of its own: if the pendulum is upright and at rest, a reward above -0.1, for 50
  consecutive steps;
- in any other environment: if the return so far reaches gymnasium's ``reward_threshold``, which must be above 0.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from genoevo_mega.config.code import GYMNASIUM
from genoevo_mega.envs import checked
from genoevo_mega.envs.space import TaskSpace
from genoevo_mega.envs.suite import Observation
from genoevo_runs import user_code
from genoevo_runs.arrays import Floats
from genoevo_runs.errors import ConfigError, nearest

_HELD = {"Pendulum-v1": (-0.1, 50)}
_LARGEST = 2**53  # whole numbers above it have no float64
_SIZES = ("observation_size", "action_size")
_RETURNED = {"reset": "observation and info", "step": "observation, reward, terminated, truncated and info"}


@dataclass(frozen=True)
class GymnasiumSuite:
    """A list of environments by id; goal g of a task is a reset with a seed drawn from *seed*, the task and g."""

    names: tuple[str, ...]
    seed: int
    goals: int
    observation_size: int
    action_size: int
    spaces: tuple[TaskSpace, ...]

    @classmethod
    def of(cls, names: list[str], seed: int, goals: int) -> GymnasiumSuite:
        """Look up ids and sizes; ConfigError if an id is unknown, repeated or not a continuous-control task."""
        if len(set(names)) != len(names):
            raise ConfigError(f"suite = 'gymnasium:{','.join(names)}': each task may be named once")
        tasks = [GymnasiumTask(name, seed, 0, 0) for name in names]
        spaces = tuple(task.space for task in tasks)
        observations, actions = (max(getattr(space, size) for space in spaces) for size in _SIZES)
        return cls(tuple(names), seed, goals, observations, actions, spaces)

    @property
    def action_dimensions(self) -> tuple[int, ...]:
        """The number of action components that each task uses."""
        return tuple(space.action_size for space in self.spaces)

    @property
    def costs(self) -> tuple[float, ...]:
        """The relative costs of the tasks, all equal: they were not measured."""
        return (1.0,) * len(self.names)

    def make(self, task: int) -> GymnasiumTask:
        """Build the environment of one task."""
        return GymnasiumTask(self.names[task], self.seed, self.observation_size, self.action_size)


class GymnasiumTask:
    """One environment, with observations padded to *observation_size* and actions scaled to its own bounds.

    Raises ConfigError if gymnasium cannot make the environment, if its spaces are not bounded as needed, or if it
    has no rule for success.
    """

    def __init__(self, name: str, seed: int, observation_size: int, action_size: int) -> None:
        self.name, self.environment = name, _make(name)
        spaces = [getattr(self.environment, f"{kind}_space", None) for kind in ("observation", "action")]
        for kind, space in zip(("observations", "actions"), spaces, strict=True):
            if not isinstance(space, gymnasium.spaces.Box):
                raise ConfigError(f"suite: expected a Box of {kind} in {name}, got {type(space).__name__}")
        low, high = spaces[1].low.ravel(), spaces[1].high.ravel()
        if not spaces[1].is_bounded():
            raise ConfigError(f"suite: the actions of {name} are not bounded")
        if not low.size:
            raise ConfigError(f"suite: the actions of {name} have no component")
        shapes, dtype = (space.shape for space in spaces), spaces[1].dtype
        self.space = TaskSpace(*shapes, tuple(low.tolist()), tuple(high.tolist()), str(dtype))
        if self.space.whole and max(map(abs, (*self.space.low, *self.space.high))) > _LARGEST:
            raise ConfigError(f"suite: the actions of {name} are whole numbers beyond {_LARGEST:,}")
        self._threshold = _threshold(name, self.environment.spec.reward_threshold)
        self._held, self._steps_to_hold = _HELD.get(name, (np.inf, 1))
        if self._threshold <= 0 and name not in _HELD:
            raise ConfigError(
                f"suite: {name} has no rule for success; write your own suite, see docs/tutorials/suite.rst"
            )
        self.observation_size = max(observation_size, self.space.observation_size)
        self.action_size = max(action_size, self.space.action_size)
        self._streams = [np.random.SeedSequence([seed, zlib.crc32(name.encode()), purpose]) for purpose in (0, 1)]
        self._return, self._steps_held = 0.0, 0

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Start the episode whose initial state the goal's seed draws; return (observation_size,) float64."""
        stream = self._streams[evaluation]
        seed = np.random.SeedSequence(stream.entropy, spawn_key=(goal,)).generate_state(1)[0]
        [observation] = self._returned("reset", self.environment.reset(seed=int(seed)), 2)[:1]
        self._return, self._steps_held = 0.0, 0
        return self._padded("reset", observation)

    def step(self, action: Floats) -> tuple[Observation, float, bool, bool]:
        """Make a step; return observation (observation_size,) float64, reward, terminated and success.

        *action* holds float32 in [-1, 1]. The caller applies the time limit.
        """
        own = self.space.own_actions(action[None])[0, ...]
        observation, reward, terminated = self._returned("step", self.environment.step(own), 5)[:3]
        checked.number(f"step() of {self.name} returned reward", reward)
        return self._padded("step", observation), reward, terminated, self._succeeded(float(reward))

    def render(self) -> npt.NDArray[np.uint8]:
        """Return a picture of the present state, (height, width, 3) uint8."""
        picture: npt.NDArray[np.uint8] = self.environment.render()
        return picture

    def _succeeded(self, reward: float) -> bool:
        self._return += reward
        self._steps_held = self._steps_held + 1 if reward > self._held else 0
        if self._held < np.inf:
            return self._steps_held >= self._steps_to_hold
        return self._return >= self._threshold

    def _returned(self, method: str, values: Any, count: int) -> tuple[Any, ...]:
        if not isinstance(values, tuple) or len(values) != count:
            raise checked.WrongValueError(
                f"{method}() of {self.name} returned {checked.described(values)}; expected {_RETURNED[method]}"
            )
        return values

    def _padded(self, method: str, observation: Any) -> Observation:
        padded = np.zeros(self.observation_size)
        flat = checked.observation(method, observation, self.space.observation_shape).ravel()
        padded[: flat.size] = flat
        return padded


def _threshold(name: str, given: Any) -> float:
    """Return the reward threshold of an environment, 0 for none; ConfigError unless it is a finite number."""
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, float | int | np.floating | np.integer):
        raise ConfigError(f"suite: the reward_threshold of {name} must be a number, got {checked.described(given)}")
    if not np.isfinite(given):
        raise ConfigError(f"suite: the reward_threshold of {name} must be finite, got {given}")
    return float(given)


def _make(name: str) -> Any:
    module, colon, _ = name.rpartition(":")
    if colon:
        if not user_code.is_code(f"{module}:make"):
            raise ConfigError(f"suite: {name!r} must be an id of gymnasium, or module:id with a dotted name")
        user_code.import_module("suite", f"{GYMNASIUM}{name}", module)  # gymnasium would, with errors of any kind
    try:
        # The run sets the time limit: gymnasium's own would cut episodes at another length.
        return gymnasium.make(name, render_mode="rgb_array", max_episode_steps=-1, disable_env_checker=True)
    except gymnasium.error.Error as error:
        hint = "" if name in gymnasium.registry else nearest(name, list(gymnasium.registry))
        raise ConfigError(f"suite: gymnasium cannot make {name!r}{hint}: {' '.join(str(error).split())}") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"suite: {name} needs {error.name}, which is not installed") from None
    except TypeError:
        raise ConfigError(f"suite: gymnasium cannot make {name!r} with render_mode='rgb_array'") from None
    except Exception as error:  # the environment's own
        raise ConfigError(f"suite: gymnasium cannot make {name!r}: {user_code.line(error)}") from error
