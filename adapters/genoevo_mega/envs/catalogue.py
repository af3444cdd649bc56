"""A catalogue of Meta-World's tasks: the suites of each task, the cost of its steps, and how hard it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genoevo_mega.envs.metaworld import SUITES, MetaWorldSuite, metaworld_names

_MEASURED = Path(__file__).with_name("difficulty.json")


def describe(suite: str) -> dict[str, dict[str, Any]]:
    """Return the description of each task of *suite*, by name; ConfigError names an unknown task.

    ``suites`` lists the suites that contain the task. ``cost`` is the relative duration of its steps.
    ``expert_steps``, ``expert_success`` and ``random_success`` are measurements of ``validation/tasks.py``, None if
    the task was not measured. ``expert_steps`` is also None if the scripted expert never succeeded.
    """
    names = metaworld_names(suite)
    measured = json.loads(_MEASURED.read_text(encoding="utf-8"))["tasks"]
    members = {each: metaworld_names(each) for each in SUITES}
    costs = MetaWorldSuite(names, seed=1).costs
    return {
        name: {
            "suites": [each for each in SUITES if name in members[each]],
            "cost": round(cost, 2),
            **measured.get(name, {"expert_steps": None, "expert_success": None, "random_success": None}),
        }
        for name, cost in zip(names, costs, strict=True)
    }
