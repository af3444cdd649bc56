"""The trials of a search: every different candidate once, with all that was measured of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from genoevo import Genotype, Population
from genoevo.evaluation import Attempt, Evaluator, Failure, Fault
from genoevo.state import State, check_array, check_state, counts, population_from_state, population_state
from genoevo_sklearn._private import report_failures
from genoevo_sklearn.fits import FIT_FAILED, Doubles, Fits

Objectives = Callable[[Genotype, float], tuple[float, ...]]


class Trials:
    """An evaluator for :class:`~genoevo.Evolution` that fits every different candidate once and keeps its values.

    Parameters
    ----------
    fits
        The fits, and the meaning of genotypes.
    metric
        The name of the score that counts: its mean over the splits.
    objectives
        The fitness of a genotype with that score. A score that is not finite is a failure.

    Attributes
    ----------
    genotypes : list of Genotype
        The first genotype of each candidate, in the order of evaluation.
    values : list of numpy.ndarray
        (fits.width,) float64 each.
    errors : dict
        By candidate, the tracebacks of the splits whose fit failed.
    cached : int
        Genotypes whose candidate had been fitted before.
    whole : int
        Candidates of whole generations. Those of an unfinished generation follow.
    kept
        A function that is called after candidates were fitted, unless every fit so far failed.

    """

    # Its limit would end a search in which every fit fails; scikit-learn raises an error of its own there.
    failure = Failure(action="worst", limit=None)

    def __init__(self, fits: Fits, metric: str, objectives: Objectives) -> None:
        self.fits, self.metric, self._objectives = fits, metric, objectives
        self._column = fits.columns.index(f"test_{metric}")
        self.workers: Evaluator = fits
        self.genotypes: list[Genotype] = []
        self.values: list[Doubles] = []
        self.errors: dict[int, dict[int, str]] = {}
        self.cached = self.whole = 0
        self.kept: Callable[[], object] = lambda: None
        self._fresh: list[Genotype] = []
        self._first = 0
        self._places: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self.genotypes)

    def table(self) -> Doubles:
        """Return all values, (candidates, splits, columns) float64."""
        return np.array(self.values).reshape(len(self), len(self.fits.splits), -1)

    def attempt(self, population: Population, *, hasty: bool = False) -> Attempt:
        """Return the fitness of all genotypes; fit the candidates that are new."""
        keys = [self.fits.candidates.key(genotype) for genotype in population]
        fresh: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            if key not in self._places:
                fresh.setdefault(key, row)
        if fresh:
            self._fit(population[list(fresh.values())])
        self.cached += len(keys) - (len(self) - self.whole)
        self.whole = len(self)
        scores = [self._score(self._places[key]) for key in keys]
        pairs = zip(population, scores, strict=True)
        fitness = np.array([self._objectives(genotype, score) for genotype, score in pairs], dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(fitness).all(axis=1))
        return Attempt(fitness, {int(row): Fault(f"has the score {scores[row]}", None, "no score") for row in bad})

    def _score(self, place: int) -> float:
        return float(self.values[place].reshape(len(self.fits.splits), -1)[:, self._column].mean())

    def _fit(self, population: Population) -> None:
        step = 1 if self.workers is self.fits else len(population)  # a pool tells of its answers, by keep()
        for first in range(0, len(population), step):
            self._fit_together(population[first : first + step])
        if self._all_failed():
            self.report()

    def _all_failed(self) -> bool:
        return all(len(self.errors.get(place, ())) == len(self.fits.splits) for place in range(len(self)))

    def _fit_together(self, population: Population) -> None:
        self._fresh, self._first = list(Population.unchecked(population.words, population.lengths)), len(self)
        # The workers return all that they measured, not only what the evolution selects by.
        wide = Population.unchecked(population.words, population.lengths, weights=(1.0,) * self.fits.width)
        raises = self.fits.error_score == "raise"
        values, faults = self.workers.attempt(wide, hasty=raises)
        if raises and faults:
            fault = faults[min(faults)]
            raise fault.cause or RuntimeError(f"a fit {fault.what}")
        for fault in faults.values():
            if fault.cause is not None:  # a wrong name of a parameter, or of a score: no candidate can be fitted
                raise fault.cause
        for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
            # Not even the time is known: the worker ended, or took too long.
            texts = dict.fromkeys(range(len(self.fits.splits)), f"the fit {faults[row].what}\n")
            values[row], faults[row] = self._lost(), Fault(json.dumps(texts), None, FIT_FAILED)
        self.keep(Attempt(values, faults))

    def keep(self, attempt: Attempt) -> None:
        """Add the candidates that are fitted, up to the first that is not: their order is that of evaluation."""
        for row in range(len(self) - self._first, len(self._fresh)):
            if np.isnan(attempt.values[row]).all():
                break
            fault = attempt.faults.get(row)
            texts = json.loads(fault.what) if fault is not None and fault.kind == FIT_FAILED else {}
            self._add(self._fresh[row], attempt.values[row], {int(split): text for split, text in texts.items()})
        if not self._all_failed():  # that ends the search, which can then be begun again
            self.kept()

    def _lost(self) -> Doubles:
        scored = np.array([not column.endswith("_time") for column in self.fits.columns])
        return np.tile(np.where(scored, float(self.fits.error_score), 0.0), len(self.fits.splits))

    def _add(self, genotype: Genotype, values: Doubles, errors: dict[int, str]) -> None:
        place = len(self)
        self._places[self.fits.candidates.key(genotype)] = place
        self.genotypes.append(genotype)
        self.values.append(np.array(values))
        if errors:
            self.errors[place] = errors

    def report(self) -> None:
        """Warn of the fits that failed (FitFailedWarning); ValueError if all did."""
        splits = range(len(self.fits.splits))
        if self.errors:
            texts = [self.errors.get(place, {}).get(split) for place in range(len(self)) for split in splits]
            report_failures([{"fit_error": text} for text in texts], self.fits.error_score)

    def state_dict(self) -> State:
        """Return genotypes, values, errors and counts."""
        return {
            "genotypes": population_state(Population.from_genotypes(self.genotypes)) if len(self) else None,
            "values": np.array(self.values).reshape(len(self), self.fits.width),
            "errors": {str(place): _with_texts(found) for place, found in self.errors.items()},
            "cached": self.cached,
        }

    def restore(self, state: Any) -> None:
        """Take what :meth:`state_dict` gave; ValueError says what is missing or does not fit."""
        check_state("the trials", state, ("genotypes", "values", "errors", "cached"))
        self.cached = counts(state, ["cached"])["cached"]
        genotypes = [] if state["genotypes"] is None else list(population_from_state(state["genotypes"]))
        values = check_array("the values of trials", state["values"], np.float64, (len(genotypes), self.fits.width))
        check_state("the errors of trials", state["errors"], ())
        for place, genotype in enumerate(genotypes):
            found = state["errors"].get(str(place), {})
            check_state("the errors of a trial", found, ())
            self._add(genotype, values[place], {int(split): str(text) for split, text in found.items()})


def _with_texts(errors: dict[int, str]) -> dict[str, str]:
    return {str(split): text for split, text in errors.items()}  # JSON has no other keys
