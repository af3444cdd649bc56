"""Evolution: a genetic algorithm over one population, or over islands of it, as ask and tell.

One generation: :class:`Selection` of pairs of parents, one child per pair by :class:`Reproduction`, evaluation,
:class:`Survival`, and migration where there are :class:`Islands`. Everything random comes from one generator that
is part of the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from deap.tools import HallOfFame, Logbook, MultiStatistics, ParetoFront, Statistics

from genoevo import history
from genoevo._bits import Floats, Ints
from genoevo._check import check_at_least
from genoevo.cache import Cache
from genoevo.evaluation import Evaluator, FitnessFunction, as_evaluator, evaluated
from genoevo.genotype import Genotype
from genoevo.islands import Islands
from genoevo.layout import Layout
from genoevo.lineage import GIVEN, Lineage
from genoevo.operators.reproduction import Origin, Reproduction
from genoevo.population import Population
from genoevo.state import (
    State,
    check_array,
    check_state,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
    seeded,
)
from genoevo.stops import Stop
from genoevo.survival import Selection, Survival

Callback = Callable[["Evolution"], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a run keeps beside its population; all of it is part of the state.

    Parameters
    ----------
    hall_of_fame
        How many of the best different genotypes ever evaluated; 0 for none.
    pareto_front
        Whether to keep every genotype that no other dominates.
    lineage
        Whether to keep who came from whom: 33 bytes for each genotype ever evaluated, and 8 for each
        objective past the first.
    cache
        For how many genotypes the fitness is remembered instead of computed again; 0 for none. For fitness that
        is the same whenever it is computed.

    """

    hall_of_fame: int = 0
    pareto_front: bool = False
    lineage: bool = False
    cache: int = 0

    def __post_init__(self) -> None:
        check_at_least("hall_of_fame", self.hall_of_fame, 0)
        check_at_least("cache", self.cache, 0)


