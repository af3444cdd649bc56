"""The errors of training."""

from genoevo_runs.errors import RunError


class DivergedError(RunError):
    """An end of training because gradients or values are no longer finite."""


def diverged(what: str, steps: int, consequence: str) -> DivergedError:
    """Return the error that *what* is no longer finite after *steps* environment steps, with its *consequence*."""
    return DivergedError(
        f"{what} are no longer finite at step {steps}: {consequence}; the last checkpoint is as it was. "
        "A lower sac.learning_rate or sac.reward_scale may help"
    )
