"""Errors a user can act on; the command line prints them as one line."""

from difflib import get_close_matches


class UserError(Exception):
    """Something the user asked for cannot be done; the message names it, its value and what is allowed."""


class ConfigError(UserError):
    """A setting, preset, task or directory that is not allowed."""


class DivergedError(Exception):
    """Gradients are no longer finite."""


class RolloutError(Exception):
    """A rollout worker failed or died."""


def nearest(name: str, known: list[str]) -> str:
    """Return ``(did you mean X?)`` with the known name most like *name*, or nothing."""
    match = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {match[0]}?)" if match else ""
