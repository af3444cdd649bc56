"""The search itself, which both estimators share: pools, checkpoint, progress, page and rules of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state

from genoevo import Evolution, Genotype, Population, Record, Selection, Stop, Survival
from genoevo._check import check_choice, check_flag, check_type, check_whole, is_number, shown
from genoevo.checkpoint import Checkpoint
from genoevo.evaluation import Evaluator
from genoevo.evolution import Callback
from genoevo.layout import Layout
from genoevo.operators import Operators, Reproduction, Variation
from genoevo.pools import ProcessPool, RayPool
from genoevo.progress import ProgressBar
from genoevo.state import State, check_state
from genoevo.state.atomic import replacing
from genoevo_runs.report.evolution import Course
from genoevo_runs.report.page import render
from genoevo_sklearn.fits import Fits
from genoevo_sklearn.identity import text_of
from genoevo_sklearn.metadata import routed, splits_of
from genoevo_sklearn.trials import Trials

POOLS: dict[str, Callable[..., Any]] = {"processes": ProcessPool, "ray": RayPool}
KIND = "genoevo_sklearn"
_PARTS = ("evolution", "trials", "course")
_KINDS: dict[str, type] = {
    **{"stop": Stop, "reproduction": Reproduction, "selection": Selection, "survival": Survival},
    **{"operators": Operators, "variation": Variation},
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how: the trials, the first generation, the rules, the layout and own callbacks.

    *title* heads the page, which names several *objectives*. *decode* gives what a genotype means there, as JSON or
    text. *about* identifies the search beside what every search has.
    """

    title: str
    trials: Trials
    start: Callable[[np.random.Generator], Population]
    rules: Mapping[str, Any]
    layout: Layout
    about: Mapping[str, Any]
    decode: Callable[[Genotype], Any]
    objectives: Sequence[str] = ()
    callbacks: Sequence[Callback] = field(default=())


@dataclass(frozen=True)
class Ended:
    """A search that has ended, and what its page needs of it."""

    search: Search
    evolution: Evolution
    course: Course
    seed: int


