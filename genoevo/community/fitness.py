"""The fitness of every genotype as a record of its episodes, with intervals, which survives rounds.

One episode says little about a genotype. So its episodes are added up over all rounds in which it takes part, older
ones with less weight, and two genotypes count as different only if their intervals say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoevo._types import Flags, Floats, Ints
from genoevo.community.settings import Selection
from genoevo.state import State, check_array, check_state

_LATER = ("round_episodes", "round_successes")  # states of genoevo before them are read
_SPREAD_EPISODES = 20  # over which a task's mean return and its spread are averaged


class Estimate(NamedTuple):
    """Means and standard errors, arrays of one shape."""

    mean: Floats
    error: Floats


@dataclass(slots=True)
class FitnessRecord:
    """The record of each genotype, and of each task.

    Attributes
    ----------
    episodes, successes, relative_returns : float64
        (tasks, size): weighted sums over the genotype's episodes: their number, successes, and returns in units of
        the task's own running mean and spread.
    age : int64
        (tasks, size): rounds in which the genotype had an episode.
    surrogate : float64
        (tasks, size): the score that the genotype was given without episodes in the last round; NaN for none.
    task_episodes, task_successes : float64
        (tasks,): weighted sums over all episodes of the task.
    task_count : int64
        (tasks,): the episodes of the task, none forgotten.
    round_episodes, round_successes : float64
        (tasks,): those of the task since the last round.
    mean_return, squared_spread : float64
        (tasks,): running mean of the task's returns and of their squared deviations from it; NaN before the first
        episode.

    """

    episodes: Floats
    successes: Floats
    relative_returns: Floats
    age: Ints
    surrogate: Floats
    task_episodes: Floats
    task_successes: Floats
    task_count: Ints
    round_episodes: Floats
    round_successes: Floats
    mean_return: Floats
    squared_spread: Floats
    _present: Flags  # genotypes with an episode since the last round

    @classmethod
    def fresh(cls, tasks: int, size: int) -> FitnessRecord:
        """Return the record of genotypes without episodes."""
        each = tasks, size
        return cls(
            episodes=np.zeros(each),
            successes=np.zeros(each),
            relative_returns=np.zeros(each),
            age=np.zeros(each, np.int64),
            surrogate=np.full(each, np.nan),
            task_episodes=np.zeros(tasks),
            task_successes=np.zeros(tasks),
            task_count=np.zeros(tasks, np.int64),
            round_episodes=np.zeros(tasks),
            round_successes=np.zeros(tasks),
            mean_return=np.full(tasks, np.nan),
            squared_spread=np.full(tasks, np.nan),
            _present=np.zeros(each, np.bool_),
        )

    def add(self, tasks: Ints, genotypes: Ints, success: Flags, returns: Floats) -> None:
        """Add n episodes, one at most of each task: (n,) each; *genotypes* count within their task.

        ValueError for a second episode of a task, a task or genotype that is not there, a success outside [0, 1] or a
        return that is not finite. Nothing is changed then.
        """
        self._check(tasks, genotypes, success, returns)
        first = np.isnan(self.mean_return[tasks])
        mean = np.where(first, returns, self.mean_return[tasks])
        squared = np.where(first, 0.0, self.squared_spread[tasks])
        deviation = returns - mean
        spread = np.sqrt(squared)
        relative = np.divide(deviation, spread, out=np.zeros_like(deviation), where=spread > 0)
        self.episodes[tasks, genotypes] += 1
        self.successes[tasks, genotypes] += success
        # One return far from all others must not decide for good.
        self.relative_returns[tasks, genotypes] += np.clip(relative, -3, 3)
        self.task_episodes[tasks] += 1
        self.task_successes[tasks] += success
        self.task_count[tasks] += 1
        self.round_episodes[tasks] += 1
        self.round_successes[tasks] += success
        # The first episodes count alike, later ones by an exponential average.
        share = 1 / np.minimum(self.task_count[tasks], _SPREAD_EPISODES)
        self.mean_return[tasks] = mean + share * deviation
        self.squared_spread[tasks] = squared + share * (deviation**2 - squared)
        self._present[tasks, genotypes] = True

    def _check(self, tasks: Ints, genotypes: Ints, success: Flags, returns: Floats) -> None:
        if len(np.unique(tasks)) < len(tasks):
            raise ValueError(f"a task has at most one episode at a time, got tasks {tasks.tolist()!r:.80}")
        for name, values, count in zip(("tasks", "genotypes"), (tasks, genotypes), self.age.shape, strict=True):
            if not ((values >= 0) & (values < count)).all():
                raise ValueError(f"{name} must be from 0 to {count - 1}, got {values.tolist()!r:.80}")
        if not ((success >= 0) & (success <= 1)).all():
            raise ValueError(f"success must be between 0 and 1, got {success.tolist()!r:.80}")
        if not np.isfinite(returns).all():
            raise ValueError(f"returns must be finite, got {returns.tolist()!r:.80}")

    def count_round(self) -> tuple[Floats, Floats]:
        """Age the genotypes that had an episode; return each task's episodes and successes of the round, (tasks,)."""
        self.age += self._present
        self._present[:] = False
        counted = self.round_episodes, self.round_successes
        self.round_episodes, self.round_successes = np.zeros_like(counted[0]), np.zeros_like(counted[1])
        return counted

    def fade(self, memory: float) -> None:
        """Let *memory* of the weight of all episodes so far remain."""
        for sums in (self.episodes, self.successes, self.relative_returns, self.task_episodes, self.task_successes):
            sums *= memory

    def follow(self, rows: Ints) -> None:
        """Reorder the first n genotypes of each task; *rows* (tasks, n) are their places before, -1 for new ones.

        The others stay.
        """
        new, n = rows < 0, rows.shape[1]
        for name in ("episodes", "successes", "relative_returns", "age", "surrogate", "_present"):
            array = getattr(self, name)
            moved = np.take_along_axis(array, np.maximum(rows, 0), axis=1)
            moved[new] = np.nan if name == "surrogate" else 0
            setattr(self, name, np.concatenate([moved, array[:, n:]], axis=1))

    @property
    def success(self) -> Estimate:
        """The success rate of each genotype, (tasks, size), shrunk to its task's own as by two episodes.

        A genotype of few episodes is then neither better nor worse than its task for that alone.
        """
        return _rate(self.successes, self.episodes, self.task_success.mean[:, None])

    @property
    def relative_return(self) -> Estimate:
        """The mean return of each genotype in units of its task's spread, (tasks, size), shrunk towards 0.

        The prior counts as one episode at the task's mean; the spread of single episodes is 1 by construction.
        """
        return Estimate(self.relative_returns / (self.episodes + 1), 1 / np.sqrt(self.episodes + 1))

    @property
    def task_success(self) -> Estimate:
        """The success rate (tasks,) of each task over all of its genotypes, a Beta posterior with a uniform prior."""
        return _rate(self.task_successes, self.task_episodes, 0.5)

    @property
    def task_return(self) -> Estimate:
        """The running mean return of each task and its standard error, (tasks,); NaN before the first episode."""
        count = np.clip(self.task_count, 1, _SPREAD_EPISODES)
        return Estimate(self.mean_return, np.sqrt(self.squared_spread / count))

    def better(self, challenger: Ints, incumbent: Ints, used: Ints, rule: Selection) -> Flags:
        """Return for each task whether *challenger* (tasks,) is better than *incumbent* (tasks,), both places.

        Success decides first, then return: the lower bound of one must pass the mean of the other. If neither tells
        them apart, and both are known to within the resolution, the one with fewer *used* (tasks, size) modules is
        better. A genotype of fewer than ``rule.min_rounds`` rounds is not better than any.
        """
        tasks = np.arange(len(self.age))
        won, lost = self._apart(challenger, incumbent, rule.confidence, both=False)
        # Shrunk to a task's rate near 1, one episode would make a genotype well known.
        error = _rate(self.successes, self.episodes, 0.5).error
        known = np.maximum(error[tasks, challenger], error[tasks, incumbent]) <= rule.resolution
        thriftier = used[tasks, challenger] < used[tasks, incumbent]
        return np.asarray((won | (~lost & known & thriftier)) & (self.age[tasks, challenger] >= rule.min_rounds))

    def clearly_worse(self, place: int, rule: Selection) -> Flags:
        """Return for each task whether the genotype at *place* is worse than the first, by the noise of both.

        Usage does not count. A genotype of fewer than ``rule.min_rounds`` rounds is not worse than any, and none is
        worse than an elite without an episode.
        """
        here = np.full(len(self.age), place)
        _, lost = self._apart(here, np.zeros_like(here), rule.confidence, both=True)
        return np.asarray(lost & (self.age[:, 0] > 0) & (self.age[:, place] >= rule.min_rounds))

    def _apart(self, ours: Ints, theirs: Ints, confidence: float, *, both: bool) -> tuple[Flags, Flags]:
        """Return for each task whether the genotype at *ours* is better than that at *theirs*, and whether worse.

        The difference must exceed the standard error of the better one, or with *both* its own.
        """
        tasks = np.arange(len(self.age))

        def decided(estimate: Estimate) -> tuple[Flags, Flags]:
            difference = estimate.mean[tasks, ours] - estimate.mean[tasks, theirs]
            our, their = estimate.error[tasks, ours], estimate.error[tasks, theirs]
            if both:
                our = their = np.hypot(our, their)
            return difference > confidence * our, -difference > confidence * their

        by_success, against = decided(self.success)
        by_return, against_return = decided(self.relative_return)
        return by_success | (~against & by_return), against | (~by_success & against_return)

    def as_arrays(self) -> dict[str, Any]:
        """Return copies of all arrays by name."""
        return {name.removeprefix("_"): getattr(self, name).copy() for name in self.__slots__}

    @classmethod
    def from_state(cls, state: State, tasks: int, size: int) -> FitnessRecord:
        """Return what :meth:`as_arrays` gave; ValueError names an array that is missing or does not fit."""
        fresh, arrays = cls.fresh(tasks, size).as_arrays(), {}
        check_state("a fitness record", state, [name for name in fresh if name not in _LATER])
        state = {**{name: fresh[name] for name in _LATER}, **state}
        for name, empty in fresh.items():
            arrays[name] = check_array(name, state[name], empty.dtype.type, empty.shape)
        _check_sums(arrays)
        arrays["_present"] = arrays.pop("present")
        return cls(**arrays)


