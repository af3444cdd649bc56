"""The rules of an evolution, which can be replaced as it runs, and whether they fit its population."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar, overload

import numpy as np

from genoevo._check import check_type, shown
from genoevo.evolution.constraints import Constraints
from genoevo.evolution.islands import Islands
from genoevo.evolution.lineage import GIVEN
from genoevo.evolution.resampling import Estimates, Resampling
from genoevo.evolution.rules import Selection, Survival
from genoevo.evolution.search import Search
from genoevo.layout import Layout
from genoevo.operators.own import Operators
from genoevo.operators.reproduction import Reproduction
from genoevo.operators.variation import Variation
from genoevo.population import Population
from genoevo.state import State, rebuild, settings_state

R = TypeVar("R")

RULES: dict[str, Any] = {
    "reproduction": Reproduction,
    "selection": Selection,
    "survival": Survival,
    "islands": Islands,
}
"""The rules, in the order of an evolution's state."""
LATER_RULES: dict[str, Any] = {"variation": Variation, "constraints": Constraints, "resampling": Resampling}
"""The rules that a state has only if they are not the default, which is what was done before there were any."""


class Rule(Generic[R]):
    """An attribute that holds a rule.

    What is assigned is checked with all other rules, and takes effect from the next generation on. Raises TypeError
    for a value of another type, ValueError if it does not fit the population, and RuntimeError if *while_asked* is
    false and children are waiting for their fitness. The rule stays as it was then.
    """

    def __init__(self, kind: type[R], *, while_asked: bool) -> None:
        self._kind, self._while_asked = kind, while_asked

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, holder: None, owner: type) -> Rule[R]: ...
    @overload
    def __get__(self, holder: Ruled, owner: type) -> R: ...

    def __get__(self, holder: Ruled | None, owner: type) -> Rule[R] | R:
        if holder is None:
            return self
        value: R = holder._rules[self._name]
        return value

    def __set__(self, holder: Ruled, value: R) -> None:
        check_type(self._name, value, self._kind)
        if not self._while_asked:
            holder._check_told(self._name)
        rules = {**holder._rules, self._name: value}
        check_fit(holder.population, holder.layout, rules)
        holder._rules = rules


class Ruled(Search):
    """The part of an :class:`~genoevo.Evolution` that a user reads and may replace, checked as a whole."""

    reproduction = Rule(Reproduction, while_asked=True)
    selection = Rule(Selection, while_asked=True)
    survival = Rule(Survival, while_asked=False)
    islands = Rule(Islands, while_asked=False)
    variation = Rule(Variation, while_asked=True)

    estimates: Estimates | None
    _population: Population
    _rules: dict[str, Any]
    _layout: Layout | None

    @property
    def population(self) -> Population:
        """The current generation. What is assigned between generations is checked, and has no known parents."""
        return self._population

    @population.setter
    def population(self, population: Population) -> None:
        check_type("population", population, Population)
        self._check_told("population")
        if population.weights != self._population.weights:
            raise ValueError(
                f"weights must be the population's, {self._population.weights}, got {population.weights}"
            )
        if self.generation:
            population.check_evaluated()
        check_fit(population, self._layout, self._rules)
        self._population, self.numbers = population.copy(), np.full(len(population), GIVEN)
        if self.estimates is not None:
            self.estimates = Estimates.first(population, self.estimates.repeats)

    memory = property(lambda self: self._record, doc="The former name of *record*.")
    layout = property(lambda self: self._layout, doc="The layout, or None.")

    constraints = property(lambda self: self._rules["constraints"], doc="The constraints.")
    resampling = property(lambda self: self._rules["resampling"], doc="The rule of evaluating survivors again.")
    operators = property(lambda self: self._rules["operators"], doc="The own operators.")

    @property
    def feasible(self) -> bool:
        """Whether *best* keeps all constraints; True without constraints, False without a best."""
        if self.best is None or not self.constraints.count:
            return self.best is not None
        return bool(self.constraints.feasible(Population.from_genotypes([self.best]))[0])

    def _check_told(self, name: str) -> None:
        if self.is_asked and self.generation:
            raise RuntimeError(f"{name} cannot be replaced while children wait for their fitness: tell() first")


