"""DEAP's hall of fame, Pareto front, statistics and logbook, fed from packed populations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from deap.tools import HallOfFame, Logbook, MultiStatistics, ParetoFront, Statistics

from genoevo._check import check_whole, shown
from genoevo._frame import data_frame
from genoevo._types import Flags, Floats
from genoevo.evolution.attempts import REASONS
from genoevo.evolution.stops import Progress
from genoevo.population import Population
from genoevo.state import State, check_state, population_from_state, population_state

COLUMNS = ("generation", "evaluations", "best", "mean", "length", "failed")
"""The columns that every record of the logbook has besides the statistics."""


class PopulationStatistics(Statistics):  # type: ignore[misc]
    """DEAP's ``Statistics`` whose key takes the whole :class:`~genoevo.Population` and returns an array.

    The registered functions get that array, so no genotype becomes an object. It can replace DEAP's own
    everywhere, also in a ``MultiStatistics``.

    Examples
    --------
    >>> import numpy as np
    >>> statistics = PopulationStatistics(lambda population: population.lengths)
    >>> statistics.register("longest", np.max)
    >>> int(statistics.compile(Population.from_genotypes(["01", "01101"]))["longest"])
    5

    """

    def compile(self, data: Population) -> dict[str, Any]:
        """Return the value of each registered function of the key's array."""
        values = self.key(data)
        return {name: function(values) for name, function in self.functions.items()}


class Log(Logbook):  # type: ignore[misc]
    """DEAP's ``Logbook`` of a search, which can become a data frame."""

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each generation.

        The columns are those of the log. Column ``min`` of a chapter ``size`` is ``size.min``; the number of failures
        for each reason is ``reasons.`` and the reason, 0 if there were none. Raises ImportError if pandas is not
        installed.
        """
        names = dict.fromkeys(name for record in self for name in record if name != REASONS)
        columns = {name: [record.get(name) for record in self] for name in names}
        for chapter, records in self.chapters.items():
            by_generation = {record["generation"]: record for record in records}
            for name in dict.fromkeys(name for record in records for name in record if name != "generation"):
                found = [by_generation.get(generation, {}).get(name) for generation in columns["generation"]]
                columns[f"{chapter}.{name}"] = found
        for reason in dict.fromkeys(reason for record in self for reason in record.get(REASONS, {})):
            columns[f"{REASONS}.{reason}"] = [record.get(REASONS, {}).get(reason, 0) for record in self]
        frame = data_frame("a log", columns, "row")
        return frame.set_index("generation") if len(frame) else frame


def check_names(statistics: Statistics | MultiStatistics, further: Iterable[str] = ()) -> None:
    """Raise ValueError if a name of *statistics* is a column of the logbook's own, or one of the *further*."""
    if not isinstance(statistics, Statistics | MultiStatistics):
        raise TypeError(f"statistics must be a Statistics or MultiStatistics of DEAP, got {shown(statistics)}")
    names = set(statistics.fields)
    if isinstance(statistics, MultiStatistics):
        names.update(*(part.fields for part in statistics.values()))
    if taken := sorted(names & {*COLUMNS, REASONS, *further}):
        raise ValueError(f"statistics cannot be named {', '.join(taken)}: the log has columns of these names")


def update_hall_of_fame(hall: HallOfFame, population: Population) -> None:
    """Do what ``hall.update(population)`` does, but only genotypes that could enter become objects.

    Of equal genotypes the first stays.
    """
    rows = np.arange(len(population))
    if len(hall) == hall.maxsize:  # nobody enters whose first objective is below the last one's
        first = population.fitness.reshape(len(population), -1)[:, 0] * population.weights[0]
        worst = hall[-1].fitness.wvalues[0]
        rows = (first > worst if len(population.weights) == 1 else first >= worst).nonzero()[0]
    if not len(rows):
        return
    rows = rows[np.argsort(-population.merit()[rows], kind="stable")]
    while len(rows):
        best = population[int(rows[0])]
        if len(hall) == hall.maxsize and not best.fitness > hall[-1].fitness:
            return
        hall.update([best])
        twin = (population.words[rows] == population.words[rows[0]]).all(axis=1)
        rows = rows[~twin | (population.lengths[rows] != population.lengths[rows[0]])]


