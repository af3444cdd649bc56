"""MTSAC: one multilayer perceptron for all tasks, which sees the task as a one-hot (Yu et al. 2020, "Meta-World").

Departures:

1. Layers are He-uniform with bias 0 and the head a tenth of that, as in every network here; published code
   (metaworld-algorithms) draws the head from +-0.001.

With 3 x 400 on MT10 the actor has 344,008 parameters, as in metaworld-algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from genoevo_mega.config.networks import Mlp
from genoevo_mega.networks.fixed import FixedNetwork, task_vectors
from genoevo_mega.networks.layers import linear, shared


class MlpNetwork(FixedNetwork):
    """See the head of this file; *inputs* does not count the one-hot of *tasks*."""

    of_other_tasks = "the other tasks' one-hot columns"

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
        tensors += linear(ensemble, config.layers[-1], outputs, rng, gain=0.1)
        products = sum(a * b for a, b in pairwise(widths)), inputs * config.layers[0]
        super().__init__(
            tensors,
            ensemble=ensemble,
            precision=precision,
            products=products,
            by_task=[0],
            layer_norm=layer_norm,
        )

    def compute(self, x: Tensor, tensors: list[Tensor]) -> Tensor:
        """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        return shared(through_torso(x, tensors[:-2], self.activated), *tensors[-2:])


def torso(inputs: int, tasks: int, ensemble: int, config: Mlp, rng: torch.Generator) -> list[Tensor]:
    """Draw the tensors of the hidden layers: the one-hot's columns, then weight and bias of each layer."""
    widths = (inputs, *config.layers)
    layers = [tensor for a, b in pairwise(widths) for tensor in linear(ensemble, a, b, rng)]
    return [task_vectors(ensemble, tasks, config.layers[0], rng, inputs + tasks), *layers]


def through_torso(x: Tensor, tensors: list[Tensor], activated: Callable[[Tensor], Tensor]) -> Tensor:
    """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, width of the last hidden layer)."""
    of_task, *layers = tensors
    h = activated(shared(x, *layers[:2]) + of_task)
    for weight, bias in zip(layers[2::2], layers[3::2], strict=True):
        h = activated(shared(h, weight, bias))
    return h
