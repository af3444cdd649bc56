"""Test which ways of restoring an episode in the middle reproduce its rest bit for bit, for every Meta-World task.

    python validation/mujoco_state.py

An episode is played to its middle and then to its end. A second environment, which has played something else,
restores the middle in one of these ways. Then every observation, reward and success of the rest is compared:

state
    ``mj_setState`` of MuJoCo's full integration state, and the environment's Python attributes.
state and model
    as before, and the positions that Meta-World writes into the model at a reset.
state, model, views
    as before, but attributes that are views of MuJoCo's memory stay views.
replay
    the same goal and actions from the start, as a checkpoint does it.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import mujoco
import numpy as np

from genoevo_mega.envs.metaworld import MetaWorldSuite, MetaWorldTask, metaworld_names

SPEC = mujoco.mjtState.mjSTATE_INTEGRATION
VALUES = (int, float, bool, str, type(None), np.ndarray, np.generic, tuple, list)
MODEL = ("body_pos", "body_quat", "site_pos", "geom_pos")
MIDDLE, END = 100, 200


def taken(environment: Any) -> dict[str, Any]:
    """Return everything of an environment that can be copied."""
    state = np.empty(mujoco.mj_stateSize(environment.model, SPEC))
    mujoco.mj_getState(environment.model, environment.data, state, SPEC)
    attributes = {name: value for name, value in vars(environment).items() if isinstance(value, VALUES)}
    views = {name for name, value in attributes.items() if isinstance(value, np.ndarray) and not value.flags.owndata}
    model = {name: getattr(environment.model, name).copy() for name in MODEL}
    return {"state": state, "attributes": copy.deepcopy(attributes), "views": views, "model": model}


def put(environment: Any, content: dict[str, Any], *, model: bool, views: bool) -> None:
    """Restore the result of :func:`taken`; *model* and *views* say how much of it."""
    if model:
        for name in MODEL:
            getattr(environment.model, name)[:] = content["model"][name]
    mujoco.mj_setState(environment.model, environment.data, content["state"], SPEC)
    for name, value in copy.deepcopy(content["attributes"]).items():
        if not (views and name in content["views"]):
            setattr(environment, name, value)


def play(task: MetaWorldTask, actions: Any) -> list[Any]:
    """Play *actions* and return the result of every step."""
    return [(tuple(observation), *rest) for observation, *rest in map(task.step, actions)]


def main() -> None:
    """Print a line for every way."""
    suite = MetaWorldSuite(metaworld_names("mt50"), seed=1, goals=2)
    rng = np.random.default_rng(0)
    ways = {
        "state": {"model": False, "views": False},
        "state and model": {"model": True, "views": False},
        "state, model, views": {"model": True, "views": True},
        "replay": None,
    }
    failed: dict[str, list[str]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for task, name in enumerate(suite.names):
        actions = rng.uniform(-1, 1, (END, 4)).astype(np.float32)
        first = suite.make(task)
        first.reset(1, evaluation=False)
        play(first, actions[:MIDDLE])
        content = taken(first.simulator)
        rest = play(first, actions[MIDDLE:])
        for way, how in ways.items():
            second = suite.make(task)  # a new one for every way: the traces of one must not affect the next
            second.reset(0, evaluation=False)
            play(second, actions[5:15])
            began = time.perf_counter()
            second.reset(1, evaluation=False)
            if how is None:
                play(second, actions[:MIDDLE])
            else:
                put(second.simulator, content, **how)
            seconds[way] += time.perf_counter() - began
            if play(second, actions[MIDDLE:]) != rest:
                failed[way].append(name)
    for way, names in failed.items():
        print(
            f"{way:22}{50 - len(names):3} of 50 exact, {seconds[way]:5.1f} s for all; not: {', '.join(names) or '-'}"
        )


if __name__ == "__main__":
    main()
