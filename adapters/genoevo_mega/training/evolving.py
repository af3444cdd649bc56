"""The part of a round that needs agent, replay and genotypes at once: judging candidates, sizing the pool."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genoevo.community.candidates import Judge
from genoevo_mega.agents.replay import Replay
from genoevo_mega.config.run import Config
from genoevo_mega.networks import Routing
from genoevo_mega.training.errors import diverged
from genoevo_mega.training.state import TrainingState


def judge(state: TrainingState, config: Config) -> Judge | None:
    """Return a judge that scores candidates by the critics' values on recent states, or None if none is wanted.

    Modular critics have the routing that they are trained with beside the elites. States come from the newest quarter
    of the replay. The judge raises DivergedError if a value is not finite.
    """
    evolver, agent, count = state.evolver, state.agent, config.genotypes.surrogate_states
    make = evolver.surrogate
    if make is None or not state.replay.ready(0):
        return None
    observations = recent_observations(state.replay, count, state.rngs["surrogate"])
    of_critics = evolver.critic_routing(evolver.elite_routing())

    def values(rows: Tensor, routing: Routing) -> Tensor:
        found = agent.values(rows, routing, of_critics)
        if not found.isfinite().all():
            raise diverged("values of the critics", state.steps, "they cannot judge candidates")
        return found

    return make(observations, values)


def recent_observations(replay: Replay, count: int, rng: np.random.Generator) -> Tensor:
    """Draw *count* observations of every task, (tasks, count, size), from the newest quarter of its rows."""
    back = rng.integers(1, np.maximum(replay.filled // 4, 1)[:, None] + 1, (len(replay.filled), count))
    tasks, size = replay.observations.shape[:2]
    rows = (replay.written[:, None] - back) % size + np.arange(tasks)[:, None] * size
    places = torch.from_numpy(rows.reshape(-1)).to(replay.observations.device)
    return replay.observations.flatten(0, 1).index_select(0, places).view(tasks, count, -1)


def fit_pool(state: TrainingState) -> None:
    """Give the networks as many modules as the highest stage; drop those that no task has any more."""
    agent, (least, _) = state.agent, state.evolver.modules
    while len(agent.actor.pool) < least:
        agent.grow()
    while state.evolver.drops_modules and len(agent.actor.pool) > least:
        agent.shrink()
