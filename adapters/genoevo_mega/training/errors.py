"""The errors of training."""

from genoevo_runs.errors import RunError


class DivergedError(RunError):
    """An end of training because gradients are no longer finite."""
