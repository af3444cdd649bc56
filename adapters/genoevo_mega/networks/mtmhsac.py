"""MTMHSAC: the perceptron of MTSAC with a head of its own for every task (Yu et al. 2020, "Meta-World").

Departures:

1. Initial weights, as in :mod:`genoevo_mega.networks.mtsac`.

As in published code (metaworld-algorithms, Soft-Module), the hidden layers read a task one-hot too, although each
task has its own head. With 3 x 400 on MT10 the actor has 372,880 parameters.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from genoevo_mega.config.networks import Mlp
from genoevo_mega.networks.fixed import FixedNetwork, task_heads
from genoevo_mega.networks.mtsac import through_torso, torso


class MultiHeadNetwork(FixedNetwork):
    """See the head of this file; *inputs* does not count the one-hot of *tasks*."""

    of_other_tasks = "the other tasks' heads and one-hot columns"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: Mlp,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
        layer_norm: bool = False,
    ) -> None:
        widths = (inputs, *config.layers, outputs)
        tensors = torso(inputs, tasks, ensemble, config, rng)
        tensors += task_heads(ensemble, tasks, config.layers[-1], outputs, rng)
        products = sum(a * b for a, b in pairwise(widths)), inputs * config.layers[0]
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
        *hidden, head, bias = tensors
        return through_torso(x, hidden, self.activated) @ head + bias
