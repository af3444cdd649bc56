"""The Sphinx directive ``settings``: a reference of the settings, generated from the config."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genoevo_mega.config.reference import Group, Setting


def section(group: Group) -> list[str]:
    """Return the lines of reStructuredText about one group."""
    lines = [group.name, "-" * len(group.name), "", group.meaning, ""]
    for setting in group.settings:
        marks = " ".join(f"[{mark}]" for mark in setting.marks)
        lines += [f"``{setting.name}`` ({', '.join(_facts(setting))}) {marks}", f"    {setting.meaning}", ""]
    return lines


def _facts(setting: Setting) -> list[str]:
    default = setting.default if isinstance(setting.default, str) else json.dumps(setting.default)
    allowed = [f"allowed: {setting.allowed}"] if setting.allowed else []
    return [setting.kind, f"default ``{default}``", *allowed]


def lines() -> list[str]:
    """Return all lines of the reference."""
    from genoevo_mega.config.reference import reference

    return [line for group in reference() for line in section(group)]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive; Sphinx calls this."""
    from generated import add_directive

    add_directive(app, "settings", lines)
    return {"parallel_read_safe": True}