class Evolution:
    """A genetic algorithm that is asked for genotypes and told their fitness.

    Parameters
    ----------
    evaluate
        A function of one :class:`Genotype`, or an evaluator, see :mod:`genoevo.evaluation` and
        :mod:`genoevo.pools`; None where only ask and tell are used.
    population
        The first generation; its genotypes keep their lengths' distribution by inheritance. With islands, the
        genotypes of the first island, then those of the second, and so on.
    seed
        Of the generator that makes every random decision.
    reproduction, selection, survival, islands
        The rules of one generation.
    layout
        Needed by operators that know segments.
    memory
        What to keep beside the population.
    statistics
        DEAP's ``Statistics`` or ``MultiStatistics`` over each generation's population, added to its record in the
        logbook, so none may be named like a column of its own (see *logbook*; ValueError).
        :class:`~genoevo.history.PopulationStatistics` are fast ones.
    callbacks
        Functions of the evolution, called in turn after each generation.

    Attributes
    ----------
    population : Population
        The current generation.
    generation : int
        Generations told so far; the first is the given population.
    evaluations : int
        Genotypes told so far.
    best : Genotype or None
        The best genotype seen so far; with several objectives, in lexicographic order.
    stagnant : int
        Generations since *best* was last bettered.
    logbook : deap.tools.Logbook
        One record per generation: generation, evaluations, best, mean (both of the first objective, the mean over
        finite values), length (mean), failed (genotypes told whose fitness is infinite), and the statistics.
    hall_of_fame : deap.tools.HallOfFame or None
    pareto_front : deap.tools.ParetoFront or None
    lineage : Lineage or None
    cache : Cache or None
        As *memory* asks for.
    numbers : numpy.ndarray
        (n,) int64: which genotype of the lineage, in the order of evaluation, stands in each row of *population*.

    Examples
    --------
    >>> import numpy as np
    >>> from genoevo import Evolution, Population
    >>> start = Population.random(20, 32, np.random.default_rng(1))
    >>> evolution = Evolution(lambda genotype: genotype.bits.sum(), start, seed=1)
    >>> evolution.run(40)
    'generations'
    >>> evolution.best.fitness.values
    (32.0,)

    """

    def __init__(
        self,
        evaluate: Evaluator | FitnessFunction | None,
        population: Population,
        *,
        seed: int,
        reproduction: Reproduction | None = None,
        selection: Selection | None = None,
        survival: Survival | None = None,
        islands: Islands | None = None,
        layout: Layout | None = None,
        memory: Memory | None = None,
        statistics: Statistics | MultiStatistics | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.reproduction = reproduction or Reproduction()
        self.selection = selection or Selection()
        self.survival = survival or Survival()
        self.islands = islands or Islands()
        self.memory = memory or Memory()
        self._offspring = self.survival.children(self.islands.size(len(population)))
        self.reproduction.check_layout(layout, population)
        self.layout = layout
        if statistics is not None:
            history.check_names(statistics)
        self.statistics = statistics
        self.callbacks = tuple(callbacks)
        self.population = population.copy()
        self.numbers: Ints = np.arange(len(population))
        self.rng = seeded(seed)
        self.generation = 0
        self.evaluations = 0
        self.best: Genotype | None = None
        self.stagnant = 0
        self.logbook = Logbook()
        self.hall_of_fame = HallOfFame(self.memory.hall_of_fame) if self.memory.hall_of_fame else None
        self.pareto_front = ParetoFront() if self.memory.pareto_front else None
        self.lineage = Lineage(len(population.weights)) if self.memory.lineage else None
        self.cache = Cache(self.memory.cache) if self.memory.cache else None
        self._asked: _Asked | None = None
        self._evaluator = None if evaluate is None else as_evaluator(evaluate)

    def ask(self) -> Population:
        """Genotypes to evaluate: the given population at first, then each generation's children.

        Asked again before :meth:`tell`, it returns the same genotypes and draws nothing.
        """
        if self._asked is None:
            self._asked = _Asked.given(self.population) if self.generation == 0 else self._breed()
        return self._asked.population.copy()

    def tell(self, fitness: npt.ArrayLike) -> None:
        """Take the fitness of the genotypes last asked for: (n,) or (n, objectives), in their order.

        Numbers are finite, but for a genotype whose evaluation failed: it may have the worst infinity under its
        weight, as :class:`~genoevo.evaluation.Failure` gives it. Raises RuntimeError before :meth:`ask`, ValueError
        for a wrong shape, NaN, or an infinity that is not the worst; the state is then unchanged.
        """
        if self._asked is None:
            raise RuntimeError("tell() before ask(): there are no genotypes to tell the fitness of")
        told = self._asked.population.copy()
        told.fitness = fitness
        _check_infinities(told)
        self._asked.population = told
        self.generation += 1
        self._keep(self._asked)
        if self.generation == 1:
            self.population = told
        else:
            self._succeed(told)
        self.evaluations += len(told)
        self._asked = None
        if self.islands.is_due(self.generation):
            self._take_rows(self.islands.migrated(self.population.merit(), self.rng))
        self._record(told)
        for callback in self.callbacks:
            callback(self)

    @property
    def is_asked(self) -> bool:
        """Whether genotypes that :meth:`ask` gave wait for their fitness."""
        return self._asked is not None

    def step(self) -> None:
        """One generation: ask, evaluate, tell.

        Where the evaluation raises, the generation is not lost: the same genotypes are evaluated at the next call,
        and can be asked for and told.
        """
        if self._evaluator is None:
            raise RuntimeError("this evolution has no evaluate function; use ask() and tell()")
        compute = evaluated if self.cache is None else self.cache.evaluated
        self.tell(compute(self._evaluator, self.ask()))

    def run(self, generations: int | None = None, *, stop: Stop | None = None) -> str:
        """That many further generations, or fewer where *stop* says so; the first evaluates the given population.

        Returns why it ended: ``generations`` or the name of the :class:`Stop`'s condition. Raises ValueError where
        neither is given.
        """
        if generations is None and stop is None:
            raise ValueError("run() needs a number of generations or a stop")
        if generations is not None:
            check_at_least("generations", generations, 0)
        began, last = time.monotonic(), np.inf if generations is None else self.generation + generations
        while True:
            reason = None if stop is None else stop.reason(self, began)
            if reason is not None:
                return reason
            if self.generation >= last:
                return "generations"
            self.step()

    def _breed(self) -> _Asked:
        n = self._offspring
        rows = self.selection.parents(self.population, 2 * n, self.rng, self.islands.count)
        first, second = rows[:, :n].reshape(-1), rows[:, n:].reshape(-1)
        brood = self.reproduction.children(self.population[first], self.population[second], self.rng, self.layout)
        parents = np.stack([self.numbers[first], self.numbers[second]], axis=1)
        parents[brood.origins != Origin.CROSSOVER, 1] = GIVEN
        parents[brood.origins == Origin.FRESH, 0] = GIVEN
        return _Asked(brood.population, parents, brood.origins)

    def _keep(self, asked: _Asked) -> None:
        told = asked.population
        if self.lineage is not None:
            self.lineage.record(asked.parents, asked.origins, self.generation, np.array(told.fitness))
        if self.hall_of_fame is not None:
            history.update_hall_of_fame(self.hall_of_fame, told)
        if self.pareto_front is not None:
            history.update_pareto_front(self.pareto_front, told)
        top = int(told.merit().argmax())
        weighted = told.fitness.reshape(len(told), -1)[top] * told.weights
        self.stagnant += 1
        if self.best is None or tuple(weighted) > self.best.fitness.wvalues:
            self.best, self.stagnant = told[top], 0

    def _succeed(self, children: Population) -> None:
        rows, n = self.survival.survivors(children, self.population, self.islands.count), len(children)
        old = rows >= n
        kept = rows[old] - n
        self.numbers = np.concatenate([self.numbers[kept], np.arange(self.evaluations, self.evaluations + n)])
        self.population = Population.concatenate([self.population[kept], children])
        rows += len(kept)
        rows[old] = np.arange(len(kept))
        if not np.array_equal(rows, np.arange(len(self.population))):
            self._take_rows(rows)

    def _take_rows(self, rows: Ints) -> None:
        self.population, self.numbers = self.population[rows], self.numbers[rows]

    def _record(self, told: Population) -> None:
        assert self.best is not None
        first = self.population.fitness.reshape(len(self.population), -1)[:, 0]
        compiled = {} if self.statistics is None else history.plain(self.statistics.compile(self.population))
        self.logbook.record(
            generation=self.generation,
            evaluations=self.evaluations,
            best=self.best.fitness.values[0],
            mean=_finite_mean(first),
            length=float(self.population.lengths.mean()),
            failed=int(np.isinf(told.fitness.reshape(len(told), -1)).any(axis=1).sum()),
            **compiled,
        )

    def state_dict(self) -> State:
        """The whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            "kind": "evolution",
            **{name: asdict(getattr(self, name)) for name in _SETTINGS},
            "layout": _named(self.layout),
            "population": population_state(self.population),
            "numbers": self.numbers,
            "asked": None if self._asked is None else self._asked.state(),
            "best": None if self.best is None else population_state(Population.from_genotypes([self.best])),
            "rng": generator_state(self.rng),
            **{name: getattr(self, name) for name in _COUNTS},
            "log": history.log_state(self.logbook),
            "hall_of_fame": None if self.hall_of_fame is None else history.hall_state(self.hall_of_fame),
            "pareto_front": None if self.pareto_front is None else history.hall_state(self.pareto_front),
            "lineage": None if self.lineage is None else self.lineage.state_dict(),
            "cache": None if self.cache is None else self.cache.state_dict(),
        }

    @classmethod
    def from_state(
        cls,
        state: State,
        evaluate: Evaluator | FitnessFunction | None = None,
        *,
        layout: Layout | None = None,
        statistics: Statistics | MultiStatistics | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Evolution:
        """Continue where :meth:`state_dict` was taken, bit for bit. Functions and the layout are given again.

        Raises ValueError where *state* is not an evolution's or lacks a part, which it names, and where its layout
        was another, as their ``repr`` tells.
        """
        check_state("an evolution", state, _PARTS, kind="evolution")
        if state["layout"] not in (None, _named(layout)):  # None: of an early version, which did not record it
            was = f"{state['layout']!s:.80}"
            raise ValueError(f"this is the state of an evolution with layout {was}, got {_named(layout)}")
        evolution = cls(
            evaluate,
            population_from_state(state["population"]),
            seed=0,
            **{name: rebuild(settings, state[name]) for name, settings in _SETTINGS.items()},
            layout=layout,
            statistics=statistics,
            callbacks=callbacks,
        )
        evolution._restore(state)
        return evolution

    def _restore(self, state: State) -> None:
        weights = self.population.weights
        self.numbers = check_array("numbers", state["numbers"], np.int64, (len(self.population),))
        if state["asked"] is not None:
            self._asked = _Asked.from_state(state["asked"])
            _check_weights("asked genotypes", self._asked.population, weights)
        self.rng = generator_from_state(state["rng"])
        for name, count in counts(state, _COUNTS).items():
            setattr(self, name, count)
        if (state["best"] is None) != (self.generation == 0):
            raise ValueError(f"an evolution of {self.generation} generations has best {state['best']!r:.80}")
        if state["best"] is not None:
            self.population.check_evaluated()
            best = population_from_state(state["best"])
            best.check_evaluated()
            _check_weights("the best", best, weights)
            self.best = best[0]
        self.logbook = history.log_from_state(state["log"])
        history.check_log(self.logbook, self.generation)
        if self.hall_of_fame is not None:
            history.refill(self.hall_of_fame, state["hall_of_fame"], weights)
        if self.pareto_front is not None:
            history.refill(self.pareto_front, state["pareto_front"], weights)
        if self.lineage is not None:
            self.lineage = Lineage.from_state(state["lineage"], len(weights))
        if self.cache is not None:
            self.cache = Cache.from_state(state["cache"], len(weights))


_SETTINGS: dict[str, Any] = {
    "reproduction": Reproduction,
    "selection": Selection,
    "survival": Survival,
    "islands": Islands,
    "memory": Memory,
}
_COUNTS = ("generation", "evaluations", "stagnant")
_PARTS = (
    *_SETTINGS,
    *_COUNTS,
    "layout",
    *("population", "numbers", "asked", "best", "rng", "log", "hall_of_fame", "pareto_front", "lineage", "cache"),
)


@dataclass(slots=True)
class _Asked:
    """Genotypes that wait for their fitness, and where they come from as the lineage records it."""

    population: Population
    parents: Ints
    origins: npt.NDArray[np.int8]

    @classmethod
    def given(cls, population: Population) -> _Asked:
        n = len(population)
        return cls(population, np.full((n, 2), GIVEN), np.full(n, GIVEN, dtype=np.int8))

    def state(self) -> State:
        return {"population": population_state(self.population), "parents": self.parents, "origins": self.origins}

    @classmethod
    def from_state(cls, state: State) -> _Asked:
        check_state("asked genotypes", state, ("population", "parents", "origins"))
        population = population_from_state(state["population"])
        parents = check_array("the parents of asked genotypes", state["parents"], np.int64, (len(population), 2))
        origins = check_array("the origins of asked genotypes", state["origins"], np.int8, (len(population),))
        return cls(population, parents, origins)


def _named(layout: Layout | None) -> str:
    # The repr that a class gets from object is another in each process.
    return type(layout).__qualname__ if type(layout).__repr__ is object.__repr__ else repr(layout)


def _check_weights(what: str, population: Population, weights: tuple[float, ...]) -> None:
    if population.weights != weights:
        raise ValueError(
            f"the weights of {what} must be those of the population, {weights}, got {population.weights}"
        )


def _check_infinities(told: Population) -> None:
    # The best infinity would win for ever, and any under a weight of 0 turns into NaN.
    fitness = told.fitness.reshape(len(told), -1)
    best = np.isinf(fitness) & ~(np.copysign(1, fitness) * told.weights < 0)
    if best.any():
        row, objective = np.argwhere(best)[0]
        raise ValueError(
            f"a fitness must be finite, or the worst infinity for a failure, got {fitness[row, objective]} under "
            f"weight {told.weights[objective]:g} for genotype {row}, {told[int(row)]}"
        )


def _finite_mean(values: Floats) -> float:
    finite = np.isfinite(values)
    return float(values[finite].mean() if finite.any() else values[0])
