"""Families of small control tasks, fast enough for studies that Meta-World is too slow for.

Three families have the equations of gymnasium's classic control, two steps of them per action, and two are ours:

========== =========================================== ==========================================================
family     dynamics                                    a sub-goal is reached where, for ``hold`` steps in a row,
========== =========================================== ==========================================================
point      a mass pushed in the plane, ours            it is within 0.15 of a point
pendulum   gymnasium's Pendulum-v1                     it is within 0.25 rad of an angle near the top, below 2 rad/s
car        gymnasium's MountainCarContinuous-v0        it is beyond a place, on the right and on the left in turn
cartpole   gymnasium's CartPole-v1, force in [-10, 10] the cart is within 0.25 of a place, the pole within 0.1 rad
reacher    two damped joints in the plane, ours        the tip is within 0.15 of a point
========== =========================================== ==========================================================

A task's name says what it is: ``pendulum-g150-3goals-flip`` has one and a half times its family's gravity, three
sub-goals one after the other (difficulty) and reversed actuators (conflict: the same observation asks for the
opposite action). ``-change`` has its actuators reversed in the middle of a run. An episode succeeds at the step that
reaches the last sub-goal. Rewards are ours: sub-goals reached and closeness to the next, as a share, in [0, 1].
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genoevo_mega.envs.suite import PHASE, Observation, TaskEnvironment
from genoevo_runs.errors import ConfigError, nearest

State = tuple[float, ...]
Goal = tuple[float, float]
Draw = np.random.Generator

CHANGE = "-change"
"""How the name ends of a task that changes in the middle of a run."""
SKIP = 2
"""Steps of gymnasium's dynamics per action."""
_FEATURES = 6
OBSERVATION_SIZE = _FEATURES + 3


@dataclass(frozen=True)
class Family:
    """What tasks of a family share.

    ``start`` draws a state, ``goal`` the k-th sub-goal; ``advance(state, first, second, gravity)`` takes a step with
    two actions in [-1, 1] and a factor on gravity; ``features`` are at most six numbers, ``toward`` says where the
    goal lies from here; ``closeness`` is in [0, 1]; ``reached`` says whether the goal is held at this step, ``hold``
    for how many steps it must be.
    """

    start: Callable[[Draw], State]
    goal: Callable[[Draw, int], Goal]
    advance: Callable[[State, float, float, float], State]
    features: Callable[[State], State]
    toward: Callable[[State, Goal], Goal]
    closeness: Callable[[State, Goal], float]
    reached: Callable[[State, Goal], bool]
    hold: int


def _point(s: State, fx: float, fy: float, gravity: float) -> State:
    x, y, vx, vy = s
    vx += 0.2 * (4.0 * fx - 3.0 * vx)
    vy += 0.2 * (4.0 * fy - 3.0 * vy - 0.8 * gravity)
    return min(max(x + 0.2 * vx, -1.5), 1.5), min(max(y + 0.2 * vy, -1.5), 1.5), vx, vy


def _pendulum(s: State, torque: float, _: float, gravity: float) -> State:
    angle, speed = s
    for _step in range(SKIP):
        speed += (15.0 * gravity * math.sin(angle) + 3.0 * 2.0 * torque) * 0.05
        speed = min(max(speed, -8.0), 8.0)
        angle += speed * 0.05
    return angle, speed


def _car(s: State, force: float, _: float, gravity: float) -> State:
    position, speed = s
    for _step in range(SKIP):
        speed += force * 0.0015 - 0.0025 * gravity * math.cos(3 * position)
        speed = min(max(speed, -0.07), 0.07)
        position = min(max(position + speed, -1.2), 0.6)
        if position == -1.2 and speed < 0:
            speed = 0.0
    return position, speed


