"""Suites of tasks behind one small protocol, and Meta-World's.

A suite is a small picklable value that travels to the rollout workers and makes environments there. An environment
has numbered goals, those for training and, seeded apart, those for evaluation. Episodes are cut by the caller, so an
environment reports termination alone; Meta-World's never terminate.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import Observation, TaskEnvironment
from genoevo_runs.errors import ConfigError, nearest

# Mostly tasks with a free object: a step takes 1.1 to 1.6 times the median of all 50, others 0.8 to 1.1.
_DEAR = (
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
    """Tasks of Meta-World, with goals drawn per task from *seed*.

    Meta-World's own vector environments give every task the same goal index at each reset, ignore ``reset(seed=)``
    and share one seed between training and evaluation unless told otherwise; here each task draws its goals from
    a stream of its own, and the caller picks the goal of each episode. *stock* leaves the step as Meta-World has it,
    for comparison: the same results, more slowly.
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
        """Measured, roughly."""
        return tuple(1.2 if name.startswith(_DEAR) else 0.9 for name in self.names)

    def make(self, task: int) -> TaskEnvironment:
        """Build the environment and draw its goals."""
        return MetaWorldTask(self.names[task], self.seed, self.goals, self.reward_version, self.stock)


class MetaWorldTask:
    """One Meta-World environment; training and evaluation goals come from two streams of *seed*."""

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
        # Meta-World draws goals from numpy's global state inside a full reset. The simulation in that reset does
        # not influence the draw, so it is left out: the same goals as metaworld.MT1(name, seed), 4 times faster.
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
        """Begin an episode; the same goal always gives the same first observation, (39,) float64.

        Training has the number of goals asked for, evaluation as many as are named: they are drawn when needed.
        """
        if evaluation and goal >= len(self.evaluation_goals):
            self.evaluation_goals = self._draw_goals(self._evaluation_seed, 50 * (goal // 50 + 1))
        self.simulator._last_rand_vec = (self.evaluation_goals if evaluation else self.training_goals)[goal]
        observation, _ = self.simulator.reset()
        self._time = self.simulator.data.time
        return observation

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool]:
        """One step: observation (39,) float64, reward, False (Meta-World never terminates), success.

        FloatingPointError where the simulation became unstable: MuJoCo then silently begins anew.
        """
        observation, reward, terminated, _, info = self.simulator.step(action)
        before, self._time = self._time, self.simulator.data.time
        if self._time <= before:
            raise FloatingPointError("the simulation is unstable")
        return observation, float(reward), bool(terminated), bool(info["success"])

    def render(self) -> npt.NDArray[np.uint8]:
        """A picture (360, 480, 3) of the present state; of *stock* tasks, whose models have every shape."""
        if self._renderer is None:
            from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

            simulator = self.simulator
            self._renderer = MujocoRenderer(
                simulator.model, simulator.data, width=480, height=360, camera_name="corner2"
            )
        return self._renderer.render("rgb_array")[::-1, ::-1]  # that camera hangs upside down


def metaworld_names(suite: str) -> tuple[str, ...]:
    """Task names of mt10, mt25, mt50 or of a comma-separated list; ConfigError names an unknown task."""
    from metaworld import env_dict

    known = {"mt10": env_dict.MT10_V3, "mt25": env_dict.MT25_V3, "mt50": env_dict.MT50_V3}
    if suite in known:
        return tuple(known[suite])
    names = tuple(name.strip() for name in suite.split(","))
    for name in names:
        if name not in env_dict.ALL_V3_ENVIRONMENTS:
            hint = nearest(name, [*known, *env_dict.ALL_V3_ENVIRONMENTS])
            raise ConfigError(
                f"suite: there is no task {name!r}{hint}; known are mt10, mt25, mt50 and Meta-World's tasks"
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"suite = {suite!r}: each task may be named once")
    return names
