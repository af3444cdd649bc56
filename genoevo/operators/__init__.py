"""Operators as pure functions over packed populations; the random generator is always passed in."""

from genoevo.operators import crossover, growth, mutation, selection
from genoevo.operators.reproduction import Brood, Origin, Reproduction

__all__ = ["Brood", "Origin", "Reproduction", "crossover", "growth", "mutation", "selection"]
