"""The front of a population of several objectives, and its hypervolume."""

from genoevo.evolution.pareto import front, hypervolume

__all__ = ["front", "hypervolume"]
