"""A residual perceptron that sees the task and no genotype: the critics of ``critic.kind = residual``.

- Input layer: h = ReLU(scale_task * LN(W x + b) + shift_task).
- Each block: h <- h + LN(W2 ReLU(LN(W1 h + b1)) + b2).
- Output = W h + b.

The blocks are those of BRO (Nauman et al. 2024, arXiv 2405.16158) and BRC (Nauman et al. 2025, arXiv 2505.23150):
Dense-LN-ReLU-Dense-LN and a skip. The task enters by FiLM (Perez et al. 2018, arXiv 1709.07871), one trained scale
and one trained shift of the first layer's normalised features for each task.

Departures:

1. BRC concatenates a trained task embedding of unit norm with the input, and has no FiLM. BRO reads no task. With
   ``critic.task_embedding`` the input has that vector, beside FiLM (:mod:`genoevo_mega.networks.embedding`).
2. LN has no parameters: FiLM scales and shifts the first layer's features, and a linear layer follows the first LN
   of a block. The second LN of a block has nothing after it, so every block adds features of variance 1.
3. Scales start at 1 and shifts at 0, each plus uniform noise of at most 0.1, so that tasks differ from the start.
4. Initial weights are the same for every network here: He-uniform, bias 0, head a tenth of that. BRO and BRC draw
   orthogonal matrices.
5. Losses and optimizer are the learner's; :mod:`genoevo_mega.agents.value` says how BRC's differ.

This file is the definition. :mod:`genoevo_mega.networks.compiled` computes the same within rounding, faster.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genoevo_mega.config.critic import Critic
from genoevo_mega.kernels import usable
from genoevo_mega.networks.compiled import (
    Back,
    Gradients,
    ResidualPass,
    ResidualSizes,
    Step,
    residual_step,
    run_residual,
)
from genoevo_mega.networks.fixed import FixedNetwork
from genoevo_mega.networks.layers import linear, normalised, shared
from genoevo_mega.networks.routing import Routing

_NOISE = 0.1


class ResidualNetwork(FixedNetwork):
    """See the head of this file.

    Attributes
    ----------
    compiled
        Whether compiled functions compute the calls that they can; otherwise the definition does.

    """

    compiled = False

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: Critic,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
    ) -> None:
        width, blocks = config.width, config.blocks
        noise = torch.empty(2, ensemble, tasks, 1, width).uniform_(-_NOISE, _NOISE, generator=rng)
        dense = [(inputs, width, 1.0), *[(width, width, 1.0)] * (2 * blocks), (width, outputs, 0.1)]
        tensors = [1 + noise[0], noise[1], *(t for a, b, gain in dense for t in linear(ensemble, a, b, rng, gain))]
        products = sum(a * b for a, b, _ in dense), inputs * width
        self._sizes = {"width": width, "outputs": outputs, "blocks": blocks}
        super().__init__(tensors, ensemble=ensemble, precision=precision, products=products, by_task=(0, 1))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        if self.is_compiled_for(x, routing):
            if not torch.is_grad_enabled():
                return self.recorded(x, routing)[0]
            out: Tensor = ResidualPass.apply(x, self.sizes_for(x), self.core.flat)
            return out
        return super().forward(x, routing)

    def is_compiled_for(self, x: Tensor, routing: Routing) -> bool:
        """Return whether compiled functions compute this call."""
        return self.compiled and self.precision == torch.float32 and usable(x, self.core.flat)

    def recorded(self, x: Tensor, routing: Routing) -> tuple[Tensor, Back]:
        """Return the output of :meth:`forward` and the function of its gradient; autograd sees neither."""
        flat = self.core.flat
        out, run = run_residual(x, self.sizes_for(x), flat)

        def back(gradient: Tensor, needs_x: bool, needs_weights: bool) -> Gradients:
            of_x, of_flat = run.backward(gradient, needs_x, needs_weights)
            return of_x, [(flat, of_flat)]

        return out, back

    def step(
        self, targets: ResidualNetwork, x: Tensor, next_x: Tensor, routing: Routing, loss: Any, needs_x: bool
    ) -> Step:
        """Return the one long call of the critics' loss and its gradient, for this network and its *targets*."""
        return residual_step(self.sizes_for(x), x, next_x, self.core.flat, targets.core.flat, loss, needs_x)

    def sizes_for(self, x: Tensor) -> ResidualSizes:
        """Return the sizes for an input (tasks, batch, inputs)."""
        return ResidualSizes(self.ensemble, *x.shape, **self._sizes)

    def compute(self, x: Tensor, tensors: list[Tensor]) -> Tensor:
        """(ensemble, tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        scale, shift, *rest = tensors
        first, *inner, head = list(zip(rest[::2], rest[1::2], strict=True))
        h = torch.relu(torch.addcmul(shift, scale, normalised(shared(x, *first))))
        for one, two in zip(inner[::2], inner[1::2], strict=True):
            h = h + normalised(shared(torch.relu(normalised(shared(h, *one))), *two))
        return shared(h, *head)
