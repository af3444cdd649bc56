"""A custom architecture: a perceptron whose features each task scales, as in FiLM (Perez et al. 2018).

$ genoevo mega train --preset synthetic --architecture scaled_network:Scaled --run-dir runs/scaled
"""

import torch

from genoevo_mega.networks import FixedNetwork, linear, shared, task_vectors

WIDTH = 64


class Scaled(FixedNetwork):
    """A network of two hidden layers; after the first, each task multiplies every feature by its own factor."""

    def __init__(self, inputs, outputs, *, tasks, ensemble, rng, precision):
        tensors = [
            *linear(ensemble, inputs, WIDTH, rng),
            task_vectors(ensemble, tasks, WIDTH, rng),
            *linear(ensemble, WIDTH, WIDTH, rng),
            *linear(ensemble, WIDTH, outputs, rng, gain=0.1),
        ]
        products = WIDTH * (inputs + WIDTH + outputs), WIDTH * inputs
        super().__init__(tensors, ensemble=ensemble, precision=precision, products=products, by_task=[2])

    def compute(self, x, tensors):
        """Map (ensemble, tasks, batch, inputs) to (ensemble, tasks, batch, outputs)."""
        first, first_bias, factor, second, second_bias, head, head_bias = tensors
        h = torch.relu(shared(x, first, first_bias)) * (1 + factor)
        h = torch.relu(shared(h, second, second_bias))
        return shared(h, head, head_bias)
