"""PaCo: every task's weights are its own combination of shared sets of weights (Sun et al. 2022, NeurIPS).

theta_task = sum_k w_(task, k) phi_k, layer by layer, biases and head included. Rows are ordered by task, so a
task's weights are composed once per batch and not once per row.

Departures:

1. The paper masks the loss of a task that explodes and draws its w anew from the other tasks'. Here
   ``sac.mask_loss_above`` masks such losses, in every architecture; it is off by default. No w is drawn anew.
2. w is normal with variance 1 / K, which keeps the scale of a composed layer at He's; the published configuration
   starts with K equal sets.
3. w has no loss of its own: actor and critics each train theirs, as metaworld-algorithms does. The published code
   shares one w and steps it separately.

Published code (metaworld-algorithms) adds to w an offset common to all tasks. This follows the paper: w is a vector
per task. With K = 5 sets of 3 x 400 on MT10 the actor has 1,700,090 parameters
(metaworld-algorithms: 5 more).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from genoevo_mega.config.networks import Paco
from genoevo_mega.networks.fixed import FixedNetwork
from genoevo_mega.networks.layers import linear


class PacoNetwork(FixedNetwork):
    """See the head of this file."""

    of_other_tasks = "the sets of weights, composed into the task's own"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: Paco,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
        layer_norm: bool = False,
    ) -> None:
        sets, widths = config.sets, (inputs, *config.layers, outputs)
        mixture = torch.randn(ensemble, tasks, sets, generator=rng) / math.sqrt(sets)
        tensors = [mixture]
        for i, (a, b) in enumerate(pairwise(widths)):
            gain = 0.1 if i == len(config.layers) else 1.0
            tensors += [tensor.unflatten(0, (ensemble, sets)) for tensor in linear(ensemble * sets, a, b, rng, gain)]
        products = sum(a * b for a, b in pairwise(widths)), inputs * config.layers[0]
        by_task = range(len(tensors) - 1)
        super().__init__(
            tensors,
            ensemble=ensemble,
            precision=precision,
            products=products,
            by_task=by_task,
            layer_norm=layer_norm,
        )

    def prepared(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return every task's own layers."""
        mixture, *layers = tensors
        # (ensemble, tasks, sets) @ (ensemble, sets, in * out)
        return [(mixture @ layer.flatten(2)).unflatten(2, layer.shape[2:]) for layer in layers]

    def compute(self, x: Tensor, tensors: list[Tensor]) -> Tensor:
        """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        *hidden, head, bias = tensors
        for weight, offset in zip(hidden[::2], hidden[1::2], strict=True):
            x = self.activated(x @ weight + offset, offset.shape[-1])
        return x @ head + bias