def _cartpole(s: State, push: float, _: float, gravity: float) -> State:
    x, speed, angle, turn = s
    for _step in range(SKIP):
        if _fallen(x, angle):  # gymnasium ends the episode; here it lies there until its end, at no reward
            break
        cos, sin = math.cos(angle), math.sin(angle)
        temp = (10.0 * push + 0.05 * turn * turn * sin) / 1.1
        turning = (9.8 * gravity * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
        acceleration = temp - 0.05 * turning * cos / 1.1
        x, speed, angle, turn = (
            x + 0.02 * speed,
            speed + 0.02 * acceleration,
            angle + 0.02 * turn,
            turn + 0.02 * turning,
        )
    return x, speed, angle, turn


def _reacher(s: State, first: float, second: float, gravity: float) -> State:
    a, b, va, vb = s
    va += 0.2 * (8.0 * first - 4.0 * va - 1.5 * gravity * math.cos(a))
    vb += 0.2 * (8.0 * second - 4.0 * vb - 0.8 * gravity * math.cos(a + b))
    return a + 0.2 * va, b + 0.2 * vb, va, vb


def _fallen(x: float, angle: float) -> bool:
    return abs(x) > 2.4 or abs(angle) > 12 * math.pi / 180


def _turned(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _tip(s: State) -> Goal:
    a, ab = s[0], s[0] + s[1]
    return 0.5 * (math.cos(a) + math.cos(ab)), 0.5 * (math.sin(a) + math.sin(ab))


def _climbed(s: State, goal: Goal) -> float:
    # Energy per mass over what the goal's height takes: what a car must gather by rocking.
    floor = -1.0
    have = math.sin(3 * s[0]) - floor + 3 / 0.0025 * s[1] ** 2 / 2
    return min(have / (math.sin(3 * goal[0]) - floor), 1.0)


def _around(draw: Draw) -> Goal:
    radius, angle = draw.uniform(0.35, 0.9), draw.uniform(-math.pi, math.pi)
    return radius * math.cos(angle), radius * math.sin(angle)


FAMILIES: dict[str, Family] = {
    "point": Family(
        start=lambda draw: (*draw.uniform(-1, 1, 2).tolist(), 0.0, 0.0),
        goal=lambda draw, k: (draw.uniform(-1, 1), draw.uniform(-1, 1)),
        advance=_point,
        features=lambda s: s,
        toward=lambda s, goal: (goal[0] - s[0], goal[1] - s[1]),
        closeness=lambda s, goal: math.exp(-2 * math.dist(s[:2], goal)),
        reached=lambda s, goal: math.dist(s[:2], goal) < 0.15,
        hold=2,
    ),
    "pendulum": Family(
        start=lambda draw: (draw.uniform(-math.pi, math.pi), draw.uniform(-1, 1)),
        goal=lambda draw, k: (draw.uniform(-0.25, 0.25), 0.0),
        advance=_pendulum,
        features=lambda s: (math.cos(s[0]), math.sin(s[0]), s[1] / 4),
        toward=lambda s, goal: (_turned(goal[0] - s[0]), 0.0),
        closeness=lambda s, goal: (1 + math.cos(s[0] - goal[0])) / 2,
        reached=lambda s, goal: abs(_turned(s[0] - goal[0])) < 0.25 and abs(s[1]) < 2,
        hold=2,
    ),
    "car": Family(
        start=lambda draw: (draw.uniform(-0.6, -0.4), 0.0),
        goal=lambda draw, k: (draw.uniform(-1.0, -0.9) if k % 2 else draw.uniform(0.3, 0.45), 0.0),
        advance=_car,
        features=lambda s: (s[0] + 0.5, s[1] * 20, math.sin(3 * s[0])),
        toward=lambda s, goal: (goal[0] - s[0], 0.0),
        closeness=_climbed,
        reached=lambda s, goal: s[0] >= goal[0] if goal[0] > 0 else s[0] <= goal[0],
        hold=1,
    ),
    "cartpole": Family(
        start=lambda draw: tuple(draw.uniform(-0.05, 0.05, 4).tolist()),
        goal=lambda draw, k: (draw.uniform(-1, 1), 0.0),
        advance=_cartpole,
        features=lambda s: (s[0], s[1], 5 * s[2], s[3]),
        toward=lambda s, goal: (goal[0] - s[0], 0.0),
        closeness=lambda s, goal: 0.0 if _fallen(s[0], s[2]) else math.exp(-abs(s[0] - goal[0])),
        reached=lambda s, goal: abs(s[0] - goal[0]) < 0.25 and abs(s[2]) < 0.1,
        hold=3,
    ),
    "reacher": Family(
        start=lambda draw: (draw.uniform(-math.pi, math.pi), draw.uniform(-2, 2), 0.0, 0.0),
        goal=lambda draw, k: _around(draw),
        advance=_reacher,
        features=lambda s: (math.cos(s[0]), math.sin(s[0]), math.cos(s[0] + s[1]), math.sin(s[0] + s[1]), s[2], s[3]),
        toward=lambda s, goal: (goal[0] - _tip(s)[0], goal[1] - _tip(s)[1]),
        closeness=lambda s, goal: math.exp(-2 * math.dist(_tip(s), goal)),
        reached=lambda s, goal: math.dist(_tip(s), goal) < 0.15,
        hold=2,
    ),
}

_NAME = re.compile(
    rf"(?P<family>{'|'.join(FAMILIES)})(-g(?P<gravity>[1-9]\d*))?(-(?P<goals>[1-9]\d*)goals)?(?P<flip>-flip)?(?P<change>{CHANGE})?"
)


class SyntheticTask:
    """One task, by its name; training and evaluation goals come from two streams of *seed*.

    A goal's number beyond :data:`PHASE` says that the run's change has come, so that the same goal and actions give
    the same episode whatever came before. ValueError for a name of another form.
    """

    def __init__(self, name: str, seed: int) -> None:
        parsed = _NAME.fullmatch(name)
        if parsed is None:
            raise ValueError(f"{name!r} is no synthetic task")
        self.family = FAMILIES[parsed["family"]]
        self.gravity = int(parsed["gravity"] or 100) / 100
        self.sub_goals = int(parsed["goals"] or 1)
        self._signs = (-1.0 if parsed["flip"] else 1.0,) * 2
        if parsed["change"]:
            self._signs = self._signs[0], -self._signs[0]
        self._stream = seed, zlib.crc32(name.encode())
        self._drawn: dict[tuple[bool, int], tuple[State, list[Goal]]] = {}

    def reset(self, goal: int, *, evaluation: bool) -> Observation:
        """Begin an episode: its start and its sub-goals are the goal's; (9,) float64."""
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
        """One step: observation (9,) float64, reward in [0, 1], False (nothing terminates), success."""
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
        """All about alike."""
        return (1.0,) * len(self.names)

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
"""Ready suites: 10 tasks of two difficulties, 5 easy ones, 10 of which half are reversed, 10 of which half change in
the middle of the run, 50 and 200."""


def is_synthetic(suite: str) -> bool:
    """Whether *suite* means synthetic tasks, by the name of a suite or of the first task's family."""
    return suite.startswith(("synthetic", *FAMILIES))


def synthetic_names(suite: str) -> tuple[str, ...]:
    """Task names of a ready suite or of a comma-separated list; ConfigError names an unknown task."""
    if suite in SUITES:
        return SUITES[suite]
    names = tuple(name.strip() for name in suite.split(","))
    for name in names:
        if not _NAME.fullmatch(name):
            hint = nearest(name, [*SUITES, *SUITES["synthetic-200"]])
            raise ConfigError(
                f"suite: there is no task {name!r}{hint}; known are {', '.join(SUITES)} and names such as "
                f"pendulum, car-g150, reacher-3goals, point-flip, cartpole-change"
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"suite = {suite!r}: each task may be named once")
    return names
