"""The conditions that end a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from genoevo._check import check_at_least
from genoevo.genotype import Genotype


class Progress(Protocol):
    """The progress of a run as far as a stop reads it. An :class:`~genoevo.Evolution` has all of it."""

    best: Genotype | None
    stagnant: int
    evaluations: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The conditions that end a run. They are checked before each generation, and one is enough.

    All but *seconds* count from the beginning of the evolution, also after it was saved and resumed.

    Parameters
    ----------
    generations, evaluations
        At least that many so far. No generation is cut short.
    target
        The best genotype's first objective is at least this good under its weight.
    stagnation
        Generations since the best genotype last improved.
    seconds
        Wall time since this call of :meth:`~genoevo.Evolution.run` began.
    predicate
        A function of the :class:`~genoevo.Evolution` that returns true.

    Raises
    ------
    ValueError
        If no condition is given, or a negative one.

    """

    target: float | None = None
    predicate: Callable[[Any], bool] | None = None
    stagnation: int | None = None
    evaluations: int | None = None
    generations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise ValueError("a stop needs at least one condition")
        for name in ("stagnation", "evaluations", "generations", "seconds"):
            if getattr(self, name) is not None:
                check_at_least(name, getattr(self, name), 0)

    def reason(self, evolution: Progress, began: float) -> str | None:
        """Return the name of the first condition that holds, or None. *began* is a time of ``time.monotonic``."""
        if self.target is not None and evolution.best is not None:
            fitness = evolution.best.fitness
            if fitness.wvalues[0] >= self.target * fitness.weights[0]:
                return "target"
        if self.predicate is not None and self.predicate(evolution):
            return "predicate"
        if self.stagnation is not None and evolution.stagnant >= self.stagnation:
            return "stagnation"
        if self.evaluations is not None and evolution.evaluations >= self.evaluations:
            return "evaluations"
        if self.generations is not None and evolution.generation >= self.generations:
            return "generations"
        if self.seconds is not None and time.monotonic() - began >= self.seconds:
            return "seconds"
        return None
