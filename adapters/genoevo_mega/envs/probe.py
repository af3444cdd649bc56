"""A look at a suite of the user's own, or of gymnasium, before a run begins.

It must work, and it must repeat itself: resuming replays the actions of unfinished episodes, so the same goal and
actions must give the same episode, after other episodes and in another process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from genoevo_mega.config.run import Config
from genoevo_mega.envs.custom import is_other
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import Suite
from genoevo_runs.arrays import Floats, Ints
from genoevo_runs.errors import ConfigError

_FEWEST, _MOST, _SECONDS = 20, 1000, 1.0  # steps of an episode that are played, and the time for more than the fewest
_NO_LIMIT = 2**31
_TERMINATED, _SUCCESS = -3, -2  # columns of an episode


@dataclass(frozen=True)
class Findings:
    """What is odd about a suite.

    ``nondeterministic`` are tasks with the number of steps after which the same actions gave another episode.
    ``timed`` are tasks with the number of steps after which three different episodes all succeeded first.
    """

    nondeterministic: dict[str, int] = field(default_factory=dict)
    timed: dict[str, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield a line for the user about each finding."""
        yield from map(not_deterministic, self.nondeterministic)
        for name, steps in self.timed.items():
            yield (
                f"{name} succeeded after {steps} steps in three episodes with different goals and actions. If that "
                "is its time limit, its step() returns truncated in the place of success, and its success rate means "
                "nothing"
            )


def not_deterministic(name: str) -> str:
    """Return a line about a task that is not deterministic."""
    return (
        f"{name} is not deterministic: the same goal and actions gave another episode. The run is not reproducible, "
        "and when it is resumed, this task's unfinished episode continues differently"
    )


def probe(config: Config, suite: Suite) -> Findings:
    """Play the beginning of an episode of every task thrice, twice in one process and once in another, and two more.

    Suites of this package, which are known to work, are not played.

    Raises
    ------
    ConfigError
        If an environment cannot be built, or if its first reset or step fails or returns a value of another type or
        shape than expected.

    """
    if not is_other(config.suite):
        return Findings()
    workers, rollouts = config.compute.workers, config.compute.rollouts
    given = {"rollouts": rollouts, "timeout": config.faults.worker_timeout, "fault_limit": _NO_LIMIT}
    shape = 3, min(_MOST, config.environment.episode_length), len(suite.names), suite.action_size
    actions, *others = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    try:
        with RolloutPool(suite, workers, **given) as pool:
            first = _play(config.suite, pool, 0, actions, _SECONDS)
            steps = len(first) - 1
            second = _play(config.suite, pool, suite.goals - 1, others[0][:steps])
            _play(config.suite, pool, 0, actions[:1], evaluation=True)
            again = _play(config.suite, pool, 0, actions[:steps])
        with RolloutPool(suite, workers, **given) as pool:
            elsewhere = _play(config.suite, pool, 0, actions[:steps])
            third = _play(config.suite, pool, suite.goals // 2, others[1][:steps])
    except RolloutError as error:
        raise ConfigError(f"suite = {config.suite!r}: {error}") from None
    differs = (first != again).any(axis=2) | (first != elsewhere).any(axis=2)
    succeeded = np.array([_first_success(episode) for episode in (first, second, third)])
    timed = (succeeded == succeeded[0]).all(axis=0) & (succeeded[0] > 1)
    return Findings(
        {suite.names[task]: int(differs[:, task].argmax()) for task in np.flatnonzero(differs.any(axis=0))},
        {suite.names[task]: int(succeeded[0, task]) for task in np.flatnonzero(timed)},
    )


def _first_success(episode: Floats) -> Ints:
    """Return the steps after which each task first succeeded without terminating, (tasks,); 0 if it did not."""
    return ((episode[..., _SUCCESS] != 0) & (episode[..., _TERMINATED] == 0)).argmax(axis=0)


def _play(
    name: str,
    pool: RolloutPool,
    goal: int,
    actions: Floats,
    seconds: float = 0,
    *,
    evaluation: bool = False,
) -> Floats:
    """Return all that an episode of every task gave, at its start and after each step: (steps + 1, tasks, n) float32.

    *actions* are (steps, tasks, action_size). With *seconds*, the last steps are left out if all episodes are over,
    or if the time is.
    """
    tasks, began = actions.shape[1], time.monotonic()
    first = pool.reset(np.full(tasks, goal), evaluation=evaluation)
    _refuse_faults(name, pool, "reset")
    seen, active = [np.pad(first, ((0, 0), (0, 4)))], np.ones(tasks, np.bool_)
    for number, action in enumerate(actions):
        late = number >= _FEWEST and time.monotonic() > began + seconds
        if seconds and (late or not active.any()):
            break
        given = pool.step(action, active)
        if number == 0:
            _refuse_faults(name, pool, "step")
        rest = given.rewards, given.terminated, given.success, given.lost
        seen.append(np.column_stack([given.observations, *rest]))
        active &= ~(given.terminated | given.lost)
    pool.take_faults()  # those of later steps are of the kind that a run survives
    return np.array(seen)


def _refuse_faults(name: str, pool: RolloutPool, method: str) -> None:
    for fault in pool.take_faults():
        told = fault.reason if fault.reason.startswith(f"{method}()") else f"{method}(): {fault.reason}"
        raise ConfigError(f"suite = {name!r}: {', '.join(fault.tasks)}: {told}; see docs/tutorials/suite.rst")
