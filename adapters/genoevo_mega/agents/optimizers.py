"""Adam with gradient clipping, which leaves out steps whose gradient is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoevo_mega.config.sac import Sac

CompiledStep = Callable[[torch.optim.Optimizer, Sequence[nn.Parameter], Sequence[Tensor | None], float], Tensor]


class ClippedAdam(torch.optim.Adam):
    """Adam on the gradient, scaled down to a largest norm.

    Parameters
    ----------
    parameters
        They are all on one device.
    learning_rate
        Adam's.
    clip
        Largest norm of the gradient of all parameters together.
    device
        On CUDA a step can be part of a captured graph.
    weight_decay
        Share of the parameters, times the learning rate, that a step takes away first: AdamW (Loshchilov and Hutter
        2019, arXiv 1711.05101). All parameters decay, biases too, as in BRC.

    Attributes
    ----------
    compiled
        A compiled function that makes the step (:func:`genoevo_mega.agents.compiled.adam_step`); None for torch's.

    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        clip: float,
        device: torch.device,
        weight_decay: float = 0.0,
    ) -> None:
        capturable = device.type == "cuda"
        super().__init__(
            parameters,
            lr=learning_rate,
            weight_decay=weight_decay,
            decoupled_weight_decay=True,
            fused=True,
            capturable=capturable,
        )
        self.clip = clip
        self.compiled: CompiledStep | None = None

    def apply_gradients(self, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> Tensor:
        """Make one step and return the gradient's norm, 0-d, before it was clipped.

        A gradient that is not finite changes nothing. *parameters* are all of the optimizer's, in the order of
        *gradients*: the order decides the last bits of the norm.
        """
        if self.compiled is not None:
            return self.compiled(self, parameters, gradients, self.clip)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        norm = nn.utils.clip_grad_norm_(parameters, self.clip)
        # The flag of gradient scalers: the fused step changes nothing if it is 1.
        self.found_inf = 1.0 - torch.isfinite(norm).float()
        self.step()
        return norm

    def forget(self, parameters: Sequence[nn.Parameter]) -> None:
        """Take *parameters* and their state out of the optimizer."""
        gone = {id(parameter) for parameter in parameters}
        for group in self.param_groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in gone]
        self.param_groups = [group for group in self.param_groups if group["params"]]
        for parameter in parameters:
            self.state.pop(parameter, None)


class Optimizers(NamedTuple):
    """The optimizers of an agent."""

    actor: ClippedAdam
    critics: ClippedAdam
    temperature: ClippedAdam

    @classmethod
    def of(
        cls,
        actor: nn.Module,
        critics: nn.Module,
        log_temperature: nn.Parameter,
        config: Sac,
    ) -> Optimizers:
        """Make one for each; the temperatures' gradient is not clipped, and they do not decay."""
        rate, device = config.learning_rate, log_temperature.device
        return cls(
            ClippedAdam(actor.parameters(), rate, config.gradient_clip, device, config.weight_decay),
            ClippedAdam(critics.parameters(), rate, config.gradient_clip, device, config.weight_decay),
            ClippedAdam([log_temperature], rate, math.inf, device),
        )


@torch.no_grad()
def polyak_update(average: list[nn.Parameter], weights: list[nn.Parameter], share: float) -> None:
    """Move the parameters in *average* towards *weights* by *share* of the way."""
    torch._foreach_lerp_(average, weights, share)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Leave the network's parameters out of gradients that pass through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
