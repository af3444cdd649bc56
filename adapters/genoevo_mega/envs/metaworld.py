"""The suite of Meta-World's tasks.

Training goals and evaluation goals are numbered and have seeds of their own. The caller cuts episodes, so an
environment reports termination alone; Meta-World's environments never terminate.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import Observation, TaskEnvironment
from genoevo_runs.arrays import Floats
from genoevo_runs.errors import ConfigError, nearest

SUITES = ("mt10", "mt25", "mt50")

# Mostly tasks with a free object. Their steps take 1.1 to 1.6 times the median of all 50 tasks, other tasks' steps
# 0.8 to 1.1 times.
_COSTLY = (
    "assembly",
    "bin-picking",
    "box-close",
    "coffee-pu",
    "disassemble",
    "hammer",
    "hand-insert",
    "peg",
    "pick-place",
    "push",
    "shelf-place",
    "soccer",
    "stick",
    "sweep",
)


@dataclass(frozen=True)
class MetaWorldSuite:
    """A list of Meta-World's tasks, with goals drawn per task from *seed*.

    Meta-World's own vector environments give every task the same goal index at each reset and ignore
    ``reset(seed=)``. By default they share one seed between training and evaluation. Here each task draws its goals
    from its own stream, and the caller picks the goal of each episode.

    Parameters
    ----------
    names
        The names of the tasks.
    seed
        The seed of all goals.
    goals
        The number of training goals of each task.
    reward_version
        Meta-World's reward functions, "v1" or "v2".
    observation_size, action_size
        The sizes of an observation and an action, the same for all tasks.
    stock
        Whether to leave Meta-World's step unchanged, for comparison: the same results, but slower.

    """

    names: tuple[str, ...]
    seed: int
    goals: int = 50
    reward_version: str = "v2"
    observation_size: int = 39
    action_size: int = 4
    stock: bool = False

    @property
    def costs(self) -> tuple[float, ...]:
        """The relative costs of the tasks, roughly as measured."""
        return tuple(1.2 if name.startswith(_COSTLY) else 0.9 for name in self.names)

    def make(self, task: int) -> TaskEnvironment:
        """Build the environment of one task and draw its goals."""
        return MetaWorldTask(self.names[task], self.seed, self.goals, self.reward_version, self.stock)


class MetaWorldTask:
    """A Meta-World environment; its training and evaluation goals come from two streams of *seed*."""

    def __init__(self, name: str, seed: int, goals: int, reward_version: str, stock: bool = False) -> None:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

        from genoevo_mega.envs.fast_metaworld import faster

        made = ALL_V3_ENVIRONMENTS[name]
        self.simulator: Any = (made if stock else faster(made))(reward_function_version=reward_version)
        streams = [np.random.SeedSequence([seed, zlib.crc32(name.encode()), purpose]) for purpose in (0, 1)]
        self._training_seed, self._evaluation_seed = (int(stream.generate_state(1)[0]) for stream in streams)
        self.training_goals = self._draw_goals(self._training_seed, goals)
        self.evaluation_goals: list[Observation] = []
        self._renderer: Any = None
        self.simulator._partially_observable = False
        # The observation space is cached; without this the goal would be clipped to [0, 0].
        self.simulator.__dict__.pop("sawyer_observation_space", None)

    def _draw_goals(self, seed: int, count: int) -> list[Observation]:
        # Meta-World draws goals from numpy's global state inside a full reset. The simulation in that reset does not
        # influence the draw, so we skip it. The goals are those of metaworld.MT1(name, seed), drawn 4 times faster.
        env, goals = self.simulator, []

        def reset_hand(steps: int = 50) -> None:
            env.init_tcp = env.tcp_center

        env._freeze_rand_vec = False
        env._set_task_called = True
        env._reset_hand = reset_hand
        env._get_obs = lambda: np.zeros(39)
        state = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed)  # noqa: NPY002
            for _ in range(count):
                env.reset()
                goals.append(np.array(env._last_rand_vec))
        finally:
            np.random.set_state(state)  # noqa: NPY002
            del env._reset_hand, env._get_obs
            env._freeze_rand_vec = True
        return goals

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Start an episode and return its first observation, (39,) float64; it depends on the goal alone.

        The suite's ``goals`` limits the training goals. Evaluation goals have no limit: they are drawn when needed.
        """
        if evaluation and goal >= len(self.evaluation_goals):
            self.evaluation_goals = self._draw_goals(self._evaluation_seed, 50 * (goal // 50 + 1))
        self.simulator._last_rand_vec = (self.evaluation_goals if evaluation else self.training_goals)[goal]
        observation, _ = self.simulator.reset()
        self._time = self.simulator.data.time
        return observation

    def step(self, action: Floats) -> tuple[Observation, float, bool, bool]:
        """Make a step; return observation (39,) float64, reward, False (Meta-World never terminates) and success.

        Raises FloatingPointError if the simulation became unstable: MuJoCo then restarts it silently.
        """
        observation, reward, terminated, _, info = self.simulator.step(action)
        before, self._time = self._time, self.simulator.data.time
        if self._time <= before:
            raise FloatingPointError("the simulation is unstable")
        if info["success"] not in (0, 1):
            raise FloatingPointError(f"the success is {info['success']}")
        return observation, float(reward), terminated, info["success"] == 1

    def render(self) -> npt.NDArray[np.uint8]:
        """Return a picture of the present state, (360, 480, 3) uint8; only *stock* tasks have every shape."""
        if self._renderer is None:
            from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

            simulator = self.simulator
            self._renderer = MujocoRenderer(
                simulator.model, simulator.data, width=480, height=360, camera_name="corner2"
            )
        return self._renderer.render("rgb_array")[::-1, ::-1]  # this camera is mounted upside down


def metaworld_names(suite: str, others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the task names of one of :data:`SUITES` or of a comma-separated list.

    ConfigError names an unknown task, and what is known: Meta-World's, and the *others* that the caller takes.
    """
    from metaworld import env_dict

    if suite in SUITES:
        return tuple(getattr(env_dict, f"{suite.upper()}_V3"))
    names = tuple(name.strip() for name in suite.split(","))
    suites = [*SUITES, *others] if len(names) == 1 else []
    for name in names:
        if name not in env_dict.ALL_V3_ENVIRONMENTS:
            hint = nearest(name, [*suites, *env_dict.ALL_V3_ENVIRONMENTS])
            known = ", ".join([*suites, "names of Meta-World's tasks, separated by commas"])
            raise ConfigError(f"suite: unknown task {name!r}{hint}; known are {known}")
    if len(set(names)) != len(names):
        raise ConfigError(f"suite = {suite!r}: each task may be named once")
    return names
