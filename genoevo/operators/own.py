"""Own operators: functions of the user's that take the places of genoevo's in a search.

An operator works on whole populations, as those of :mod:`genoevo.operators` do, or, in :class:`PerGenotype`, on one
genotype after the other, as those of DEAP do. A state holds the names of own operators and never the functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from genoevo._check import check_callable, shown
from genoevo._numbers import as_array
from genoevo._types import Ints
from genoevo.genotype import Fitness
from genoevo.layout import Layout
from genoevo.operators.calls import called, global_generators, way_of
from genoevo.population import Population

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Individual(list[int]):
    """A list of bits with a fitness, which operators of DEAP may change in place."""

    def __init__(self, bits: Sequence[int], fitness: Fitness) -> None:
        super().__init__(bits)
        self.fitness = fitness


@dataclass(frozen=True, repr=False)
class PerGenotype:
    """An own operator that takes genotypes, in DEAP's convention, such as ``PerGenotype(tools.cxTwoPoint)``.

    Crossover is ``f(a, b) -> (a, b)``, of which the first is the child; mutation and repair are ``f(a) -> (a,)`` or
    ``a``; selection and survival ``f(individuals, k) -> k of these``. An individual is a list of zeros and ones with
    a ``fitness`` of DEAP. It is a copy, which may be changed and returned.

    Python's and numpy's global generators are seeded from the search's generator before each call for a population,
    and put back after it. So a function that draws from them is as exact on resume as any other.
    """

    function: Callable[..., Any]

    def __post_init__(self) -> None:
        check_callable("function", self.function)

    def __repr__(self) -> str:
        return f"PerGenotype({name_of(self.function)})"


Operator = Callable[..., Any] | PerGenotype


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    """The own operators of a search; None for genoevo's.

    What is given as a function is called with populations; :class:`PerGenotype` says how it is called otherwise.
    Functions of :mod:`genoevo.operators` fit, with settings by :func:`functools.partial`:
    ``Operators(crossover=partial(crossover.uniform, rate=0.2))``. All random numbers must come from *rng*, a
    ``numpy.random.Generator``: a parameter of that name, or one more that is required. All but crossovers may take
    none.

    Parameters
    ----------
    crossover
        ``f(first, second, rng)`` of two populations of n parents, paired row by row. Returns a population of n
        children, or several, of which the first counts.
    mutation
        ``f(population, rng)``. Returns a population of as many genotypes.
    selection
        ``f(population, n, rng)`` of the genotypes of one island. Returns the rows of n parents, (n,) whole numbers.
    survival
        ``f(population, n, rng)`` of the genotypes of one island that may survive under the
        :class:`~genoevo.Survival`'s strategy. Returns the rows of n different survivors, best first.
    repair
        ``f(population, rng)`` of the genotypes that will be evaluated. Returns as many. What it changes is kept
        (Lamarckian).

    Raises
    ------
    TypeError
        For an operator that cannot be called, one of DEAP's outside :class:`PerGenotype`, one with an optional
        parameter of another name at the generator's place, and a crossover that takes no generator.

    """

    crossover: Operator | None = None
    mutation: Operator | None = None
    selection: Operator | None = None
    survival: Operator | None = None
    repair: Operator | None = None

    def __post_init__(self) -> None:
        for slot, operator in self.given.items():
            if not isinstance(operator, PerGenotype):
                check_callable(slot, operator)
                _check_takes_populations(slot, operator)

    @property
    def given(self) -> dict[str, Operator]:
        """The own operators by what they do."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {slot: operator for slot, operator in values.items() if operator is not None}

    @property
    def names(self) -> dict[str, str]:
        """The name of each own operator, ``module:function``, with the settings of a partial function."""
        return {slot: name_of(operator) for slot, operator in self.given.items()}

    def check_names(self, names: Mapping[str, Any]) -> None:
        """Raise ValueError unless these are the own operators that a state *names*.

        A function of a program is the same whether the program is run or imported.
        """
        if not isinstance(names, dict):
            raise ValueError(f"the operators of a state must be a dict, got {shown(names)}")
        given = self.names
        for slot in sorted({*names, *given}):
            was, got = names.get(slot), given.get(slot)
            if was == got or (isinstance(was, str) and got is not None and _in_main(was, got)):
                continue
            if was is None:
                raise ValueError(f"this is the state of an evolution without an own {slot}, got {got}")
            hint = f"operators=Operators({slot}=...)"
            raise ValueError(f"this is the state of an evolution with the own {slot} {was}: give {hint}, got {got}")

    def crossed(
        self, first: Population, second: Population, rng: np.random.Generator, layout: Layout | None
    ) -> Population:
        """Return the n children of two populations of n parents, unevaluated."""
        operator = self.crossover
        if isinstance(operator, PerGenotype):
            with global_generators(rng):
                pairs = zip(_individuals(first), _individuals(second), strict=True)
                made = [_first_of_two(operator, operator.function(a, b)) for a, b in pairs]
            return _population("crossover", operator, made, first, layout)
        assert operator is not None
        return _checked("crossover", operator, called(operator, (first, second), rng), first, layout)

    def mutated(self, population: Population, rng: np.random.Generator, layout: Layout | None) -> Population:
        """Return as many mutants, unevaluated."""
        assert self.mutation is not None
        return _changed("mutation", self.mutation, population, rng, layout)

    def repaired(self, population: Population, rng: np.random.Generator, layout: Layout | None) -> Population:
        """Return as many repaired genotypes, unevaluated."""
        assert self.repair is not None
        return _changed("repair", self.repair, population, rng, layout)

    def parents(self, population: Population, n: int, rng: np.random.Generator) -> Ints:
        """Return the rows of n parents, (n,) int64."""
        assert self.selection is not None
        return _chosen("selection", self.selection, population, n, rng)

    def survivors(self, population: Population, n: int, rng: np.random.Generator) -> Ints:
        """Return the rows of n different survivors, (n,) int64."""
        assert self.survival is not None
        rows = _chosen("survival", self.survival, population, n, rng)
        if len(np.unique(rows)) < n:
            raise ValueError(f"survival by {name_of(self.survival)} chose a genotype twice")
        return rows


