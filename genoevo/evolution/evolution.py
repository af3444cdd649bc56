"""Evolution: a genetic algorithm over one population, or over islands, with an ask-tell interface.

One generation is :class:`Selection` of pairs of parents, one child per pair by :class:`Reproduction`, evaluation,
:class:`Survival`, and migration if there are :class:`Islands`. All random numbers come from one generator, which is
part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from deap.tools import MultiStatistics, Statistics

from genoevo._check import check_flag, check_type
from genoevo._rows import Bitstring
from genoevo.evaluation import Attempt, Evaluator, FitnessFunction
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
from genoevo.layout import Layout
from genoevo.operators import Operators, Reproduction, Variation
from genoevo.population import Population
from genoevo.state import State, check_state, rebuild, settings_state

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
    logbook : genoevo.history.Log
        DEAP's ``Logbook``. One record per generation: generation, evaluations, best, mean (both of the first
        objective, the mean over finite values), length (mean), failed (evaluated genotypes whose fitness is
        infinite), and the statistics. If evaluations failed, also reasons, a dict with the number of failures for
        each. With constraints, feasible (genotypes of the population); with resampling, resampled (genotypes
        evaluated again).
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
        self._rules, self._layout = rules_of(start, layout, given), layout
        kept = memory if record is None else record
        if kept is not None:
            check_type("record", kept, Record)
            check_record(kept, self.resampling)
        self._population = start.unevaluated() if reevaluate else start.copy()
        self.estimates = None
        super().__init__(evaluate, start, seed=seed, record=kept, statistics=statistics, callbacks=callbacks)

    def ask(self) -> Population:
        """Return the genotypes to evaluate: first the initial population, then each generation's children.

        A second call before :meth:`tell` returns the same genotypes and draws nothing.
        """
        if self._pending is None:
            self._pending = self._given() if self.generation == 0 else self._breed()
        return self._pending.population.copy()

    def _receive(self, evaluated: Pending, reasons: dict[str, int]) -> None:
        self.generation += 1
        if self.constraints.count and not self.resampling.is_on:  # a mean needs violations below 0, too
            evaluated = replace(evaluated, population=self.constraints.clipped(evaluated.population))
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
        history.record(self.logbook, self, history.failed(evaluated.population), self.statistics, reasons, further)
        for callback in self.callbacks:
            callback(self)

    def _check_limit(self, attempt: Attempt, asked: Population, limit: int | None) -> None:
        attempts.check_limit(attempt, asked, self.logbook, limit)

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


_FITS_ANY = Survival(strategy="plus")
_PARTS = (*RULES, "memory", "layout", *PARTS, "hall_of_fame", "pareto_front", "lineage", "cache")
