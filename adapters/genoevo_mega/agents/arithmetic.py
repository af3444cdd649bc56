"""What computes the parts of an update that have a compiled form: torch's operations, or compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from genoevo_mega.agents import compiled, direct
from genoevo_mega.agents.distribution import Bounds, tanh_gaussian
from genoevo_mega.agents.losses import Networks, Terms
from genoevo_mega.agents.optimizers import Optimizers, polyak_update
from genoevo_mega.agents.step import StepInputs
from genoevo_mega.networks.embedding import without_vectors


class Arithmetic(NamedTuple):
    """The functions of an update that differ; ``compiled`` says whether networks and optimizers are compiled, too."""

    draw: Callable[[Tensor, Tensor, Bounds], tuple[Tensor, Tensor]]
    polyak_update: Callable[[list[nn.Parameter], list[nn.Parameter], float], None]
    compiled: bool

    def direct(self, nets: Networks, step: StepInputs, terms: Terms, limit: float | None) -> tuple[Any, Any]:
        """Return what differentiates the critics' and the actor's loss by compiled functions; None if nothing can.

        They cannot mask tasks whose loss is above a *limit*.
        """
        if not self.compiled or limit is not None or not direct.usable(nets, step, terms.prediction):
            return None, None
        return partial(direct.critic_gradients, nets, terms=terms), partial(direct.actor_gradients, nets, terms=terms)


BY_TORCH = Arithmetic(tanh_gaussian, polyak_update, compiled=False)


def by_kernels(nets: Networks, optimizers: Optimizers) -> Arithmetic:
    """Let compiled functions compute *nets* and *optimizers*, and return the other ones."""
    for network in nets:
        without_vectors(network).compiled = True  # type: ignore[assignment]
    for optimizer in optimizers:
        optimizer.compiled = compiled.adam_step
    return Arithmetic(compiled.tanh_gaussian, compiled.polyak_update, compiled=True)
