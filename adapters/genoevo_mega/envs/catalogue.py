"""Meta-World's tasks for people who choose among them: suites, cost of a step, and how hard each is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names

_SUITES = ("mt10", "mt25", "mt50")
_MEASURED = Path(__file__).with_name("difficulty.json")


def describe(suite: str) -> dict[str, dict[str, Any]]:
    """By task: ``suites``, ``cost`` relative to other tasks, and what ``validation/tasks.py`` measured of it.

    ``expert_steps`` is None where the scripted expert never succeeded. ConfigError for an unknown task.
    """
    names = metaworld_names(suite)
    measured = json.loads(_MEASURED.read_text(encoding="utf-8"))["tasks"]
    members = {each: metaworld_names(each) for each in _SUITES}
    costs = MetaWorldSuite(names, seed=1).costs
    return {
        name: {
            "suites": [each for each in _SUITES if name in members[each]],
            "cost": round(cost, 2),
            **measured.get(name, {"expert_steps": None, "expert_success": None, "random_success": None}),
        }
        for name, cost in zip(names, costs, strict=True)
    }
