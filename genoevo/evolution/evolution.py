"""Evolution: a genetic algorithm over one population, or over islands, with an ask-tell interface.

One generation is :class:`Selection` of pairs of parents, one child per pair by :class:`Reproduction`, evaluation,
:class:`Survival`, and migration if there are :class:`Islands`. All random numbers come from one generator, which is
part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from deap.tools import Logbook, MultiStatistics, Statistics

from genoevo._check import check_callable, check_flag, check_type, shown
from genoevo._rows import Bitstring
from genoevo._types import Ints
from genoevo.evaluation import Evaluator, FitnessFunction, as_evaluator
from genoevo.evolution import attempts, history
from genoevo.evolution.constraints import Constraints
from genoevo.evolution.generation import Generation
from genoevo.evolution.islands import Islands
from genoevo.evolution.pending import Pending
from genoevo.evolution.record import Record, Recorded
from genoevo.evolution.resampling import Resampling, check_record
from genoevo.evolution.rule import RULES, rules_from_state, rules_of, rules_state
from genoevo.evolution.rules import Selection, Survival
from genoevo.evolution.snapshot import CHANGING, PARTS, Snapshot, check_layout, layout_name
from genoevo.evolution.stops import Stop, run_until
from genoevo.genotype import Genotype
from genoevo.layout import Layout
from genoevo.operators import Operators, Reproduction, Variation
from genoevo.population import Population
from genoevo.state import State, check_state, rebuild, seeded, settings_state

Callback = Callable[["Evolution"], object]


class Evolution(Generation):
    """A genetic algorithm with an ask-tell interface.

    Parameters
    ----------
    evaluate
        A function of one :class:`Genotype`, or an evaluator, see :mod:`genoevo.evaluation` and
        :mod:`genoevo.pools`. None if only ask and tell are used.
    population
        The first generation: a :class:`Population`, or genotypes as :meth:`Population.from_genotypes` takes them.
        Children inherit the lengths of its genotypes. With islands, the genotypes of the first island come first,
        then the second island's, and so on.
    seed
        Seed of the generator that makes every random decision.
    reproduction, selection, survival, islands
        The rules of one generation. They may be replaced between generations, such as by a callback.
    variation
        Frozen bits, a rate of mutation for each bit, no duplicates, and settings of some operators. It may be
        replaced, too.
    constraints
        How many of the last values of a fitness are violations of constraints.
    resampling
        The rule by which survivors are evaluated again, for a noisy or changing fitness. Then *best* is the best
        mean of the population, among genotypes that were evaluated half as often as any or more, *stagnant* counts
        since it last was another one, and *record* keeps no hall of fame, Pareto front or cache (ValueError).
    operators
        The user's own crossover, mutation, selection, survival and repair. States and lineage have their names.
    layout
        The layout, for operators that need one.
    record
        What to keep besides the population.
    statistics
        DEAP's ``Statistics`` or ``MultiStatistics`` over each generation's population, added to its record in the
        logbook. None may have the name of a column of the logbook (ValueError).
        :class:`~genoevo.history.PopulationStatistics` are fast.
    callbacks
        Functions of the evolution, called in turn after each generation.
    reevaluate
        Whether genotypes of *population* that have a fitness are evaluated again. By default their fitness counts.
    memory
        The former name of *record*.

    Attributes
    ----------
    generation : int
        Number of evaluated generations. The initial population is generation 1.
    evaluations : int
        Number of evaluated genotypes.
    best : Genotype or None
        The best genotype seen so far; with several objectives, in lexicographic order.
    stagnant : int
        Generations since *best* last improved.
    front_stagnant : int or None
        Generations since a genotype was last evaluated that no genotype of the population weakly dominated. None
        without NSGA-II survival or with one objective.
    logbook : deap.tools.Logbook
        One record per generation: generation, evaluations, best, mean (both of the first objective, the mean over
        finite values), length (mean), failed (evaluated genotypes whose fitness is infinite), and the statistics. If
        evaluations failed, also reasons, a dict with the number of failures for each. With constraints, feasible
        (genotypes of the population); with resampling, resampled (genotypes evaluated again).
    hall_of_fame : deap.tools.HallOfFame or None
    pareto_front : deap.tools.ParetoFront or None
    lineage : Lineage or None
    cache : Cache or None
        As *record* says.
    numbers : numpy.ndarray
        (n,) int64: the number, in the order of evaluation, of the genotype in each row of *population*.
    estimates : Estimates or None
        The number of evaluations of each genotype and their variances, with resampling.

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
        population: Population | Iterable[Bitstring],
        *,
        seed: int,
        reproduction: Reproduction | None = None,
        selection: Selection | None = None,
        survival: Survival | None = None,
        islands: Islands | None = None,
        variation: Variation | None = None,
        constraints: Constraints | None = None,
        resampling: Resampling | None = None,
        operators: Operators | None = None,
        layout: Layout | None = None,
        record: Record | None = None,
        statistics: Statistics | MultiStatistics | None = None,
        callbacks: Sequence[Callback] = (),
        reevaluate: bool = False,
        memory: Record | None = None,
    ) -> None:
        if record is not None and memory is not None:
            raise ValueError("memory is the former name of record: give one of the two")
        check_flag("reevaluate", reevaluate)
        start = population if isinstance(population, Population) else Population.from_genotypes(population)
        given = reproduction, selection, survival, islands, variation, constraints, resampling, operators
        self._rules, self._layout, self._record = rules_of(start, layout, given), layout, record or memory or Record()
        check_type("record", self._record, Record)
        check_record(self._record, self.resampling)
        if statistics is not None:
            history.check_names(statistics, self._further(start, 0))
        self.statistics = statistics
        self.callbacks = _checked(callbacks)
        self._population = start.unevaluated() if reevaluate else start.copy()
        self.numbers: Ints = np.arange(len(start))
        self.rng = seeded(seed)
        self.generation = 0
        self.evaluations = 0
        self.best: Genotype | None = None
        self.stagnant = 0
        self.front_stagnant: int | None = None
        self.logbook = Logbook()
        self.estimates = None
        self._keep(Recorded.empty(self.record, start.weights, self.operators.names))
        self._pending: Pending | None = None
        self._evaluator = None if evaluate is None else as_evaluator(evaluate)

    def _keep(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.hall_of_fame, self.pareto_front = recorded.hall_of_fame, recorded.pareto_front
        self.lineage, self.cache = recorded.lineage, recorded.cache

    def ask(self) -> Population:
        """Return the genotypes to evaluate: first the initial population, then each generation's children.

        A second call before :meth:`tell` returns the same genotypes and draws nothing.
        """
        if self._pending is None:
            self._pending = self._given() if self.generation == 0 else self._breed()
        return self._pending.population.copy()

    def tell(self, fitness: npt.ArrayLike) -> None:
        """Complete a generation by the fitness of the genotypes that :meth:`ask` returned, in their order.

        *fitness* is (n,) or (n, objectives), and finite. Only a genotype whose evaluation failed may have the worst
        infinity under its weight, as :class:`~genoevo.evaluation.Failure` gives it. Raises RuntimeError before
        :meth:`ask`, and ValueError for a wrong shape, NaN, or another infinity. The state is unchanged then.
        """
        self._tell(fitness, {})

    def _tell(self, fitness: npt.ArrayLike, reasons: dict[str, int]) -> None:
        if self._pending is None:
            raise RuntimeError("tell() before ask(): no genotypes are pending")
        evaluated = self._pending.evaluated(fitness, self.constraints)
        self.generation += 1
        new = self._resampled(evaluated)
        self._recorded.add(new, self.generation, self.constraints)
        self._update_progress(new.population)
        if self.generation == 1:
            self._population = new.population
        else:
            self._succeed(new.population)
        self.evaluations += len(new.population)
        self._pending = None
        if self.islands.is_due(self.generation):
            merit = self.constraints.ranked(self.population).merit()
            self._take_rows(self.islands.migrated(merit, self.rng))
        if self.resampling.is_on:
            self._settle()
        further = self._further(self._population, len(evaluated.population) - len(new.population))
        history.record(self.logbook, self, evaluated.population, self.statistics, reasons, further)
        for callback in self.callbacks:
            callback(self)

    def step(self) -> None:
        """Run one generation: ask, evaluate, tell.

        If the evaluation raises, the generation is not lost: its genotypes stay pending, for the next call or for
        :meth:`ask` and :meth:`tell`. Raises EvaluationError also at the limit of
        :class:`~genoevo.evaluation.Failure`.
        """
        if self._evaluator is None:
            raise RuntimeError("this evolution has no evaluate function; use ask() and tell()")
        asked = self.ask()
        attempt = attempts.attempt(self._evaluator, self.cache, asked)
        attempts.check_limit(attempt, asked, self.logbook, self._evaluator.failure.limit)
        self._tell(attempt.values, attempts.reasons_of(attempt.faults.values()))

    def run(self, generations: int | Stop | None = None, *, stop: Stop | None = None) -> str:
        """Run that many further generations, or fewer if *stop* ends the run before.

        The first generation evaluates the initial population. Returns the reason of the end: ``generations`` or the
        name of the :class:`Stop`'s condition. A stop may also be the only argument. Raises ValueError if there is
        none or *generations* is not a whole number, and TypeError if *stop* is not a stop.
        """
        return run_until(self, generations, stop)

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        snapshot = Snapshot(pending=self._pending, **{name: getattr(self, name) for name in CHANGING})
        return {
            "kind": "evolution",
            **rules_state(self._rules),
            "memory": settings_state(self.record),
            "layout": layout_name(self.layout),
            **snapshot.as_state(),
            **self._recorded.as_state(),
        }

    @classmethod
    def from_state(
        cls,
        state: State,
        evaluate: Evaluator | FitnessFunction | None = None,
        *,
        layout: Layout | None = None,
        operators: Operators | None = None,
        statistics: Statistics | MultiStatistics | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Evolution:
        """Resume from what :meth:`state_dict` gave, bit for bit. Functions and the layout must be given again.

        Raises ValueError if *state* is not the state of an evolution, names a part that is missing, and if the
        ``repr`` of its layout or the name of an own operator was different.
        """
        check_state("an evolution", state, _PARTS, kind="evolution")
        check_layout(state, layout)
        snapshot = Snapshot.from_state(state)
        rules = rules_from_state(state, snapshot.population, layout, operators or Operators())
        evolution = cls(
            evaluate,
            snapshot.population,
            seed=0,
            survival=_FITS_ANY,
            record=rebuild(Record, state["memory"]),
            statistics=statistics,
            callbacks=callbacks,
        )
        evolution._rules, evolution._layout = rules, layout
        for name in CHANGING:
            setattr(evolution, "_population" if name == "population" else name, getattr(snapshot, name))
        evolution._pending = snapshot.pending
        evolution._keep(Recorded.from_state(state, evolution.record, evolution.population.weights))
        return evolution


def _checked(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    if callable(callbacks):
        raise TypeError(f"callbacks must be a sequence of functions: write [{shown(callbacks)}]")
    for callback in callbacks:
        check_callable("a callback", callback)
    return tuple(callbacks)


_FITS_ANY = Survival(strategy="plus")
_PARTS = (*RULES, "memory", "layout", *PARTS, "hall_of_fame", "pareto_front", "lineage", "cache")
