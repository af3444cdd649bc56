"""Operators as pure functions on packed populations. The random generator is always passed in."""

from genoevo.operators import crossover, growth, heavy_tailed, lengths, mutation, selection
from genoevo.operators.lengths import LengthPolicy
from genoevo.operators.own import Operators, PerGenotype
from genoevo.operators.reproduction import Brood, Origin, Reproduction
from genoevo.operators.variation import Variation

__all__ = [
    "Brood",
    "LengthPolicy",
    "Operators",
    "Origin",
    "PerGenotype",
    "Reproduction",
    "Variation",
    "crossover",
    "growth",
    "heavy_tailed",
    "lengths",
    "mutation",
    "selection",
]
