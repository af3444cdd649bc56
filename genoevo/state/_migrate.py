"""The migration of states of earlier format versions to the present one.

Version 1 had three layouts of an evolution's state: first without selection, islands and memory, then without the
search's layout, then as now. The rules have gained settings all the time. Whatever a state lacks gets the value
that describes what the program did then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_REPRODUCTION = {
    "granularity": "bit",
    "mutation": "flip",
    "resize_rate": 0.0,
    "lengths": {"minimum": 1, "maximum": None, "illegal": "repair"},
}
_RULES: dict[str, dict[str, Any]] = {
    "selection": {"method": "tournament", "tournament_size": 3, "share": 0.5},
    "survival": {"strategy": "generational", "elites": 1, "offspring": None, "method": "best"},
    "islands": {"count": 1, "interval": 10, "migrants": 1, "topology": "ring", "replace": "worst"},
    "memory": {"hall_of_fame": 0, "pareto_front": False, "lineage": False, "cache": 0},
}
_GIVEN = -1  # a genotype whose parents were not recorded


def migrated(state: Any) -> Any:
    """Return *state*, of version 1, as version 2; only the state of an evolution or a community changes."""
    kind = state.get("kind") if isinstance(state, dict) else None
    if kind not in ("evolution", "community"):
        return state
    state = {**state, "reproduction": _filled(state, "reproduction", _REPRODUCTION)}
    if kind == "community":
        return state
    if "selection" not in state:
        state = _of_first_layout(state)
    rules = {name: _filled(state, name, missing) for name, missing in _RULES.items()}
    return {"layout": None, **state, **rules}


def _of_first_layout(state: dict[str, Any]) -> dict[str, Any]:
    survival = _filled(state, "survival", {})
    selection = {"tournament_size": survival.pop("tournament_size", 3)}
    records = state.get("log")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("the state of an evolution has no list 'log' of records")
    n = len(state["population"]["lengths"])
    return {
        **state,
        "selection": selection,
        "survival": survival,
        "islands": {},
        "memory": {},
        "numbers": np.full(n, _GIVEN),
        "asked": _asked(state.get("asked")),
        "stagnant": _stagnant([record["best"] for record in records]),
        "log": {"records": [{**record, "failed": 0} for record in records], "chapters": {}},
        **dict.fromkeys(("hall_of_fame", "pareto_front", "lineage", "cache")),
    }


def _filled(state: dict[str, Any], name: str, missing: dict[str, Any]) -> dict[str, Any]:
    settings = state.get(name)
    if not isinstance(settings, dict):
        raise ValueError(f"the state of {state['kind']!r} has no {name!r}")
    return {**missing, **settings}


def _asked(population: Any) -> Any:
    if population is None:
        return None
    n = len(population["lengths"])
    return {"population": population, "parents": np.full((n, 2), _GIVEN), "origins": np.full(n, _GIVEN, np.int8)}


def _stagnant(best: list[Any]) -> int:
    """Return the generations since the last change in *best*, the best so far of each generation."""
    changes = [row for row in range(1, len(best)) if best[row] != best[row - 1]]
    return len(best) - 1 - (changes[-1] if changes else 0) if best else 0
