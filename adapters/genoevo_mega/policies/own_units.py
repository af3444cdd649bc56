"""One task's policy in the units of its environment, for files that run without this project."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genoevo_mega.envs.space import TaskSpace
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy


class OwnUnits(nn.Module):
    """A task's greedy *policy* of (batch, *observation_size*) in [-1, 1], as one in its environment's own units.

    It takes (batch, space.observation_size) and returns (batch, space.action_size), float32. Observations are padded
    with zeros, and actions scaled and rounded, only if the environment needs it.
    """

    def __init__(self, policy: TaskPolicy | FixedPolicy, space: TaskSpace, observation_size: int) -> None:
        super().__init__()
        self.policy, self.space = policy, space
        self.inputs, self.outputs = space.observation_size, space.action_size
        self.padding = observation_size - self.inputs
        self.register_buffer("zeros", torch.zeros(1, self.padding), persistent=False)
        low, high = (torch.from_numpy(bound).float() for bound in space.bounds)
        for name, value in (("low", low), ("high", high), ("centre", (low + high) / 2), ("reach", (high - low) / 2)):
            self.register_buffer(name, value, persistent=space.scaled)

    def forward(self, observations: Tensor) -> Tensor:
        """See the class."""
        if self.padding:
            observations = torch.cat([observations, self.zeros.expand(observations.shape[0], -1)], dim=1)
        actions = self.policy(observations)
        if not self.space.scaled:
            return actions
        own = self.centre + actions[:, : self.outputs] * self.reach
        own = torch.round(own) if self.space.whole else own
        return torch.minimum(torch.maximum(own, self.low), self.high)
