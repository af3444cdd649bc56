"""Errors of rollouts."""

from genoevo_runs.errors import RunError


class RolloutError(RunError):
    """A rollout worker failed or died."""
