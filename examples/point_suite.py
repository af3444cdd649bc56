"""A suite of one's own: a point on a line that has to reach its goal, slowly or fast.

$ genoevo mega train --preset smoke --suite point_suite:make --run-dir runs/point
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PointSuite:
    """Two tasks; observations are place, speed and goal."""

    seed: int
    goals: int
    names: tuple[str, ...] = ("slow", "fast")
    observation_size: int = 3
    action_size: int = 1
    costs: tuple[float, ...] = (1.0, 1.0)

    def make(self, task):
        """Called in a worker process."""
        return Point(self.seed, task, force=(0.01, 0.1)[task])


class Point:
    """Ends where the point rests at its goal."""

    def __init__(self, seed, task, force):
        self.seed, self.task, self.force = seed, task, force

    def reset(self, goal, *, evaluation):
        """The goal's number, and nothing that happened before, decides where it lies."""
        rng = np.random.default_rng([self.seed, self.task, evaluation, goal])
        self.place, self.speed, self.goal = 0.0, 0.0, rng.uniform(-1, 1)
        return self._observation()

    def step(self, action):
        """Observation, reward, terminated, success."""
        self.speed = 0.9 * self.speed + self.force * float(action[0])
        self.place += self.speed
        apart = abs(self.place - self.goal)
        rests = apart < 0.05 and abs(self.speed) < 0.02
        return self._observation(), -apart, rests, rests

    def _observation(self):
        return np.array([self.place, self.speed, self.goal])


def make(seed, goals):
    """What --suite point_suite:make calls."""
    return PointSuite(seed, goals)
