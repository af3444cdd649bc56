"""Soft actor-critic, its replay, and how its updates are computed.

:mod:`~genoevo_mega.agents.sac` holds the algorithm, :mod:`~genoevo_mega.agents.losses` its losses.
:mod:`~genoevo_mega.agents.agent` is the interface that the training loop needs of any agent.
"""

from genoevo_mega.agents.agent import Agent
from genoevo_mega.agents.losses import Networks, Terms, actor_loss, critic_loss, temperature_loss
from genoevo_mega.agents.replay import Batch, Replay
from genoevo_mega.agents.sac import SacAgent

__all__ = [
    "Agent",
    "Batch",
    "Networks",
    "Replay",
    "SacAgent",
    "Terms",
    "actor_loss",
    "critic_loss",
    "temperature_loss",
]
