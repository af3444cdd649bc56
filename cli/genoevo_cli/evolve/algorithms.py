"""The algorithms of ``genoevo evolve --algorithm``, by name.

An algorithm is what :class:`~genoevo.Evolution` is to the command: it has ``run(stop=...)``, ``state_dict``,
``best``, ``population``, ``generation``, ``evaluations``, ``logbook``, ``lineage`` and ``failures``. To add one, add
an entry to ALGORITHMS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from deap.tools import Statistics

from genoevo import Evolution
from genoevo.algorithms import ALGORITHMS as KINDS
from genoevo.algorithms import LTGA, P3, FastGA
from genoevo.algorithms.linkage import LinkageLearner
from genoevo.algorithms.ltga import LARGEST
from genoevo.evaluation import Evaluator
from genoevo.evolution import Callback, Record, Selection, Survival
from genoevo.operators import Reproduction
from genoevo.state import State
from genoevo_cli.evolve.problems import Posed


class Search(Protocol):
    """The settings of a search that an algorithm reads, and its problem."""

    @property
    def posed(self) -> Posed: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def algorithm(self) -> str: ...  # noqa: D102
    @property
    def population(self) -> int | None: ...  # noqa: D102
    @property
    def at_once(self) -> int: ...  # noqa: D102
    @property
    def crossover_rate(self) -> float: ...  # noqa: D102
    @property
    def mutation_rate(self) -> float | None: ...  # noqa: D102
    @property
    def resize_rate(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Parts:
    """What a search gives its algorithm besides its settings; *report* if a page will show lineage and front."""

    evaluate: Evaluator
    statistics: Statistics
    callbacks: Sequence[Callback]
    report: bool


@dataclass(frozen=True)
class Algorithm:
    """An algorithm.

    Attributes
    ----------
    begin : callable
        ``(search, parts) -> evolution``: a new search. *search* has the settings and the problem.
    resume : callable
        ``(search, parts, state) -> evolution``: a search from its ``state_dict()``. Raises ValueError if the state
        does not match the settings.
    options : frozenset of str
        The settings of OPTIONS that this algorithm has. Giving another one is an error.
    population : int or None
        The default number of genotypes; None if the algorithm needs none.
    generations : int or None
        The default limit on generations; None for one of EVALUATIONS, as a generation may be a single one.

    """

    begin: Callable[[Search, Parts], Any]
    resume: Callable[[Search, Parts, State], Any]
    options: frozenset[str]
    population: int | None = None
    generations: int | None = None


OF_GA = frozenset({"population", "crossover_rate", "mutation_rate", "resize_rate"})
OPTIONS = OF_GA | {"at_once"}
"""All settings that only some algorithms have."""

EVALUATIONS = 100_000
"""The default limit on evaluations of an algorithm that has no other: what ga's 1000 generations of 100 may take."""

MOST_BITS = 100_000_000
"""Limit on the bits of a population: some problems take eight bytes for each."""

SMALLEST = 8
"""Genotypes of the first population of an LTGA without a size, as in ``benchmarks/linkage.py``."""

MOST_LINKED = 5_000
"""Limit on the bits of an algorithm that learns linkage: it takes about 50 bytes for each pair of bits."""


NSGA2 = "nsga2"
_BY_FRONT = {
    "selection": Selection(method="crowded", tournament_size=2),
    "survival": Survival(strategy="plus", method="nsga2"),
}


def default_algorithm(problem: Posed) -> str:
    """Return the algorithm of a search whose user names none."""
    return NSGA2 if len(problem.objectives) > 1 else "ga"


def _begin_ga(search: Search, parts: Parts) -> Evolution:
    problem, rules = search.posed, dict[str, Any]()
    if search.algorithm == NSGA2:
        if len(problem.objectives) < 2:
            raise ValueError(f"--algorithm {NSGA2} needs several objectives, got {len(problem.objectives)}: use ga")
        rules = _BY_FRONT
    return Evolution(
        parts.evaluate,
        problem.random(search.population or 1, np.random.default_rng([search.seed, 0])),
        seed=search.seed,
        reproduction=Reproduction(
            crossover_threshold=search.crossover_rate,
            mutation_rate=search.mutation_rate,
            resize_rate=search.resize_rate or 0.0,
            granularity="gene",
        ),
        constraints=problem.constraints,
        layout=problem.layout,
        record=_record(search, report=parts.report),
        statistics=parts.statistics,
        callbacks=parts.callbacks,
        **rules,
    )


