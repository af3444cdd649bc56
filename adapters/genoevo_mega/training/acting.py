"""The choice of the next actions."""

from __future__ import annotations

import numpy as np
import torch

from genoevo_mega.config.sac import Sac
from genoevo_mega.training.state import TrainingState
from genoevo_runs.arrays import Floats


def choose_actions(state: TrainingState, sac: Sac) -> Floats:
    """Return the actions of the next step to send, (tasks, action_size) float32, by the newest observations.

    They are random in the first ``random_steps`` vector steps, each held for ``random_action_repeat`` of them.
    """
    episodes = state.episodes
    step = state.vector_steps + len(episodes.under_way)
    if step < sac.random_steps:
        if step % sac.random_action_repeat:
            return episodes.last_actions
        return state.rngs["random_actions"].uniform(-1, 1, episodes.last_actions.shape).astype(np.float32)
    return state.agent.act(torch.from_numpy(episodes.observations), state.evolver.acting_routing()).numpy()
