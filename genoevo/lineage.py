"""Lineage: who came from whom, by which operator."""

from genoevo.evolution.lineage import Lineage

__all__ = ["Lineage"]
