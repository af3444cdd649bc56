"""The settings that may name code of the user's own: ``suite`` and ``architecture``.

Importing this module registers both. So the adapter imports the functions from here, not from
:mod:`genoevo_runs.user_code`.
"""

from genoevo_runs import user_code
from genoevo_runs.user_code import allow, check_allowed

__all__ = ["GYMNASIUM", "allow", "check_allowed", "is_code"]

GYMNASIUM = "gymnasium:"
"""The prefix of gymnasium's tasks."""


def is_code(name: str) -> bool:
    """Whether a setting's value names a callable to import; gymnasium's tasks are not code."""
    return user_code.is_code(name) and not name.startswith(GYMNASIUM)


user_code.register("suite", "GENOEVO_ALLOW_SUITE", is_code)
user_code.register("architecture", "GENOEVO_ALLOW_ARCHITECTURE", is_code)
