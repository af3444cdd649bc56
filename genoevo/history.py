"""Statistics of a run that take the whole population at once."""

from genoevo.evolution.history import PopulationStatistics

__all__ = ["PopulationStatistics"]
