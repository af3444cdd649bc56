"""A pool of modules that changes its size: a network, its moving average and its optimizer together."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from genoevo_mega.agents.losses import Networks
from genoevo_mega.agents.optimizers import ClippedAdam, Optimizers
from genoevo_mega.networks.embedding import without_vectors


class ModulePool(NamedTuple):
    """A network whose pool can change, its moving average, and the optimizer of the network."""

    network: Any
    average: Any
    optimizer: ClippedAdam

    def grow(self, rng: torch.Generator, device: torch.device) -> None:
        """Add a module, drawn on the CPU, with fresh optimizer state; all else is kept."""
        self.network.grow(rng)
        self.network.to(device)
        self.optimizer.add_param_group({"params": list(self.network.pool[-1].parameters())})
        # The average of a new module starts as the module itself; its own draw is overwritten.
        self.average.grow(rng)
        self.average.to(device).requires_grad_(False)
        self.average.pool[-1].load_state_dict(self.network.pool[-1].state_dict())

    def shrink(self) -> None:
        """Remove the last module and its optimizer state."""
        self.optimizer.forget(list(self.network.pool[-1].parameters()))
        self.network.shrink()
        self.average.shrink()


def module_pools(nets: Networks, optimizers: Optimizers) -> list[ModulePool]:
    """Return the pools of an agent's actor and critics, as far as they are modular."""
    critics, targets = without_vectors(nets.critics), without_vectors(nets.target_critics)
    every = (
        ModulePool(nets.actor, nets.actor_ema, optimizers.actor),
        ModulePool(critics, targets, optimizers.critics),
    )
    return [pool for pool in every if hasattr(pool.network, "grow")]
