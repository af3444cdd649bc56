"""The settings that may name code of the user's own: ``suite`` and ``architecture``.

Importing this module registers both. So the adapter imports the functions from here, not from
:mod:`genoevo_runs.user_code`.
"""

from genoevo_runs import user_code
from genoevo_runs.user_code import allow, check_allowed, options

__all__ = ["GYMNASIUM", "allow", "check_allowed", "gymnasium_ids", "is_code", "options"]

GYMNASIUM = "gymnasium:"
"""The prefix of gymnasium's tasks."""


def is_code(name: str) -> bool:
    """Whether a setting's value names a callable to import; gymnasium's tasks do not."""
    return user_code.is_code(name) and not name.startswith(GYMNASIUM)


def gymnasium_ids(suite: str) -> list[str]:
    """Return the ids of gymnasium's environments that a suite lists; empty if it is another suite."""
    return [name.strip() for name in suite.removeprefix(GYMNASIUM).split(",")] if suite.startswith(GYMNASIUM) else []


def _code_of_suite(suite: str) -> list[str]:
    # gymnasium imports the module of an id of the form module:Name-v0.
    modules = [f"{GYMNASIUM}{name}" for name in gymnasium_ids(suite) if ":" in name]
    return [suite] if is_code(suite) else modules


user_code.register("suite", "GENOEVO_ALLOW_SUITE", lambda suite: bool(_code_of_suite(suite)), _code_of_suite)
user_code.register("architecture", "GENOEVO_ALLOW_ARCHITECTURE", is_code)
