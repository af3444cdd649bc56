"""Settings that were renamed. Old names are still read: in what users write, and in old runs."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from genoevo_runs.errors import ConfigError
from genoevo_runs.run_kind import Tell, silent

RENAMED: dict[str, str] = {
    "machine.device": "compute.device",
    "machine.workers": "compute.workers",
    "machine.threads": "compute.threads",
    "machine.lag": "schedule.update_lag",
    "machine.halves": "schedule.double_buffering",
    "machine.minutes": "schedule.time_limit_minutes",
    "machine.checkpoint_every": "checkpoints.every",
    "machine.keep_checkpoints": "checkpoints.keep",
    "machine.worker_timeout": "faults.worker_timeout",
    "machine.fault_limit": "faults.limit",
    "sac.average": "sac.actor_ema_tau",
    "sac.random_hold": "sac.random_action_repeat",
}
"""Dotted name before -> dotted name now, each of the form ``group.name``. The only place that knows both."""

REMOVED_GROUPS = {"machine": "compute, schedule, checkpoints and faults"}
"""Groups that no longer exist, and where their settings are now."""


def with_new_names(settings: dict[str, Any], tell: Tell = silent) -> dict[str, Any]:
    """Return nested *settings* with every old name replaced by the new one; the argument is left as it is.

    *tell* gets one line for each old name. ConfigError when a setting is given under both of its names, or when
    a removed group has a setting that never existed.
    """
    result = {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}
    for old, new in RENAMED.items():
        (old_group, old_name), (group, name) = old.split("."), new.split(".")
        source, target = result.get(old_group), result.get(group, {})
        # A group that is not a dict is left for the validation of all settings, which explains it.
        if not (isinstance(source, dict) and old_name in source and isinstance(target, dict)):
            continue
        if name in target:
            raise ConfigError(f"{old} and {new} are two names of the same setting: give only {new}")
        result[group] = {**target, name: source[old_name]}
        del result[old_group][old_name]
        tell(f"{old} is now called {new}")
    for group, groups in REMOVED_GROUPS.items():
        rest = result.pop(group, {})
        if not isinstance(rest, dict):
            raise ConfigError(f"{group} is not a group of settings: its settings are now in {groups}")
        for name in rest:
            if f"{group}.{name}" not in RENAMED:
                raise ConfigError(f"{group}.{name} is not a setting{_hint(group, str(name))}")
    return result


def _hint(group: str, name: str) -> str:
    """Return the present name of the setting of a removed group that *name* resembles, under either of its names."""
    leaves = {leaf: new for old, new in RENAMED.items() for leaf in (old.split(".")[1], new.split(".")[1])}
    match = get_close_matches(name, leaves, 1, 0.5)
    return f" (did you mean {leaves[match[0]]}?)" if match else f": its settings are now in {REMOVED_GROUPS[group]}"