class Searching:
    """The settings that both estimators share, and the search by them. A mixin."""

    selection: Selection | None
    operators: Operators | None
    variation: Variation | None

    def _check_settings(self) -> None:
        """Raise ValueError or TypeError, which names it, for a setting of the search that is not allowed."""
        check_whole("population_size", self.population_size, 2)
        check_whole("generations", self.generations, 1)
        if not isinstance(self.verbose, bool):
            check_whole("verbose", self.verbose, 0)
        for name, kind in _KINDS.items():
            if getattr(self, name) is not None:
                check_type(name, getattr(self, name), kind)
        if self.variation is not None and self.variation.frozen:
            raise ValueError(f"variation must have no frozen bits in an estimator, got {self.variation.frozen}")
        if isinstance(self.pool, str):
            check_choice("pool", self.pool, list(POOLS))
        elif not callable(self.pool):
            raise TypeError(f"pool must be one of {', '.join(POOLS)}, or make a pool, got {self.pool!r}")
        for name in ("report", "checkpoint"):
            _check_file(name, getattr(self, name))
        check_flag("return_train_score", self.return_train_score)
        if not is_number(self.error_score) and self.error_score != "raise":
            raise ValueError(f"error_score must be 'raise' or a number, got {self.error_score!r}")

    def _fits(self, X: Any, y: Any, params: Mapping[str, Any], *, scorer: Any, **given: Any) -> Fits:  # noqa: N803
        """Return the fits of candidates to these data, with the *params* of ``fit`` routed to where they belong."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        metadata = routed(self, scorer, params)
        splits = splits_of(cv, X, y, metadata.splitter.split)
        self.n_splits_ = len(splits)
        return Fits(
            estimator=self.estimator,
            X=X,
            y=y,
            splits=splits,
            scorer=scorer,
            fit_params=metadata.estimator.fit,
            score_params=metadata.scorer.score,
            train_score=self.return_train_score,
            error_score=self.error_score,
            **given,
        )

    def _own(self) -> dict[str, Operators | Variation]:
        """Return own operators and settings of variation as rules of the search, if there are any."""
        given = {"operators": self.operators, "variation": self.variation}
        return {name: rule for name, rule in given.items() if rule is not None}

    def _replaces(self, slot: str) -> bool:
        """Return whether there is an own operator of this kind. A setting that it replaces must be the default."""
        return self.operators is not None and slot in self.operators.given

    def _selects(self, method: str) -> Selection:
        """Return the given selection, by default tournaments of two by *method*."""
        usual = Selection() if self._replaces("selection") else Selection(method=method, tournament_size=2)
        return self.selection or usual

    def _search(self, search: Search) -> Ended:
        """Run the search, or resume it, and set the attributes that tell of it."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        course = Course(wanted=self.report is not None)
        with ExitStack() as context:
            search.trials.workers = workers = context.enter_context(self._workers(search.trials.fits))
            if isinstance(workers, ProcessPool | RayPool):
                workers.answered = search.trials.keep
            checkpoint = self._checkpoint(search)
            state = None if checkpoint is None else context.enter_context(checkpoint).load()
            callbacks = [*search.callbacks, *course.callbacks]
            if self.verbose:
                callbacks.append(context.enter_context(ProgressBar(self.generations)))
            if state is None:
                start = search.start(np.random.default_rng([seed, 0]))
                record = Record(lineage=self.report is not None)
                evolution = Evolution(
                    search.trials, start, seed=seed, layout=search.layout, record=record, **search.rules
                )
            else:
                evolution = self._resumed(state, search, course)
            if checkpoint is not None:
                saved = _Saved(evolution, search.trials, course)
                callbacks.append(lambda _: checkpoint(saved))
                # Within a generation a survival of its own kind could not be given again.
                if type(search.rules["survival"]) is Survival:
                    search.trials.kept = lambda: checkpoint.is_late and checkpoint.save(saved)
            evolution.callbacks = tuple(callbacks)
            self.stop_reason_ = evolution.run(max(0, self.generations - evolution.generation), stop=self.stop)
        self.logbook_, self.n_generations_ = evolution.logbook, evolution.generation
        self.n_candidates_, self.n_cached_ = len(search.trials), search.trials.cached
        return Ended(search, evolution, course, seed)

    def _resumed(self, state: State, search: Search, course: Course) -> Evolution:
        check_state("a search by scikit-learn", state, _PARTS, kind=KIND)
        search.trials.restore(state["trials"])
        course.restore(state["course"])
        own = search.rules.get("operators")
        evolution = Evolution.from_state(state["evolution"], search.trials, layout=search.layout, operators=own)
        for name, rule in search.rules.items():  # a rule may be of a kind of its own, which a state does not know
            if getattr(evolution, name) != rule:
                setattr(evolution, name, rule)
        search.trials.whole = evolution.evaluations - search.trials.cached
        return evolution

    @contextmanager
    def _workers(self, fits: Fits) -> Iterator[Evaluator]:
        """Yield what fits candidates: this process, or a pool that ends with the block."""
        count = effective_n_jobs(self.n_jobs)
        if self.pool == "processes" and count == 1:
            yield fits
            return
        make = POOLS[self.pool] if isinstance(self.pool, str) else self.pool
        workers = None if self.pool == "ray" and self.n_jobs == -1 else count
        # As many threads as a worker has cores: more would wait for each other.
        with make(replace(fits, threads=max(1, cpu_count() // count)), workers=workers) as pool:
            yield pool

    def _checkpoint(self, search: Search) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        fits, random = search.trials.fits, self.random_state
        about = {
            "estimator": text_of(fits.estimator),
            "scoring": text_of(self.scoring),
            "error_score": str(self.error_score),
            "data": joblib.hash([fits.X, fits.y, dict(fits.fit_params), dict(fits.score_params)]),
            "splits": joblib.hash([[np.asarray(rows) for rows in split] for split in fits.splits]),
            "columns": list(fits.columns),
            "population_size": self.population_size,
            "random_state": random if isinstance(random, int | np.integer) else None,
            "variation": None,  # as in files of searches without one
            **{name: text_of(rule) for name, rule in search.rules.items()},
            **search.about,
        }
        return Checkpoint(self.checkpoint, about=about)

    def _write_page(self, ended: Ended) -> None:
        """Write the report, if it is wanted; the results are set, so an error does not lose them."""
        if self.report is None:
            return
        search, evolution = ended.search, ended.evolution
        assert evolution.best is not None
        chosen, key = search.trials.genotypes[self.best_index_], search.trials.fits.candidates.key
        result = {
            "problem": search.title,
            "size": len(evolution.best),
            "seed": ended.seed,
            "best": evolution.best.fitness.values[0],
            "optimum": None,
            "solved": False,
            "generations": evolution.generation,
            "evaluations": evolution.evaluations,
            "length": len(evolution.best),
            "genotype": str(evolution.best),
            "decoded": search.decode(evolution.best),
            **({} if key(chosen) == key(evolution.best) else {"chosen": search.decode(chosen)}),
            "objectives": list(search.objectives),
        }
        with replacing(Path(self.report)) as file:
            file.write(render(ended.course.data(evolution, result)).encode())


def _check_file(name: str, path: Any) -> None:
    """Raise TypeError or ValueError, which names it, unless *path* is None or may be a file to write."""
    if path is None:
        return
    if not isinstance(path, str | PathLike):
        raise TypeError(f"{name} must be a path, got {shown(path)}")
    if Path(path).is_dir() or not Path(path).parent.is_dir():
        raise ValueError(f"{name} must be a file in a directory that exists, got {shown(path)}")


class _Saved:
    """What a checkpoint of a search holds."""

    def __init__(self, evolution: Evolution, trials: Trials, course: Course) -> None:
        self._parts = dict(zip(_PARTS, (evolution, trials, course), strict=True))

    def state_dict(self) -> State:
        """Return the state of every part."""
        return {"kind": KIND, **{name: part.state_dict() for name, part in self._parts.items()}}
