"""Gymnasium's continuous-control environments as a suite: any with a Box of observations and a Box of actions.

Observations are padded with zeros to the largest task's, actions beyond a task's own are ignored; both are common to
all tasks of a suite. These environments may terminate. When an episode has succeeded:

- Pendulum-v1, which has no rule of its own: upright and at rest, a reward above -0.1, for 50 steps on end;
- else where the return so far reaches gymnasium's ``reward_threshold``, of those where it is above 0.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import Observation
from genoevo_runs.errors import ConfigError, nearest

_HELD = {"Pendulum-v1": (-0.1, 50)}


@dataclass(frozen=True)
class GymnasiumSuite:
    """Environments by their ids; goal g of a task is a reset with a seed drawn from *seed*, the task and g."""

    names: tuple[str, ...]
    seed: int
    goals: int
    observation_size: int
    action_size: int

    @classmethod
    def of(cls, names: list[str], seed: int, goals: int) -> GymnasiumSuite:
        """Look up ids and sizes; ConfigError for an id that is unknown, repeated or no continuous control."""
        names = [name.strip() for name in names]
        if len(set(names)) != len(names):
            raise ConfigError(f"suite = 'gymnasium:{','.join(names)}': each task may be named once")
        tasks = [GymnasiumTask(name, seed, 0, 0) for name in names]
        sizes = [(task.observation_size, task.action_size) for task in tasks]
        return cls(tuple(names), seed, goals, *(max(size) for size in zip(*sizes, strict=True)))

    @property
    def costs(self) -> tuple[float, ...]:
        """Not measured: all alike."""
        return (1.0,) * len(self.names)

    def make(self, task: int) -> GymnasiumTask:
        """Build one task's environment."""
        return GymnasiumTask(self.names[task], self.seed, self.observation_size, self.action_size)


class GymnasiumTask:
    """One environment, its observation padded to *observation_size*, its actions scaled to its own bounds."""

    def __init__(self, name: str, seed: int, observation_size: int, action_size: int) -> None:
        self.environment = _make(name)
        spaces = self.environment.observation_space, self.environment.action_space
        for kind, space in zip(("observations", "actions"), spaces, strict=True):
            if not isinstance(space, gymnasium.spaces.Box):
                raise ConfigError(f"suite: {name} has {kind} that are no Box but {type(space).__name__}")
        self._low, high = spaces[1].low.ravel(), spaces[1].high.ravel()
        if not (np.isfinite(self._low).all() and np.isfinite(high).all()):
            raise ConfigError(f"suite: {name} has actions without bounds")
        self._span = high - self._low
        self._threshold = self.environment.spec.reward_threshold or 0.0
        self._held, self._steps_to_hold = _HELD.get(name, (np.inf, 1))
        if self._threshold <= 0 and name not in _HELD:
            raise ConfigError(
                f"suite: nothing says when {name} has succeeded; write your own suite, see docs/tutorials/suite.rst"
            )
        self.observation_size = max(observation_size, int(np.prod(spaces[0].shape)))
        self.action_size = max(action_size, self._low.size)
        self._streams = [np.random.SeedSequence([seed, zlib.crc32(name.encode()), purpose]) for purpose in (0, 1)]
        self._return, self._steps_held = 0.0, 0

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Begin an episode from the start that the goal's seed draws, (observation_size,) float64."""
        stream = self._streams[evaluation]
        seed = np.random.SeedSequence(stream.entropy, spawn_key=(goal,)).generate_state(1)[0]
        observation, _ = self.environment.reset(seed=int(seed))
        self._return, self._steps_held = 0.0, 0
        return self._padded(observation)

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool]:
        """Observation (observation_size,), reward, terminated, success; time limits are the caller's."""
        own = np.asarray(action, np.float64)[: self._low.size]
        own = self._low + (np.clip(own, -1, 1) + 1) / 2 * self._span
        own = own.reshape(self.environment.action_space.shape).astype(self.environment.action_space.dtype)
        observation, reward, terminated, _, _ = self.environment.step(own)
        return self._padded(observation), float(reward), bool(terminated), self._succeeded(float(reward))

    def render(self) -> npt.NDArray[np.uint8]:
        """A picture (height, width, 3) of the present state."""
        return np.asarray(self.environment.render(), np.uint8)

    def _succeeded(self, reward: float) -> bool:
        self._return += reward
        self._steps_held = self._steps_held + 1 if reward > self._held else 0
        if self._held < np.inf:
            return self._steps_held >= self._steps_to_hold
        return self._return >= self._threshold

    def _padded(self, observation: Any) -> Observation:
        padded = np.zeros(self.observation_size)
        flat = np.ravel(observation)
        padded[: flat.size] = flat
        return padded


def _make(name: str) -> Any:
    try:
        # The time limit is the run's: gymnasium's own would cut episodes at another length.
        return gymnasium.make(name, render_mode="rgb_array", max_episode_steps=-1, disable_env_checker=True)
    except gymnasium.error.Error as error:
        hint = "" if name in gymnasium.registry else nearest(name, list(gymnasium.registry))
        raise ConfigError(f"suite: gymnasium does not make {name!r}{hint}: {' '.join(str(error).split())}") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"suite: {name} needs {error.name}, which is not installed") from None
    except TypeError:
        raise ConfigError(f"suite: gymnasium makes no {name!r} that draws pictures") from None