def _record(search: Search, *, report: bool) -> Record:
    return Record(lineage=report, pareto_front=report and search.algorithm == NSGA2)


def _resume_ga(search: Search, parts: Parts, state: State) -> Evolution:
    new = _begin_ga(search, parts)
    evolution = Evolution.from_state(
        state, parts.evaluate, layout=new.layout, statistics=parts.statistics, callbacks=parts.callbacks
    )
    records = [_record(search, report=report) for report in (False, True)]
    if _rules(evolution) != _rules(new) or evolution.record not in records:
        raise ValueError("the rules in the state do not match its settings")
    return evolution


def _rules(evolution: Evolution) -> tuple[object, ...]:
    e = evolution
    rules = e.reproduction, e.selection, e.survival, e.islands, e.variation, e.constraints, e.resampling
    return *rules, len(e.population), e.population.weights, e.is_asked


def _begin(search: Search, parts: Parts) -> Any:
    """Begin a search by an algorithm of ``genoevo.algorithms``."""
    kind, problem = KINDS[search.algorithm], search.posed
    if problem.varies:
        raise ValueError(
            f"--algorithm {search.algorithm} keeps the length of each genotype, which the problem lets vary: use ga"
        )
    if issubclass(kind, LinkageLearner) and problem.size > MOST_LINKED:
        raise ValueError(f"--algorithm {search.algorithm} takes at most {MOST_LINKED:,} bits, got {problem.size:,}")
    make: Callable[..., Any] = kind
    genotypes, own = _own(search)
    return make(
        parts.evaluate,
        problem.random(genotypes, np.random.default_rng([search.seed, 0])),
        seed=search.seed,
        record=_record(search, report=parts.report),
        statistics=parts.statistics,
        callbacks=parts.callbacks,
        **own,
    )


def _own(search: Search) -> tuple[int, dict[str, Any]]:
    """Return the number of genotypes to start from, and the settings that only this algorithm has."""
    if search.algorithm == LTGA.KIND:
        if search.population is not None:
            return search.population, {"interleaved": False}
        most = max(SMALLEST, MOST_BITS // search.posed.size)
        return SMALLEST, {"interleaved": True, "largest": min(most, LARGEST)}
    if search.algorithm == P3.KIND:
        return search.at_once, {"at_once": search.at_once}
    return 1, {"offspring": search.at_once} if search.algorithm == FastGA.KIND else {}


def _resume(search: Search, parts: Parts, state: State) -> Any:
    new = _begin(search, parts)
    found = KINDS[search.algorithm].from_state(
        state, parts.evaluate, statistics=parts.statistics, callbacks=parts.callbacks
    )
    records = [_record(search, report=report) for report in (False, True)]
    if _outline(found) != _outline(new) or found.record not in records:
        raise ValueError("the algorithm in the state does not match its settings")
    return found


def _outline(algorithm: Any) -> tuple[object, ...]:
    settings = [getattr(algorithm, name) for name in algorithm.SETTINGS]
    start = algorithm.start
    return settings, start.lengths.tolist(), start.words.tolist(), start.weights, algorithm.is_asked


ALGORITHMS: dict[str, Algorithm] = {
    **{name: Algorithm(_begin_ga, _resume_ga, OF_GA, population=100, generations=1000) for name in ("ga", NSGA2)},
    **{name: Algorithm(_begin, _resume, frozenset()) for name in KINDS},
    **{name: Algorithm(_begin, _resume, frozenset({"at_once"})) for name in (P3.KIND, FastGA.KIND)},
    LTGA.KIND: Algorithm(_begin, _resume, frozenset({"population"})),
}
"""The algorithms by the name that ``--algorithm`` takes: ``ga`` and ``nsga2``, genetic algorithms of ``Evolution``,
and those of ``genoevo.algorithms``."""
