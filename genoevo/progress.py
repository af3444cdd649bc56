"""The progress of a search, shown as it runs."""

from genoevo.evolution.progress import ProgressBar

__all__ = ["ProgressBar"]
