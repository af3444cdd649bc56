"""How the facts of two revisions differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch

from tests.same_as.facts import Facts, is_under


def renamed(facts: Facts, names: Mapping[str, str]) -> Facts:
    """*facts* of an earlier revision under the names of now; *names* gives for a name, or a part of all names below
    it, the earlier one."""
    now = {earlier: name for name, earlier in names.items()}

    def name_now(key: str) -> str:
        earlier = max((old for old in now if is_under(key, [old])), key=len, default=None)
        return key if earlier is None else now[earlier] + key.removeprefix(earlier)

    return {name_now(key): value for key, value in facts.items()}


def differences(
    here: Facts, there: Facts, names: Mapping[str, str] | None = None, added: Iterable[str] = ()
) -> list[str]:
    """A line for every name whose value is not the same *here* and *there*, or that one of the two lacks.

    Names that match a pattern in *added*, or lie below one that does, may be only here.
    Numbers within names are in their order, so that the first line of metrics that differs comes first of those.
    """
    there = renamed(there, names or {})
    found = []
    for name in sorted(here.keys() | there.keys(), key=_in_order):
        if name not in there and any(fnmatch(name, part) or fnmatch(name, f"{part}/*") for part in added):
            continue
        if name not in there:
            found.append(f"{name}: only here")
        elif name not in here:
            found.append(f"{name}: missing here")
        elif here[name] != there[name]:
            found.append(f"{name}: {_told(here[name], there[name])}")
    return found


def _in_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _told(here: str, there: str) -> str:
    kinds = {value.rpartition(" ")[0] for value in (here, there)}
    if len(kinds) == 1 and (kind := kinds.pop()).endswith(")"):  # dtype and shape are the same, the hashes are not
        return f"{kind} differs"
    return f"{here}, was {there}"
