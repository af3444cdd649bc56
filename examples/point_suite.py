"""A custom suite: a point on a line that must reach its goal, slowly or fast.

$ genoevo mega train --preset smoke --suite point_suite:make --run-dir runs/point
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PointSuite:
    """A suite of two tasks; observations are place, speed and goal."""

    seed: int
    goals: int
    names: tuple[str, ...] = ("slow", "fast")
    observation_size: int = 3
    action_size: int = 1
    costs: tuple[float, ...] = (1.0, 1.0)

    def make(self, task):
        """Return the environment of a task; called in a worker process."""
        return Point(self.seed, task, force=(0.01, 0.1)[task])


class Point:
    """An environment that terminates when the point rests at its goal."""

    def __init__(self, seed, task, force):
        self.seed, self.task, self.force = seed, task, force

    def reset(self, goal, *, evaluation):
        """Start an episode. The number of the goal alone decides the position of the goal."""
        rng = np.random.default_rng([self.seed, self.task, evaluation, goal])
        self.place, self.speed, self.goal = 0.0, 0.0, rng.uniform(-1, 1)
        return self._observation()

    def step(self, action):
        """Return observation, reward, terminated and success."""
        self.speed = 0.9 * self.speed + self.force * float(action[0])
        self.place += self.speed
        apart = abs(self.place - self.goal)
        rests = apart < 0.05 and abs(self.speed) < 0.02
        return self._observation(), -apart, rests, rests

    def _observation(self):
        return np.array([self.place, self.speed, self.goal])


def make(seed, goals):
    """Return the suite; ``--suite point_suite:make`` calls this."""
    return PointSuite(seed, goals)
