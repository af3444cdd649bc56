"""Evolution: a generational genetic algorithm over one population, as ask and tell.

One generation: tournament selection of pairs of parents, one child per pair by :class:`Reproduction`, the best
genotypes carried over unchanged. Everything random comes from one generator that is part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from deap.tools import Logbook

from genoevo._check import check_at_least
from genoevo.evaluation import Evaluator, InProcess, Vectorised, evaluated
from genoevo.genotype import Genotype
from genoevo.layout import Layout
from genoevo.operators import selection
from genoevo.operators.reproduction import Reproduction
from genoevo.population import Population
from genoevo.state import (
    State,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """How many contenders a tournament has, and how many of the best survive unchanged (*elites*)."""

    tournament_size: int = 3
    elites: int = 1

    def __post_init__(self) -> None:
        check_at_least("tournament_size", self.tournament_size, 1)
        check_at_least("elites", self.elites, 0)


class Evolution:
    """A genetic algorithm that is asked for genotypes and told their fitness.

    Parameters
    ----------
    evaluate
        A function of one :class:`Genotype`, or :class:`~genoevo.evaluation.Vectorised` around a function of a
        whole :class:`Population`; None where only ask and tell are used.
    population
        The first generation; its genotypes keep their lengths' distribution by inheritance.
    seed
        Of the generator that makes every random decision.
    reproduction, survival
        The rules of one generation.
    layout
        Needed by operators that know segments.

    Attributes
    ----------
    population : Population
        The current generation.
    generation : int
        Generations told so far; the first is the given population.
    evaluations : int
        Genotypes evaluated so far.
    best : Genotype or None
        The best genotype seen so far.
    logbook : deap.tools.Logbook
        One record per generation: generation, evaluations, best, mean (of the first objective), length.

    Examples
    --------
    >>> import numpy as np
    >>> from genoevo import Evolution, Population
    >>> start = Population.random(20, 32, np.random.default_rng(1))
    >>> evolution = Evolution(lambda genotype: genotype.bits.sum(), start, seed=1)
    >>> evolution.run(40)
    >>> evolution.best.fitness.values
    (32.0,)

    """

    def __init__(
        self,
        evaluate: Evaluator | Callable[[Genotype], float | Sequence[float]] | None,
        population: Population,
        *,
        seed: int,
        reproduction: Reproduction | None = None,
        survival: Survival | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.reproduction = reproduction or Reproduction()
        self.survival = survival or Survival()
        if self.survival.elites >= len(population):
            raise ValueError(f"elites must be below the population's {len(population)}, got {self.survival.elites}")
        if self.reproduction.crossover == "segments" and layout is None:
            raise ValueError("crossover by segments needs a layout")
        self.layout = layout
        self.population = population.copy()
        self.rng = np.random.default_rng(seed)
        self.generation = 0
        self.evaluations = 0
        self.best: Genotype | None = None
        self.logbook = Logbook()
        self._asked: Population | None = None
        self._evaluator = self._as_evaluator(evaluate)

    @staticmethod
    def _as_evaluator(evaluate: Any) -> Evaluator | None:
        if evaluate is None or isinstance(evaluate, InProcess | Vectorised):
            return evaluate
        if not callable(evaluate):
            raise TypeError(f"evaluate must be callable, got {type(evaluate).__name__}")
        return InProcess(evaluate)

    def ask(self) -> Population:
        """Genotypes to evaluate: the given population at first, then each generation's children.

        Asked again before :meth:`tell`, it returns the same genotypes and draws nothing.
        """
        if self._asked is None:
            self._asked = self.population if self.generation == 0 else self._breed()
        return self._asked.copy()

    def tell(self, fitness: npt.ArrayLike) -> None:
        """Take the fitness of the genotypes last asked for: (n,) or (n, objectives), in their order.

        Raises RuntimeError before :meth:`ask`, ValueError for a wrong shape or NaN; the state is then unchanged.
        """
        if self._asked is None:
            raise RuntimeError("tell() before ask(): there are no genotypes to tell the fitness of")
        told = self._asked.copy()
        told.fitness = fitness
        elites = self._elites() if self.generation else None
        self.population = told if elites is None else Population.concatenate([elites, told])
        self._asked = None
        self.generation += 1
        self.evaluations += len(told)
        self._record()

    def step(self) -> None:
        """One generation: ask, evaluate, tell."""
        if self._evaluator is None:
            raise RuntimeError("this evolution has no evaluate function; use ask() and tell()")
        self.tell(evaluated(self._evaluator, self.ask()))

    def run(self, generations: int) -> None:
        """That many further generations; the first ever one evaluates the given population."""
        check_at_least("generations", generations, 0)
        for _ in range(generations):
            self.step()

    def _elites(self) -> Population | None:
        count = self.survival.elites
        if count == 0:
            return None
        order = np.argsort(-self.population.merit(), kind="stable")
        return self.population[order[:count]]

    def _breed(self) -> Population:
        n = len(self.population) - self.survival.elites
        size = self.survival.tournament_size
        parents = selection.tournament(self.population, 2 * n, self.rng, size=size)
        first, second = self.population[parents[:n]], self.population[parents[n:]]
        return self.reproduction.children(first, second, self.rng, self.layout).population

    def _record(self) -> None:
        top = self.population[int(self.population.merit().argmax())]
        if self.best is None or top.fitness > self.best.fitness:
            self.best = top
        fitness = self.population.fitness.reshape(len(self.population), -1)[:, 0]
        self.logbook.record(
            generation=self.generation,
            evaluations=self.evaluations,
            best=self.best.fitness.values[0],
            mean=float(fitness.mean()),
            length=float(self.population.lengths.mean()),
        )

    def state_dict(self) -> State:
        """The whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            "kind": "evolution",
            "reproduction": asdict(self.reproduction),
            "survival": asdict(self.survival),
            "population": population_state(self.population),
            "asked": None if self._asked is None else population_state(self._asked),
            "best": None if self.best is None else population_state(Population.from_genotypes([self.best])),
            "rng": generator_state(self.rng),
            "generation": self.generation,
            "evaluations": self.evaluations,
            "log": [dict(record) for record in self.logbook],
        }

    @classmethod
    def from_state(
        cls,
        state: State,
        evaluate: Evaluator | Callable[[Genotype], float | Sequence[float]] | None = None,
        *,
        layout: Layout | None = None,
    ) -> Evolution:
        """Continue where :meth:`state_dict` was taken, bit for bit. The function and layout are given again.

        Raises ValueError where *state* is not an evolution's.
        """
        if state.get("kind") != "evolution":
            raise ValueError(f"this is the state of {state.get('kind')!r}, not of 'evolution'")
        evolution = cls(
            evaluate,
            population_from_state(state["population"]),
            seed=0,
            reproduction=rebuild(Reproduction, state["reproduction"]),
            survival=rebuild(Survival, state["survival"]),
            layout=layout,
        )
        if state["asked"] is not None:
            evolution._asked = population_from_state(state["asked"])
        if state["best"] is not None:
            evolution.best = population_from_state(state["best"])[0]
        evolution.rng = generator_from_state(state["rng"])
        evolution.generation = state["generation"]
        evolution.evaluations = state["evaluations"]
        for record in state["log"]:
            evolution.logbook.record(**record)
        return evolution
