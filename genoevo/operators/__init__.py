"""Operators as pure functions on packed populations. The random generator is always passed in."""

from genoevo.operators import crossover, growth, lengths, mutation, selection
from genoevo.operators.lengths import LengthPolicy
from genoevo.operators.reproduction import Brood, Origin, Reproduction

__all__ = [
    "Brood",
    "LengthPolicy",
    "Origin",
    "Reproduction",
    "crossover",
    "growth",
    "lengths",
    "mutation",
    "selection",
]
