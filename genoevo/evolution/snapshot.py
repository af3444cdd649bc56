"""The part of an evolution's state that changes as it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from genoevo._check import check_whole
from genoevo._types import Ints
from genoevo.evolution import history
from genoevo.evolution.pending import Pending
from genoevo.evolution.resampling import Estimates
from genoevo.genotype import Genotype
from genoevo.layout import Layout
from genoevo.population import Population
from genoevo.state import (
    State,
    check_array,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
)

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_COUNTS = ("generation", "evaluations", "stagnant")
PARTS = ("population", "numbers", "asked", "best", "rng", *_COUNTS, "log")
"""The entries of a state that a snapshot gives and takes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The attributes of an :class:`~genoevo.Evolution` that change from one generation to the next."""

    population: Population
    numbers: Ints
    pending: Pending | None
    best: Genotype | None
    rng: np.random.Generator
    generation: int
    evaluations: int
    stagnant: int
    front_stagnant: int | None
    logbook: history.Log
    estimates: Estimates | None

    def as_state(self) -> State:
        """Return the entries :data:`PARTS` of the evolution's state, and those of later versions unless None."""
        front = {} if self.front_stagnant is None else {"front_stagnant": self.front_stagnant}
        estimates = {} if self.estimates is None else {"estimates": self.estimates.as_state()}
        return {
            "population": population_state(self.population),
            "numbers": self.numbers,
            "asked": None if self.pending is None else self.pending.as_state(),
            "best": None if self.best is None else population_state(Population.from_genotypes([self.best])),
            "rng": generator_state(self.rng),
            **{name: getattr(self, name) for name in _COUNTS},
            **front,
            "log": history.log_state(self.logbook),
            **estimates,
        }

    @classmethod
    def from_state(cls, state: State) -> Snapshot:
        """Return what :meth:`as_state` gave; ValueError says what does not fit. *state* has all :data:`PARTS`."""
        population = population_from_state(state["population"])
        numbers = check_array("numbers", state["numbers"], np.int64, (len(population),))
        pending = None
        if state["asked"] is not None:
            pending = Pending.from_state(state["asked"])
            _check_weights("pending genotypes", pending.population, population.weights)
        rng, so_far = generator_from_state(state["rng"]), counts(state, _COUNTS)
        this = f"an evolution of {so_far['generation']} generations"
        best = best_from_state(this, state["best"], population.weights, begun=so_far["generation"] > 0)
        if best is not None:
            population.check_evaluated()
        front_stagnant = state.get("front_stagnant")  # a state of an earlier version has none
        if front_stagnant is not None:
            check_whole("front_stagnant", front_stagnant, 0)
        logbook = history.log_from_state(state["log"])
        history.check_log(logbook, so_far["generation"])
        estimates = Estimates.from_state(state["estimates"], population) if "estimates" in state else None
        if pending is not None and pending.again is not None:
            _check_again(pending.again, 0 if estimates is None else len(population))
        later: dict[str, Any] = {"front_stagnant": front_stagnant, "estimates": estimates, **so_far}
        return cls(population, numbers, pending, best, rng, logbook=logbook, **later)


CHANGING = tuple(field.name for field in fields(Snapshot) if field.name != "pending")


def layout_name(layout: Layout | None) -> str:
    """Return the text by which a state identifies its layout."""
    # The repr that a class inherits from object is different in each process, and so is an address in a repr.
    return type(layout).__qualname__ if type(layout).__repr__ is object.__repr__ else _without_addresses(repr(layout))


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("", text)


def check_layout(state: State, layout: Layout | None) -> None:
    """Raise ValueError if *state* identifies another layout."""
    if state["layout"] is None:  # of an early version, which did not record it
        return
    if _without_addresses(str(state["layout"])) != layout_name(layout):
        was = f"{state['layout']!s:.80}"
        raise ValueError(f"this is the state of an evolution with layout {was}, got {layout_name(layout)}")


def best_from_state(what: str, state: State | None, weights: tuple[float, ...], *, begun: bool) -> Genotype | None:
    """Return the best genotype in the state of *what*, which has one if it has *begun*; ValueError if not."""
    if (state is None) == begun:
        raise ValueError(f"{what} cannot have best {state!r:.80}")
    if state is None:
        return None
    best = population_from_state(state)
    best.check_evaluated()
    _check_weights("the best", best, weights)
    return best[0]


def _check_again(rows: Ints, count: int) -> None:
    if ((rows < 0) | (rows >= count)).any():
        raise ValueError(f"the rows evaluated again must be below {count}, got {rows.tolist()!r:.80}")


def _check_weights(what: str, population: Population, weights: tuple[float, ...]) -> None:
    if population.weights != weights:
        raise ValueError(f"the weights of {what} must be the population's, {weights}, got {population.weights}")