def _check_sums(arrays: dict[str, Any]) -> None:
    """Raise ValueError unless the arrays of a record are what episodes can add up to."""
    unknown = np.isnan(arrays["mean_return"])  # the task had no episode yet
    for name in ("episodes", "relative_returns", "task_episodes", "round_episodes"):
        _check_record(name, np.isfinite(arrays[name]), "finite")
    sums = ("successes", "episodes"), ("task_successes", "task_episodes"), ("round_successes", "round_episodes")
    for name, most in sums:
        # Both sums are rounded alike, so that this holds exactly.
        _check_record(name, (arrays[name] >= 0) & (arrays[name] <= arrays[most]), f"from 0 to {most}")
    for name in ("age", "task_count"):
        _check_record(name, arrays[name] >= 0, "at least 0")
    _check_record("mean_return", unknown | np.isfinite(arrays["mean_return"]), "finite or NaN")
    spread = arrays["squared_spread"]
    possible = np.where(unknown, np.isnan(spread), np.isfinite(spread) & (spread >= 0))
    _check_record("squared_spread", possible, "at least 0, and NaN exactly if mean_return is")


def _check_record(name: str, good: Flags, allowed: str) -> None:
    if not good.all():
        raise ValueError(f"{name} of a fitness record must be {allowed}")


def _rate(successes: Floats, episodes: Floats, prior: Floats | float) -> Estimate:
    """Return success rates shrunk to *prior* as by two episodes; with one half, the mean of a Beta posterior."""
    mean = (successes + 2 * prior) / (episodes + 2)
    return Estimate(mean, np.sqrt(mean * (1 - mean) / (episodes + 3)))
