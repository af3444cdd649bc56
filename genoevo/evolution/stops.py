"""The conditions that end a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, get_args

import numpy as np

from genoevo._check import check_at_least, check_choice, check_count, check_flag, check_number, is_whole, shown
from genoevo.evolution.constraints import Constraints
from genoevo.evolution.pareto import as_reference, hypervolume
from genoevo.genotype import Genotype
from genoevo.population import Population

Progressing = Literal["best", "front"]
_BLOCK = 1 << 22  # comparisons of fitness at once
_MISSING = AttributeError, LookupError, TypeError, ValueError  # what a predicate meets if there is no fitness yet


class Progress(Protocol):
    """The progress of a run as far as a stop reads it. An :class:`~genoevo.Evolution` has all of it."""

    best: Genotype | None
    stagnant: int
    front_stagnant: int | None
    evaluations: int
    generation: int

    @property
    def population(self) -> Population:
        """The present genotypes."""

    def step(self) -> None:
        """Run one generation, or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The conditions that end a run. They are checked before each generation, and one is enough.

    All but *seconds* count from the beginning of the evolution, also after it was saved and resumed.

    Parameters
    ----------
    generations, evaluations
        At least that many so far. No generation is cut short.
    target
        The best genotype's first objective is at least this good under its weight, and it keeps all constraints.
    hypervolume, reference
        The population dominates at least that volume above *reference*, one value for each objective; see
        :func:`~genoevo.pareto.hypervolume`. For several objectives.
    stagnation
        Generations without progress.
    progress
        What progress is. ``best``: the best genotype improved. ``front``: a genotype was evaluated that no genotype
        of the population weakly dominates, which needs NSGA-II survival and several objectives. None: ``front`` if
        the evolution has these, else ``best``.
    seconds
        Wall time since this call of :meth:`~genoevo.Evolution.run` began.
    predicate
        A function of the :class:`~genoevo.Evolution` that returns True to stop, and False or None to go on; anything
        else raises ValueError. It is called before the first generation, too. If it raises AttributeError,
        LookupError, TypeError or ValueError then, that means False, because there is no best and no record yet.

    Raises
    ------
    ValueError
        If no condition is given, or one that is negative or not a number.

    """

    target: float | None = None
    predicate: Callable[[Any], bool] | None = None
    hypervolume: float | None = None
    reference: Sequence[float] | None = None
    stagnation: int | None = None
    evaluations: int | None = None
    generations: int | None = None
    seconds: float | None = None
    progress: Progressing | None = None

    def __post_init__(self) -> None:
        conditions = (field.name for field in fields(self) if field.name not in ("progress", "reference"))
        if all(getattr(self, name) is None for name in conditions):
            raise ValueError("a stop needs at least one condition")
        for name in ("stagnation", "evaluations", "generations"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), 0)
        if self.seconds is not None:
            check_at_least("seconds", self.seconds, 0)
        if self.target is not None:
            check_number("target", self.target)
        if self.hypervolume is not None:
            check_at_least("hypervolume", self.hypervolume, 0)
        if (self.hypervolume is None) != (self.reference is None):
            raise ValueError("a stop takes both hypervolume and reference, or none of them")
        if self.predicate is not None and not callable(self.predicate):
            raise TypeError(f"predicate must be a function of the evolution, got {shown(self.predicate)}")
        if self.progress is not None:
            check_choice("progress", self.progress, get_args(Progressing))
            if self.stagnation is None:
                raise ValueError(f"progress needs a stagnation, got {self.progress!r} alone")

    def reason(self, evolution: Progress, began: float) -> str | None:
        """Return the name of the first condition that holds, or None. *began* is a time of ``time.monotonic``."""
        # A run without constraints need not say whether its best keeps them.
        if self.target is not None and evolution.best is not None and getattr(evolution, "feasible", True):
            fitness = evolution.best.fitness
            if fitness.wvalues[0] >= self.target * fitness.weights[0]:
                return "target"
        if self.hypervolume is not None and self._dominated(evolution) >= self.hypervolume:
            return "hypervolume"
        if self.predicate is not None and self._holds(evolution):
            return "predicate"
        if self.stagnation is not None and self._stagnant(evolution) >= self.stagnation:
            return "stagnation"
        if self.evaluations is not None and evolution.evaluations >= self.evaluations:
            return "evaluations"
        if self.generations is not None and evolution.generation >= self.generations:
            return "generations"
        if self.seconds is not None and time.monotonic() - began >= self.seconds:
            return "seconds"
        return None

    def _dominated(self, evolution: Progress) -> float:
        assert self.reference is not None
        constraints = getattr(evolution, "constraints", Constraints())
        # Before the first generation, or within it; a reference that is wrong is one already.
        if evolution.best is None or not evolution.population.evaluated.all():
            as_reference(self.reference, len(constraints.objectives(evolution.population.weights)))
            return -np.inf
        return hypervolume(evolution.population, self.reference, constraints=constraints)

    def _holds(self, evolution: Progress) -> bool:
        assert self.predicate is not None
        try:
            answer = self.predicate(evolution)
        except _MISSING:
            if evolution.generation:
                raise
            return False
        if answer is not None:
            check_flag("what a predicate returns", answer)
        return bool(answer)

    def _stagnant(self, evolution: Progress) -> int:
        if self.progress == "front" and evolution.front_stagnant is None:
            raise ValueError("progress 'front' needs Survival(method='nsga2') and several objectives")
        if self.progress == "best" or evolution.front_stagnant is None:
            return evolution.stagnant
        return evolution.front_stagnant


def run_until(evolution: Progress, generations: int | Stop | None, stop: Stop | None) -> str:
    """Do what :meth:`~genoevo.Evolution.run` says."""
    if isinstance(generations, Stop):
        if stop is not None:
            raise TypeError("run() takes one stop, got two")
        generations, stop = None, generations
    if stop is not None and not isinstance(stop, Stop):
        hint = (
            f"run({stop})" if is_whole(stop) else "run(stop=Stop(predicate=...))" if callable(stop) else "Stop(...)"
        )
        raise TypeError(f"stop must be a Stop, got {shown(stop)}: write {hint}")
    if generations is None and stop is None:
        raise ValueError("run() needs a number of generations or a stop")
    if generations is not None:
        check_count("generations", generations, 0)
    began, last = time.monotonic(), np.inf if generations is None else evolution.generation + generations
    while True:
        reason = None if stop is None else stop.reason(evolution, began)
        if reason is not None:
            return reason
        if evolution.generation >= last:
            return "generations"
        if getattr(evolution, "exhausted", False):
            return "exhausted"
        evolution.step()


def front_advances(children: Population, parents: Population) -> bool:
    """Return whether one of *children* is weakly dominated by none of *parents*, both evaluated."""
    young, old = (population.fitness.reshape(len(population), -1) for population in (children, parents))
    young, old = np.unique(young * children.weights, axis=0), np.unique(old * parents.weights, axis=0)
    count = max(1, _BLOCK // old.size)
    for first in range(0, len(young), count):
        block = young[first : first + count, None]
        dominated = np.any(np.all(old >= block, axis=2), axis=1)
        if not dominated.all():
            return True
    return False
