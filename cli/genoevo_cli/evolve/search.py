"""The settings of a search of ``genoevo evolve``, checked wherever they come from: an option or a file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genoevo import Evolution, FlatLayout
from genoevo._check import check_between, check_choice, check_whole
from genoevo.checkpoint import check_about
from genoevo.evaluation import Vectorised
from genoevo.evolution import Callback, Record
from genoevo.operators import Reproduction
from genoevo.problems import PROBLEMS, Problem
from genoevo.state import State
from genoevo_cli.evolve import convergence

MOST_GENOTYPES = MOST_SIZE = 1_000_000
MOST_BITS = 100_000_000
"""Limit on the bits of a population: some problems take eight bytes for each."""

ProblemSettings = dict[str, int | str]


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a search. Raises ValueError, which names a setting that is not allowed.

    *size*, entries of *settings* and *resize_rate* default to the values of the problem.
    """

    problem: str
    size: int | None = None
    settings: ProblemSettings
    population: int = 100
    generations: int = 1000
    crossover_rate: float = 0.9
    mutation_rate: float | None = None
    resize_rate: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        check_choice("problem", self.problem, list(PROBLEMS))
        check_whole("population", self.population, 2, MOST_GENOTYPES)
        check_whole("generations", self.generations, 1)
        check_whole("seed", self.seed, 0)
        for name in ("crossover_rate", "mutation_rate", "resize_rate"):
            _check_rate(name, getattr(self, name), optional=name != "crossover_rate")
        if self.size is not None:
            check_whole("size", self.size, 1, MOST_SIZE)
        function = self.function
        if self.population * function.size > MOST_BITS:
            got = f"{self.population:,} times {function.size:,}"
            raise ValueError(f"population times size must be at most {MOST_BITS:,}, got {got}")
        varies = function.layout != FlatLayout(genes=function.size)
        if self.resize_rate and not varies:
            raise ValueError(
                f"resize-rate must be 0 if all genotypes have {function.size} bits, got {self.resize_rate:g}"
            )
        filled = {"size": function.size, "settings": {**defaults(self.problem), **self.settings}}
        if self.resize_rate is None:
            filled["resize_rate"] = 0.1 if varies else 0.0
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    @cached_property
    def function(self) -> Problem:
        """The fitness function."""
        known = defaults(self.problem)
        for name, value in self.settings.items():
            if name not in known:
                raise ValueError(f"--set of {self.problem} takes {_listed(known)}, got '{name}={value}'")
        size = {} if self.size is None else {"size": self.size}
        return PROBLEMS[self.problem](**size, **self.settings)

    def evolution(self, state: State | None, callbacks: Sequence[Callback], *, lineage: bool = False) -> Evolution:
        """Return a new search, or the one in *state*; ValueError if the state belongs to another search.

        A new search records its lineage if *lineage* is true; a resumed search, if it did so before.
        """
        function, evaluate, statistics = self.function, Vectorised(self.function), convergence.statistics()
        new = Evolution(
            evaluate,
            function.random(self.population, np.random.default_rng([self.seed, 0])),
            seed=self.seed,
            reproduction=Reproduction(
                crossover_threshold=self.crossover_rate,
                mutation_rate=self.mutation_rate,
                resize_rate=self.resize_rate or 0.0,
                granularity="gene",
            ),
            layout=function.layout,
            record=Record(lineage=lineage),
            statistics=statistics,
            callbacks=callbacks,
        )
        if state is None:
            return new
        evolution = Evolution.from_state(
            state, evaluate, layout=function.layout, statistics=statistics, callbacks=callbacks
        )
        if _rules(evolution) != _rules(new) or evolution.record not in (Record(), Record(lineage=True)):
            raise ValueError("the rules in the state do not match its settings")
        function(evolution.population)  # raises ValueError if a length is not legal
        convergence.check(evolution.logbook)
        return evolution


def new_search(given: Mapping[str, Any]) -> Search:
    """Return a new search with the options *given*."""
    return Search(**{"settings": {}, **given})


def resumed_search(path: Path, state: State, given: Mapping[str, Any]) -> Search:
    """Return the search whose *state* was read from *path*.

    Raises ValueError, which names an option in *given* that differs from the saved one; only generations may differ.
    """
    problem_of(path, state)
    about, settings = state["about"], given.get("settings", {})
    same = {name: value for name, value in given.items() if name not in ("generations", "settings")}
    check_about(path, state, same)
    check_about(path, {"about": about["settings"]}, settings)
    try:
        return Search(**{**about, "generations": given.get("generations", about["generations"])})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error


def problem_of(path: Path, state: State) -> str:
    """Return the problem's name in a *state* read from *path*; ValueError if this command did not write it."""
    check_about(path, state, {})
    known = state["about"]
    if set(known) != {field.name for field in fields(Search)} or not isinstance(known["settings"], dict):
        raise ValueError(f"{path} is not a search of genoevo evolve")
    check_choice(f"the problem of {path}", known["problem"], list(PROBLEMS))
    return str(known["problem"])


def parse_settings(problem: str, settings: Sequence[str]) -> ProblemSettings:
    """Parse settings of the form ``NAME=VALUE``; ValueError if the problem does not have one of them."""
    known, values = defaults(problem), ProblemSettings()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in known:
            raise ValueError(f"--set of {problem} takes {_listed(known)}, got {setting!r:.80}")
        if isinstance(known[name], str):
            values[name] = value
            continue
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise ValueError(f"{name} must be a whole number, got {value!r:.80}")
        values[name] = int(value)
    return values


def defaults(problem: str) -> ProblemSettings:
    """Return the settings of a problem, except its size, with their defaults."""
    known = inspect.signature(PROBLEMS[problem]).parameters
    return {name: p.default for name, p in known.items() if name != "size" and isinstance(p.default, int | str)}


def _rules(evolution: Evolution) -> tuple[object, ...]:
    e = evolution
    rules = e.reproduction, e.selection, e.survival, e.islands
    return *rules, len(e.population), e.population.weights, e.is_asked


def _check_rate(name: str, rate: object, *, optional: bool) -> None:
    if rate is None and optional:
        return
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise ValueError(f"{name} must be a number, got {rate!r:.80}")
    check_between(name, rate, 0, 1)


def _listed(known: ProblemSettings) -> str:
    return ", ".join(f"{name}=..." for name in known) or "nothing"
