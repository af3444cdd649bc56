"""A bounded cache of fitness by genotype, for functions that are deterministic and slow."""

from genoevo.evaluation.cache import Cache

__all__ = ["Cache"]
