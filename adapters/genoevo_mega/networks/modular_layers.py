"""The layers of the modular network, whose modules are plain or residual.

With LN for LayerNorm without parameters (Ba et al. 2016), x for the input of a layer and m for that of a module:

========================= ==================================== ========================================
layers                    without ``layer_norm``               with ``layer_norm``
========================= ==================================== ========================================
the embedding's, each     relu(W x + b)                        relu(LN(W x + b))
a plain module            relu(W2 relu(W1 m + b1) + b2)        relu(LN(W2 relu(LN(W1 m + b1)) + b2))
a residual module         m + W2 relu(W1 LN(m) + b1) + b2      m + W2 relu(W1 LN(m) + b1) + b2
head of plain modules     W m + b                              W LN(m) + b
head of residual modules  W LN(m) + b                          W LN(m) + b
========================= ==================================== ========================================

The task's bias is part of b of the embedding's first layer.

LN between a linear layer and its ReLU is what BRO (Nauman et al. 2024, arXiv 2405.16158) does for critics. A residual
module normalises its input and leaves the path around it free, as the pre-activation blocks of He et al. 2016 (arXiv
1603.05027) do. It is the block of SimBa (Lee et al. 2024, arXiv 2410.09754), which has LN before the head, too.
Departures [O]: a module's hidden layer is narrower than its input [P], four times as wide in SimBa. LN has no
parameters. W2 of a residual module starts at a tenth of He-uniform, so that a new module changes its input little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from genoevo_mega.networks.layers import Block, linear, normalised, shared

Layer = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A function of input, weight and bias, such as :func:`~genoevo_mega.networks.layers.shared`."""


class Form(NamedTuple):
    """The form of the layers; see the head of this file."""

    residual: bool
    layer_norm: bool

    @property
    def is_plain(self) -> bool:
        """Whether every layer but the head is a linear layer and a ReLU."""
        return not (self.residual or self.layer_norm)

    def activate(self, x: Tensor) -> Tensor:
        """Return the activation of a linear layer's output."""
        return torch.relu(normalised(x) if self.layer_norm else x)

    def module(self, x: Tensor, tensors: list[Tensor], layer: Layer = shared) -> Tensor:
        """Return a module's output from its input and its tensors; *layer* applies a linear layer."""
        inner, inner_bias, outer, outer_bias = tensors
        if self.residual:
            return x + layer(torch.relu(layer(normalised(x), inner, inner_bias)), outer, outer_bias)
        return self.activate(layer(self.activate(layer(x, inner, inner_bias)), outer, outer_bias))

    def head_input(self, mixed: Tensor) -> Tensor:
        """Return the input of the head from the mixed hidden layers."""
        return mixed if self.is_plain else normalised(mixed)


class ModuleLayers(Block):
    """A module: two linear layers of an ensemble, width -> hidden -> width, in the given form."""

    def __init__(self, ensemble: int, width: int, hidden: int, form: Form, rng: torch.Generator) -> None:
        inner = linear(ensemble, width, hidden, rng)
        super().__init__(inner + linear(ensemble, hidden, width, rng, gain=0.1 if form.residual else 1.0))
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """Map (ensemble, tasks, batch, width) to the same shape, in the precision of *x*."""
        return self.form.module(x, self.tensors(self.flat.to(x.dtype)))
