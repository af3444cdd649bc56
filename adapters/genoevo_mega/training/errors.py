"""Errors of training."""

from genoevo_runs.errors import RunError


class DivergedError(RunError):
    """Gradients are no longer finite."""
