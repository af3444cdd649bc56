"""MOORE: a mixture of experts whose outputs are made orthogonal to one another (Hendawy et al. 2024, ICLR).

Experts map the observation to features, Gram-Schmidt makes them an orthonormal basis for each row, a vector per task
mixes the basis, and every task has a head of its own.

Departures:

1. Initial weights are the same for every network here: He-uniform, bias 0, heads a tenth of that. The published
   code is Xavier-uniform.
2. The learner is the same for every architecture. The paper has a temperature learning rate of 1e-4 and a log
   standard deviation of at least -10.
3. 1e-8 is added to norms before dividing, as metaworld-algorithms does; the authors' code divides by the norm itself.

As in the authors' command for MT10, an expert's last layer has no activation and a tanh follows the mixture.
With 4 experts of 3 x 400 on MT10 the actor has 1,379,320 parameters.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from genoevo_mega.config.networks import Moore
from genoevo_mega.networks.fixed import FixedNetwork, task_heads, task_vectors
from genoevo_mega.networks.layers import linear

_EPSILON = 1e-8


class MooreNetwork(FixedNetwork):
    """See the head of this file."""

    of_other_tasks = "the other tasks' heads and mixtures"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: Moore,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
        layer_norm: bool = False,
    ) -> None:
        widths, self._experts = (inputs, *config.layers), config.experts
        tensors = [task_vectors(ensemble, tasks, config.experts, rng)]
        for a, b in pairwise(widths):
            layer = linear(ensemble * config.experts, a, b, rng)
            tensors += [tensor.unflatten(0, (ensemble, config.experts)) for tensor in layer]
        tensors += task_heads(ensemble, tasks, config.layers[-1], outputs, rng)
        products = (
            config.experts * sum(a * b for a, b in pairwise(widths)) + config.layers[-1] * outputs,
            config.experts * inputs * config.layers[0],
        )
        by_task = (0, -2, -1)
        super().__init__(
            tensors,
            ensemble=ensemble,
            precision=precision,
            products=products,
            by_task=by_task,
            layer_norm=layer_norm,
        )

    def compute(self, x: Tensor, tensors: list[Tensor]) -> Tensor:
        """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        mixture, *layers, head, bias = tensors
        h = x.flatten(1, 2).repeat_interleave(self._experts, 0)
        for i in range(0, len(layers), 2):
            weight, offset = layers[i].flatten(0, 1), layers[i + 1].flatten(0, 1)
            h = torch.baddbmm(offset, self.activated(h, weight.shape[-2]) if i else h, weight)
        basis = orthonormal(list(h.unflatten(0, (-1, self._experts)).unbind(1)))
        features = torch.stack(basis, -1).unflatten(1, (x.shape[1], -1)) @ mixture[..., 0, :, None].unsqueeze(2)
        return torch.tanh(features[..., 0]) @ head + bias


def orthonormal(vectors: list[Tensor]) -> list[Tensor]:
    """Orthonormalise the list by Gram-Schmidt, for every row of the last axis by itself."""
    basis: list[Tensor] = []
    for vector in vectors:
        rest = vector
        for known in basis:
            rest = rest - (vector * known).sum(-1, keepdim=True) * known
        basis.append(rest / (rest.norm(dim=-1, keepdim=True) + _EPSILON))
    return basis
