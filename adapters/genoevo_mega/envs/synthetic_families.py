"""The dynamics of the synthetic families, and where each draws its sub-goals.

Three families have the equations of gymnasium's classic control, two steps of them per action, and two are ours:

========== =========================================== ==========================================================
family     dynamics                                    condition of a sub-goal, for ``hold`` steps in a row
========== =========================================== ==========================================================
point      a mass pushed in the plane, ours            within 0.15 of a point
pendulum   gymnasium's Pendulum-v1                     within 0.25 rad of an angle near the top, below 2 rad/s
car        gymnasium's MountainCarContinuous-v0        beyond a place, on the right and on the left in turn
cartpole   gymnasium's CartPole-v1, force in [-10, 10] cart within 0.25 of a place, pole within 0.1 rad
reacher    two damped joints in the plane, ours        tip within 0.15 of a point
========== =========================================== ==========================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

State = tuple[float, ...]
Goal = tuple[float, float]
Draw = np.random.Generator

SKIP = 2
"""Steps of gymnasium's dynamics per action."""


@dataclass(frozen=True)
class Family:
    """The functions that the tasks of a family share.

    ``start`` draws a state and ``goal`` the k-th sub-goal. ``advance(state, first, second, gravity)`` makes a step
    with two actions in [-1, 1] and a factor on gravity. ``features`` returns at most six numbers, ``toward`` the
    direction of the sub-goal, and ``closeness`` a number in [0, 1]. ``reached`` tests the sub-goal at one step; it
    must hold for ``hold`` steps in a row. ``actions`` is the number of actions that ``advance`` reads.
    """

    start: Callable[[Draw], State]
    goal: Callable[[Draw, int], Goal]
    advance: Callable[[State, float, float, float], State]
    features: Callable[[State], State]
    toward: Callable[[State, Goal], Goal]
    closeness: Callable[[State, Goal], float]
    reached: Callable[[State, Goal], bool]
    hold: int
    actions: int


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
        if _fallen(x, angle):  # gymnasium ends the episode; here the pole lies until the end, at no reward
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
    # Energy per mass, relative to the energy that the goal's height takes.
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
        actions=2,
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
        actions=1,
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
        actions=1,
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
        actions=1,
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
        actions=2,
    ),
}