GENOEVOS = Operators()
"""No own operators."""


def name_of(function: object) -> str:
    """Return the name by which a state and a lineage know an own operator."""
    if isinstance(function, PerGenotype):
        return name_of(function.function)
    if isinstance(function, partial):
        settings = [*map(repr, function.args), *(f"{name}={value!r}" for name, value in function.keywords.items())]
        return _ADDRESS.sub("", f"{name_of(function.func)}({' '.join(', '.join(settings).split())})")
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


_WORK_ON = {
    "crossover": ("first", "second"),
    "mutation": ("population",),
    "selection": ("population", "n"),
    "survival": ("population", "n"),
    "repair": ("population",),
}


def _check_takes_populations(slot: str, operator: Callable[..., Any]) -> None:
    function: Any = operator
    while isinstance(function, partial):
        function = function.func
    what, name = f"{slot} must be f({', '.join((*_WORK_ON[slot], 'rng'))})", name_of(operator)
    if str(getattr(function, "__module__", "")).startswith("deap."):
        raise TypeError(f"{what}, got {name}: if it takes genotypes, give PerGenotype({name})")
    try:
        way = way_of(operator, len(_WORK_ON[slot]))
    except TypeError as error:
        raise TypeError(f"{what}, got {name}: {error}") from None
    if slot == "crossover" and way == "not":
        raise TypeError(f"{what}, got {name}: if it takes genotypes, give PerGenotype({name})")


def _in_main(was: str, got: str) -> bool:
    modules = {was.partition(":")[0], got.partition(":")[0]}
    return "__main__" in modules and was.partition(":")[2] == got.partition(":")[2]


def _changed(
    slot: str, operator: Operator, population: Population, rng: np.random.Generator, layout: Layout | None
) -> Population:
    if isinstance(operator, PerGenotype):
        with global_generators(rng):
            made = [_alone(operator.function(individual)) for individual in _individuals(population)]
        return _population(slot, operator, made, population, layout)
    return _checked(slot, operator, called(operator, (population,), rng), population, layout)


def _chosen(slot: str, operator: Operator, population: Population, n: int, rng: np.random.Generator) -> Ints:
    if isinstance(operator, PerGenotype):
        individuals = _individuals(population)
        places = {id(individual): row for row, individual in enumerate(individuals)}
        with global_generators(rng):
            chosen = list(operator.function(individuals, n))
        found = [places.get(id(individual), -1) for individual in chosen]
    else:
        found = called(operator, (population, n), rng)
    rows = as_array(f"what {slot} returns", found)
    if rows.shape != (n,) or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= len(population))).any():
        what = f"{n} of the individuals" if isinstance(operator, PerGenotype) else f"{n} rows below {len(population)}"
        raise ValueError(f"{slot} by {name_of(operator)} must return {what}, got {shown(found)}")
    return rows.astype(np.int64)


def _checked(slot: str, operator: Operator, made: Any, given: Population, layout: Layout | None) -> Population:
    if isinstance(made, tuple | list) and made:
        made = made[0]
    if not isinstance(made, Population):
        raise TypeError(f"{slot} by {name_of(operator)} must return a Population, got {shown(made)}")
    if len(made) != len(given) or made.weights != given.weights:
        raise ValueError(
            f"{slot} by {name_of(operator)} must return {len(given)} genotypes of weights {given.weights}, "
            f"got {len(made)} of {made.weights}"
        )
    try:
        Population(made.words, made.lengths)
        if layout is not None:
            for length in np.unique(made.lengths):
                layout.stage(int(length))
    except ValueError as error:
        raise ValueError(f"{slot} by {name_of(operator)} returned what is not legal: {error}") from None
    return made.unevaluated()


def _population(
    slot: str, operator: Operator, made: list[Any], given: Population, layout: Layout | None
) -> Population:
    try:
        population = Population.from_genotypes([list(bits) for bits in made], given.weights)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{slot} by {name_of(operator)} returned what is not a genotype: {error}") from None
    return _checked(slot, operator, population, given, layout)


def _individuals(population: Population) -> list[Individual]:
    return [Individual(genotype[:], genotype.fitness) for genotype in population]


def _first_of_two(operator: Operator, made: Any) -> Any:
    if not isinstance(made, tuple | list) or len(made) != 2 or not all(hasattr(bits, "__iter__") for bits in made):
        raise ValueError(f"crossover by {name_of(operator)} must return two genotypes, got {shown(made)}")
    return made[0]


def _alone(made: Any) -> Any:
    return made[0] if isinstance(made, tuple) and len(made) == 1 and hasattr(made[0], "__iter__") else made