def rules_of(population: Population, layout: Layout | None, given: Iterable[Any]) -> dict[str, Any]:
    """Return by name the rules *given*: those of RULES and LATER_RULES, in order, and own operators.

    None stands for the default. TypeError or ValueError says what is wrong.
    """
    kinds, rules = RULES | LATER_RULES | {"operators": Operators}, {}
    for (name, kind), rule in zip(kinds.items(), given, strict=True):
        rules[name] = kind() if rule is None else rule
        check_type(name, rules[name], kind)
    if layout is not None:
        check_type("layout", layout, Layout)
    check_fit(population, layout, rules)
    return rules


def rules_state(rules: Mapping[str, Any]) -> State:
    """Return the rules as a state, and the names of own operators, which are no data."""
    state = {name: settings_state(rules[name]) for name in RULES}
    state |= {name: settings_state(rules[name]) for name, kind in LATER_RULES.items() if rules[name] != kind()}
    names = rules["operators"].names
    return state | ({"operators": names} if names else {})


def rules_from_state(
    state: State, population: Population, layout: Layout | None, operators: Operators
) -> dict[str, Any]:
    """Return the rules in the state of an evolution; ValueError says what does not fit, also of own *operators*.

    Lengths that they do not allow are allowed here: earlier versions began with such genotypes.
    """
    rules = {name: rebuild(kind, state[name]) for name, kind in RULES.items()}
    rules |= {n: rebuild(kind, state[n]) if n in state else kind() for n, kind in LATER_RULES.items()}
    operators.check_names(state.get("operators", {}))
    rules["operators"] = operators
    rules["constraints"].check_weights(population.weights)
    rules["reproduction"].check_layout(layout, population)
    rules["survival"].children(rules["islands"].size(len(population)))
    return rules


def check_fit(population: Population, layout: Layout | None, rules: Mapping[str, Any]) -> None:
    """Raise ValueError if the rules do not fit the population, or each other."""
    rules["survival"].children(rules["islands"].size(len(population)))
    constraints, weights = rules["constraints"], population.weights
    constraints.check_weights(weights)
    rules["selection"].check_weights(constraints.objectives(weights))
    if constraints.count and rules["selection"].is_proportional:
        raise ValueError(f"selection by {rules['selection'].method!r} cannot rank genotypes that miss constraints")
    if rules["resampling"].is_on and not rules["survival"].keeps_parents:
        got = "0 elites" if rules["survival"].elites == 0 else repr(rules["survival"].strategy)
        raise ValueError(f"resampling needs survivors: under survival by {got} there are none")
    rules["reproduction"].check_variation(rules["variation"], population)
    for slot, name, setting in _replaced(rules):
        value, own = getattr(rules[name], setting), rules["operators"].names.get(slot)
        if own is not None and value != getattr(_DEFAULT[name], setting):
            raise ValueError(f"{setting} of {name} has no effect on the own {slot} {own}, got {shown(value)}")
    rules["reproduction"].check_layout(layout, population)
    rules["reproduction"].check_start(layout, population)


_DEFAULT: dict[str, Any] = {name: kind() for name, kind in (RULES | LATER_RULES).items()}


def _replaced(rules: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each slot of an own operator with the rule, and the setting of it, that the operator replaces."""
    yield from (("crossover", "reproduction", setting) for setting in ("crossover", "points"))
    if not rules["reproduction"].resize_rate:
        yield "crossover", "reproduction", "granularity"
    yield from (("mutation", "reproduction", setting) for setting in ("mutation", "mutation_rate"))
    yield "mutation", "variation", "mutation_rates"
    yield from (("selection", "selection", field.name) for field in fields(Selection))
    if not rules["resampling"].is_on:  # which evaluates again those that are the best by the method
        yield "survival", "survival", "method"
