"""The log of a run, and statistics that take the whole population at once."""

from genoevo.evolution.history import Log, PopulationStatistics

__all__ = ["Log", "PopulationStatistics"]