def update_pareto_front(front: ParetoFront, population: Population) -> None:
    """Do what ``front.update(population)`` does, but compare all at once, and make objects of what enters alone."""
    members = np.array([genotype.fitness.wvalues for genotype in front]).reshape(len(front), len(population.weights))
    population = population[np.flatnonzero(~_dominated(_weighted(population), members))]
    rows = np.column_stack([population.lengths.astype(np.uint64), population.words])
    population = population[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
    weighted = _weighted(population)
    population = population[np.flatnonzero(~_dominated(weighted, weighted))]  # these would enter and leave again
    for row in reversed(np.flatnonzero(_dominated(members, _weighted(population)))):
        front.remove(int(row))
    known = {(genotype, genotype.fitness.wvalues) for genotype in front}
    for genotype in population:
        if (genotype, genotype.fitness.wvalues) not in known:
            front.insert(genotype)


def _weighted(population: Population) -> Floats:
    return population.fitness.reshape(len(population), len(population.weights)) * population.weights


def _dominated(values: Floats, others: Floats) -> Flags:
    """Return which of *values*, (n, k), one of *others*, (m, k), dominates; all are maximised."""
    values, rows = np.unique(values, axis=0, return_inverse=True)  # many genotypes may have one fitness
    others, values = np.unique(others, axis=0), values[:, None]
    dominated = (np.all(others >= values, axis=2) & np.any(others > values, axis=2)).any(axis=1)
    return np.asarray(dominated[rows.reshape(-1)])


def hall_state(hall: HallOfFame) -> State | None:
    """Return the genotypes of a hall of fame or Pareto front, best first; None for an empty one."""
    return population_state(Population.from_genotypes(hall)) if len(hall) else None


def refill(hall: HallOfFame, state: State | None, weights: tuple[float, ...]) -> None:
    """Fill an empty hall of fame or Pareto front with what :func:`hall_state` gave; ValueError if it does not fit."""
    if state is None:
        return
    population = population_from_state(state)
    population.check_evaluated()
    most = hall.maxsize or len(population)
    if population.weights != weights or len(population) > most:
        raise ValueError(f"a hall of fame must hold at most {most} of weights {weights}, got {population}")
    for genotype in reversed(list(population)):
        hall.insert(genotype)  # in front of its equals: from the last to the first restores their order


def record(
    logbook: Logbook,
    run: Progress,
    failed: int,
    statistics: Statistics | MultiStatistics | None,
    reasons: dict[str, int],
    further: dict[str, int],
) -> None:
    """Add a generation to *logbook*, in which *failed* evaluations failed, for these *reasons*.

    *further* are columns of rules that not all runs have. A chapter gets its own statistics and the generation.
    """
    # The search is complete without its statistics: if one raises, it can still be saved and resumed.
    noted = {**further, REASONS: reasons} if reasons else further
    logbook.append({**columns(run, failed), **noted})
    compiled = {} if statistics is None else plain(statistics.compile(run.population))
    chapters = {name: values for name, values in compiled.items() if isinstance(values, dict)}
    flat = {name: value for name, value in compiled.items() if name not in chapters}
    logbook[-1].update(flat)
    for name, values in chapters.items():
        logbook.chapters[name].append({"generation": run.generation, **values})
    arrange(logbook)


def arrange(logbook: Logbook) -> None:
    """Have *logbook* print each chapter's own columns alone, and no reasons of failures."""
    for chapter in logbook.chapters.values():
        if chapter and not chapter.header:
            chapter.header = [name for name in sorted(chapter[0]) if name not in COLUMNS]
    if logbook and REASONS in logbook[0] and not logbook.header:
        logbook.header = sorted(set(logbook[0]) - {REASONS}) + sorted(logbook.chapters)


def failed(evaluated: Population) -> int:
    """Return how many genotypes of *evaluated* have an infinite fitness."""
    infinite = np.isinf(evaluated.fitness.reshape(len(evaluated), -1))
    return int(infinite.any(axis=1).sum()) if np.count_nonzero(infinite) else 0


def columns(run: Progress, failed: int) -> dict[str, float]:
    """Return the :data:`COLUMNS` of the generation that *run* has completed, in which *failed* evaluations failed."""
    assert run.best is not None
    population = run.population
    first = population.fitness.reshape(len(population), -1)[:, 0]
    finite = first[np.isfinite(first)]
    return {
        "generation": run.generation,
        "evaluations": run.evaluations,
        "best": run.best.fitness.values[0],
        "mean": float(finite.sum() / finite.size if finite.size else first[0]),
        "length": float(population.lengths.sum() / len(population)),
        "failed": failed,
    }


def log_state(logbook: Logbook) -> State:
    """Return the records of a logbook and of its chapters."""
    return {
        "records": [dict(record) for record in logbook],
        "chapters": {name: log_state(chapter) for name, chapter in logbook.chapters.items()},
    }


def log_from_state(state: State) -> Log:
    """Return the logbook of what :func:`log_state` gave; ValueError names what is missing."""
    check_state("a log", state, ("records", "chapters"))
    logbook = Log()
    records, chapters = state["records"], state["chapters"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("the records of a log must be a list of dicts")
    if not isinstance(chapters, dict):
        raise ValueError(f"the chapters of a log must be a dict, got {type(chapters).__name__}")
    logbook.extend(dict(record) for record in records)
    for name, chapter in chapters.items():
        logbook.chapters[name] = log_from_state(chapter)
    arrange(logbook)
    return logbook


def check_log(logbook: Logbook, generation: int) -> None:
    """Raise ValueError unless *logbook* has a record with all :data:`COLUMNS` for each generation so far."""
    if len(logbook) != generation:
        raise ValueError(f"the log of {generation} generations must have as many records, got {len(logbook)}")
    for record in logbook:
        for name in COLUMNS:
            if not isinstance(record.get(name), int | float):
                raise ValueError(f"a record of the log must have a number {name!r}, got {record.get(name)!r:.80}")
        checked_reasons(record.get(REASONS, {}))


def checked_reasons(reasons: Any) -> dict[str, int]:
    """Return a copy of *reasons*; ValueError unless it is a dict of whole numbers of at least 1."""
    if not isinstance(reasons, dict):
        raise ValueError(f"the reasons of failures must be a dict, got {shown(reasons)}")
    for reason, number in reasons.items():
        check_whole(f"the number of failures for {reason!r:.80}", number, 1)
    return dict(reasons)


def plain(value: Any) -> Any:
    """Return *value* with numpy's scalars as Python's numbers and tuples as lists, as a saved log has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
