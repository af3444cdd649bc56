"""Small control tasks, fast enough for studies that Meta-World is too slow for.

The families and their dynamics are in :mod:`genoevo_mega.envs.synthetic_families`. The name of a task describes it:
``pendulum-g150-3goals-flip`` has one and a half times the gravity of its family, three sub-goals one after the other
(difficulty) and reversed actuators (conflict: the same observation asks for the opposite action). The actuators of a
``-change`` task reverse in the middle of a run. An episode succeeds at the step that reaches the last sub-goal. The
rewards are ours: the share of sub-goals reached, plus closeness to the next one, in [0, 1].
"""

from __future__ import annotations

import itertools
import re
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import PHASE, Observation, TaskEnvironment
from genoevo_mega.envs.synthetic_families import FAMILIES, Goal, State
from genoevo_runs.errors import ConfigError, nearest

CHANGE = "-change"
"""The end of the names of tasks that change in the middle of a run."""
_FEATURES = 6
OBSERVATION_SIZE = _FEATURES + 3

_NAME = re.compile(
    rf"(?P<family>{'|'.join(FAMILIES)})(-g(?P<gravity>[1-9]\d*))?(-(?P<goals>[1-9]\d*)goals)?(?P<flip>-flip)?(?P<change>{CHANGE})?"
)


class SyntheticTask:
    """The task of a name; training and evaluation goals come from two streams of *seed*.

    A goal number from :data:`PHASE` on means that the run is past its change: the same goal and actions always give
    the same episode. Raises ValueError if the name has another form.
    """

    def __init__(self, name: str, seed: int) -> None:
        parsed = _NAME.fullmatch(name)
        if parsed is None:
            raise ValueError(f"{name!r} is not a synthetic task")
        self.family = FAMILIES[parsed["family"]]
        self.gravity = int(parsed["gravity"] or 100) / 100
        self.sub_goals = int(parsed["goals"] or 1)
        self._signs = (-1.0 if parsed["flip"] else 1.0,) * 2
        if parsed["change"]:
            self._signs = self._signs[0], -self._signs[0]
        self._stream = seed, zlib.crc32(name.encode())
        self._drawn: dict[tuple[bool, int], tuple[State, list[Goal]]] = {}

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Start the episode of a goal number, which decides its start and sub-goals; return (9,) float64."""
        phase, number = divmod(goal, PHASE)
        self._sign = self._signs[min(phase, 1)]
        key = evaluation, number
        if key not in self._drawn:
            draw = np.random.default_rng([*self._stream, int(evaluation), number])
            state = self.family.start(draw)
            self._drawn[key] = state, [self.family.goal(draw, k) for k in range(self.sub_goals)]
        self.state, self.goals = self._drawn[key]
        self._done = self._held = 0
        return self._observe()

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool]:
        """Make a step; return observation (9,) float64, reward in [0, 1], False (nothing terminates) and success."""
        first, second = action.tolist()
        first, second = min(max(first, -1.0), 1.0), min(max(second, -1.0), 1.0)
        family = self.family
        self.state = family.advance(self.state, self._sign * first, self._sign * second, self.gravity)
        if self._done < self.sub_goals:
            self._held = self._held + 1 if family.reached(self.state, self.goals[self._done]) else 0
            if self._held == family.hold:
                self._done, self._held = self._done + 1, 0
        finished = self._done == self.sub_goals
        closeness = 0.0 if finished else family.closeness(self.state, self.goals[self._done])
        return self._observe(), (self._done + closeness) / self.sub_goals, False, finished

    def _observe(self) -> Observation:
        features = self.family.features(self.state)
        goal = self.family.toward(self.state, self.goals[min(self._done, self.sub_goals - 1)])
        progress = (self._done + self._held / self.family.hold) / self.sub_goals
        return np.array((*features, *(0.0,) * (_FEATURES - len(features)), *goal, progress))


@dataclass(frozen=True)
class SyntheticSuite:
    """Synthetic tasks by name; see :func:`synthetic_names`."""

    names: tuple[str, ...]
    seed: int
    goals: int = 50
    observation_size: int = OBSERVATION_SIZE
    action_size: int = 2

    @property
    def costs(self) -> tuple[float, ...]:
        """The relative costs of the tasks, all equal."""
        return (1.0,) * len(self.names)

    @property
    def action_dimensions(self) -> tuple[int, ...]:
        """The action dimensions that each task uses, the first ones."""
        return tuple(SyntheticTask(name, self.seed).family.actions for name in self.names)

    def make(self, task: int) -> TaskEnvironment:
        """Build the task."""
        return SyntheticTask(self.names[task], self.seed)


def _crossed(gravities: tuple[str, ...], goals: tuple[str, ...], ends: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map("".join, itertools.product(FAMILIES, gravities, goals, ends)))


_GRAVITIES = ("", "-g50", "-g75", "-g125", "-g150")
SUITES = {
    "synthetic": _crossed(("",), ("", "-2goals"), ("",)),
    "synthetic-easy": _crossed(("",), ("",), ("",)),
    "synthetic-conflict": _crossed(("",), ("",), ("", "-flip")),
    "synthetic-change": _crossed(("",), ("",), ("", CHANGE)),
    "synthetic-50": _crossed(_GRAVITIES, ("", "-2goals"), ("",)),
    "synthetic-200": _crossed(_GRAVITIES, ("", "-2goals", "-3goals", "-4goals"), ("", "-flip")),
}
"""Suites by name: 10 tasks of two difficulties, 5 easy tasks, 10 tasks of which half are reversed, 10 tasks of which
half change in the middle of the run, 50 and 200 tasks."""


def is_synthetic(suite: str) -> bool:
    """Return whether *suite* names synthetic tasks: a suite or the family of the first task."""
    return suite.startswith(("synthetic", *FAMILIES))


def synthetic_names(suite: str) -> tuple[str, ...]:
    """Return the task names of a suite or of a comma-separated list; ConfigError names an unknown task."""
    if suite in SUITES:
        return SUITES[suite]
    names = tuple(name.strip() for name in suite.split(","))
    for name in names:
        if not _NAME.fullmatch(name):
            hint = nearest(name, [*SUITES, *SUITES["synthetic-200"]])
            raise ConfigError(
                f"suite: unknown task {name!r}{hint}; known are {', '.join(SUITES)} and names such as "
                f"pendulum, car-g150, reacher-3goals, point-flip, cartpole-change"
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"suite = {suite!r}: each task may be named once")
    return names
