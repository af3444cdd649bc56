"""The reference of all settings, generated from the config.

The documentation shows it as a page, ``genoevo mega settings`` in the terminal.

Names, types, defaults and ranges come from the JSON schema that pydantic makes of :class:`Config`. Meanings come from
the docstrings of the settings, and for the engine's rules from the ``Parameters`` of their classes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genoevo_mega.config.run import Config
from genoevo_runs.errors import ConfigError, abbreviated, nearest

RUN = "run"
"""Name of the group of the settings that belong to no group."""

_KINDS = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}

Schema = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted name, type, default as a JSON value, allowed values and meaning.

    ``allowed`` is empty if the type says all; ``marks`` are those of the rule, of P, R and O. ``meaning`` is
    a paragraph of reStructuredText.
    """

    name: str
    kind: str
    default: Any
    allowed: str
    marks: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Group:
    """A group of settings; ``meaning`` is a paragraph of reStructuredText."""

    name: str
    meaning: str
    settings: tuple[Setting, ...]


def reference() -> list[Group]:
    """Return every group with its settings, in the order of :class:`Config`."""
    schema = Config.model_json_schema()
    return list(_groups("", schema, schema["$defs"], Config().model_dump(mode="json"), ""))


def lookup(name: str) -> list[Group]:
    """Return the group *name* and the groups inside it, or the setting *name* alone in its group.

    ConfigError for any other name, with the nearest one.
    """
    groups = reference()
    if inside := [group for group in groups if group.name == name or group.name.startswith(f"{name}.")]:
        return inside
    for group in groups:
        for setting in group.settings:
            if setting.name == name:
                return [Group(group.name, group.meaning, (setting,))]
    known = [*(group.name for group in groups), *(setting.name for group in groups for setting in group.settings)]
    raise ConfigError(f"{abbreviated(name)} is not a setting or a group{nearest(name, known)}")


def plain(text: str) -> str:
    """Return a paragraph of reStructuredText as text for a terminal."""
    text = re.sub(r":[a-z]+:`~?([^`]+)`", r"\1", text)
    return re.sub(r"``([^`]+)``|\*([^*\s]+)\*", lambda match: match[1] or match[2], text)


def _groups(
    name: str, schema: Schema, definitions: dict[str, Schema], defaults: dict[str, Any], remark: str
) -> Iterator[Group]:
    meaning, parameters = _sections(schema["description"])
    settings, below = [], []
    for key, field in schema["properties"].items():
        full = f"{name}.{key}" if name else key
        if target := _target(field):
            below.append((full, definitions[target], definitions, defaults[key], field.get("description", "")))
            continue
        allowed, text = parameters.get(key, ("", ""))
        text = _paragraph(field.get("description", text))
        marks = _marks(text) or _marks(meaning)
        settings.append(Setting(full, _kind(field), defaults[key], _allowed(field) or allowed, marks, text))
    yield Group(name or RUN, _paragraph(f"{meaning} {remark}"), tuple(settings))
    for group in below:
        yield from _groups(*group)


def _target(field: Schema) -> str | None:
    """Return the name of the group that *field* is, or None for a setting."""
    references = (part["$ref"] for part in (field, *field.get("allOf", ())) if "$ref" in part)
    return next((reference.rpartition("/")[2] for reference in references), None)


def _sections(docstring: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """Return the text of a class's docstring, and for each of its ``Parameters`` the range and the text."""
    text, _, section = inspect.cleandoc(docstring).partition("\nParameters\n----------\n")
    entries = re.findall(r"^(\w+)(?: : (.*))?\n((?: +.*\n?|\n)+)", section, flags=re.MULTILINE)
    # Python's None is null in YAML.
    meanings = {name: (allowed, re.sub(r"\bNone\b", "null", _paragraph(text))) for name, allowed, text in entries}
    return _paragraph(text), meanings


def _paragraph(text: str) -> str:
    return " ".join(text.split())


def _marks(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"\[([PRO])\]", text)))


def _kind(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(each) for each in field["anyOf"])
    if field["type"] == "array":
        return f"list of {_kind(field['items'])}"
    return _KINDS.get(field["type"], field["type"])


def _allowed(field: Schema) -> str:
    """Return the values that the schema allows, as far as the type does not say it."""
    if "allowed" in field:
        return str(field["allowed"])
    if "anyOf" in field:
        return next((text for each in field["anyOf"] if (text := _allowed(each))), "")
    if "items" in field:
        return f"each {each}" if (each := _allowed(field["items"])) else ""
    if "enum" in field:
        return ", ".join(field["enum"])
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high, below = field.get("maximum"), field.get("exclusiveMaximum")
    if (high, below) == (None, None):
        return f">= {low}" if low is not None else f"> {above}" if above is not None else ""
    opening = f"[{low}" if low is not None else f"({above}"
    return f"in {opening}, {f'{high}]' if high is not None else f'{below})'}"
