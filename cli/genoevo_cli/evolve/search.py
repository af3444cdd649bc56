"""The settings of a search of ``genoevo evolve``, checked wherever they come from: an option or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from genoevo._check import check_between, check_choice, check_whole
from genoevo.algorithms.options import MOST as MOST_AT_ONCE
from genoevo.checkpoint import check_about
from genoevo.evaluation import Evaluator
from genoevo.evolution import Callback
from genoevo.problems import PROBLEMS
from genoevo.state import State
from genoevo_cli.evolve import convergence
from genoevo_cli.evolve.algorithms import ALGORITHMS, EVALUATIONS, MOST_BITS, OPTIONS, Parts, default_algorithm
from genoevo_cli.evolve.problems import SETTING, Posed, ProblemSettings, Value, defaults, is_code, pose
from genoevo_runs.user_code import check_allowed

MOST_GENOTYPES = MOST_SIZE = 1_000_000

LIMITS = ("generations", "evaluations")
_LATER: dict[str, Any] = {"algorithm": "ga", "at_once": 1, "evaluations": None}
"""What settings stand for that files of earlier versions do not have."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a search. Raises ValueError, which names a setting that is not allowed.

    *size*, entries of *settings* and *resize_rate* default to the values of the problem, an empty *algorithm* to the
    one for its objectives, *population* to the algorithm's. A limit of None is no limit; if both are None, the
    algorithm's default limit takes their place.
    """

    problem: str
    size: int | None = None
    settings: ProblemSettings
    algorithm: str = ""
    population: int | None = None
    at_once: int = 1
    generations: int | None = None
    evaluations: int | None = None
    crossover_rate: float = 0.9
    mutation_rate: float | None = None
    resize_rate: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if not is_code(self.problem):
            check_choice("problem", self.problem, list(PROBLEMS))
        if self.size is not None:
            check_whole("size", self.size, 1, MOST_SIZE)
        if not self.algorithm:
            object.__setattr__(self, "algorithm", default_algorithm(self.posed))
        check_choice("algorithm", self.algorithm, list(ALGORITHMS))
        algorithm = ALGORITHMS[self.algorithm]
        if self.population is None:
            object.__setattr__(self, "population", algorithm.population)
        elif algorithm.population is None and "population" not in algorithm.options:
            raise ValueError(f"population must be None for algorithm {self.algorithm}, got {self.population!r:.80}")
        if self.population is not None:
            check_whole("population", self.population, 2, MOST_GENOTYPES)
        check_whole("at_once", self.at_once, 1, MOST_AT_ONCE)
        if self.at_once > 1 and "at_once" not in algorithm.options:
            raise ValueError(f"at_once must be 1 for algorithm {self.algorithm}, got {self.at_once}")
        for name in LIMITS:
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed, 0)
        for name in ("crossover_rate", "mutation_rate", "resize_rate"):
            _check_rate(name, getattr(self, name), optional=name != "crossover_rate")
        posed = self.posed
        for name, genotypes in (("population", self.population), ("at_once", self.at_once)):
            if genotypes is not None and genotypes * posed.size > MOST_BITS:
                got = f"{genotypes:,} times {posed.size:,}"
                raise ValueError(f"{name} times size must be at most {MOST_BITS:,}, got {got}")
        filled = {"size": posed.size, "settings": {**defaults(self.problem), **self.settings}}
        if self.generations is None and self.evaluations is None:
            filled["generations"] = algorithm.generations
            if algorithm.generations is None:
                filled["evaluations"] = EVALUATIONS
        if self.resize_rate is None and "resize_rate" in algorithm.options:
            filled["resize_rate"] = 0.1 if posed.varies else 0.0
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    @cached_property
    def posed(self) -> Posed:
        """The problem. The user's own must be allowed, see :mod:`genoevo_runs.user_code`."""
        return pose(self.problem, self.size, self.settings)

    def evolution(
        self, state: State | None, evaluate: Evaluator, callbacks: Sequence[Callback], *, report: bool = False
    ) -> Any:
        """Return a new search, or the one in *state*; ValueError if the state belongs to another search.

        A new search records what a page shows, lineage and front, if *report* is true; a resumed search, if it did
        so before.
        """
        algorithm = ALGORITHMS[self.algorithm]
        parts = Parts(evaluate, convergence.statistics(), callbacks, report)
        if state is None:
            return algorithm.begin(self, parts)
        evolution = algorithm.resume(self, parts, state)
        if self.problem in PROBLEMS:
            self.posed.evaluate.function(evolution.population)  # raises ValueError if a length is not legal
        convergence.check(evolution.logbook)
        return evolution

    def about(self) -> dict[str, Any]:
        """Return what identifies the search in its file, without what it is in files of earlier versions, too."""
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}


def new_search(given: Mapping[str, Any]) -> Search:
    """Return a new search with the options *given*; ValueError for one that the algorithm does not have."""
    _check_options(given.get("algorithm", "ga"), given)
    search = Search(**{"settings": {}, **given})
    if search.resize_rate and not search.posed.varies:
        raise ValueError(
            f"resize-rate must be 0 if all genotypes have {search.posed.size} bits, got {search.resize_rate:g}"
        )
    return search


def _check_options(algorithm: str, given: Mapping[str, Any]) -> None:
    for name in sorted(OPTIONS & set(given)):
        if name not in ALGORITHMS[algorithm].options:
            raise ValueError(f"--{name.replace('_', '-')} has no meaning for --algorithm {algorithm}")


def resumed_search(path: Path, state: State, given: Mapping[str, Any]) -> Search:
    """Return the search whose *state* was read from *path*.

    The limits in *given* take the place of both saved ones. Raises ValueError, which names another option in *given*
    that differs from the saved one.
    """
    problem_of(path, state)
    about, settings = {**_LATER, **state["about"]}, given.get("settings", {})
    same = {name: value for name, value in given.items() if name not in (*LIMITS, "settings")}
    limits = {name: given.get(name) for name in LIMITS} if any(name in given for name in LIMITS) else {}
    check_choice(f"the algorithm of {path}", about["algorithm"], list(ALGORITHMS))
    _check_options(about["algorithm"], given)
    check_about(path, {"about": about}, same)
    check_about(path, {"about": about["settings"]}, settings)
    try:
        return Search(**{**about, **limits})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error


def problem_of(path: Path, state: State) -> str:
    """Return the problem's name in a *state* read from *path*; ValueError if this command did not write it.

    UserError if it is code that the user did not allow.
    """
    check_about(path, state, {})
    known = {**_LATER, **state["about"]}
    if set(known) != {field.name for field in fields(Search)} or not _are_settings(known["settings"]):
        raise ValueError(f"{path} is not a search of genoevo evolve")
    problem = known["problem"]
    if isinstance(problem, str) and is_code(problem):
        check_allowed({SETTING: problem}, path)
    else:
        check_choice(f"the problem of {path}", problem, list(PROBLEMS))
    return str(problem)


def _are_settings(settings: object) -> bool:
    return isinstance(settings, dict) and all(isinstance(value, Value) for value in settings.values())


def _check_rate(name: str, rate: object, *, optional: bool) -> None:
    if rate is None and optional:
        return
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise ValueError(f"{name} must be a number, got {rate!r:.80}")
    check_between(name, rate, 0, 1)
