"""Soft Modules: a routing network weighs the connections between layers of modules (Yang et al. 2020, NeurIPS).

If paper and published code (Soft-Module) disagree, this follows the code, as metaworld-algorithms does:

1. The product of task and observation embedding passes two more layers before it routes.
2. The observation embedding passes a ReLU before the first modules.
3. A layer's routing depends on the routing of all layers before it, not of the last one alone.
4. ReLU follows the weighted sum of modules, not each module.
5. The last layer's modules are summed with routing weights of their own.

Departures from both:

6. Losses are not weighted by the tasks' temperatures: the learner is the same for every architecture.
7. Initial weights are the same for every network here: He-uniform, bias 0, head a tenth of that. Layers that give
   routing weights have a hundredth, so that routing begins near uniform, as published (+-0.003).

With 2 layers of 2 modules of width 256 on MT10 ("shallow") the actor has 691,022 parameters, as in
metaworld-algorithms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genoevo_mega.config.networks import SoftModules
from genoevo_mega.networks.fixed import FixedNetwork, task_vectors
from genoevo_mega.networks.layers import linear, shared


class SoftModulesNetwork(FixedNetwork):
    """See the head of this file."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: SoftModules,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
        layer_norm: bool = False,
    ) -> None:
        self._modules_per_layer, self._layers = config.modules, config.layers
        width, module, gate, n = config.width, config.module_width, config.gating_width, config.modules
        # What reads which: (inputs, outputs, gain) of every layer that all tasks share, in the order of compute().
        dense = [(inputs, width, 1.0), (width, width, 1.0), (width, gate, 1.0), (gate, gate, 1.0)]
        for layer in range(config.layers):
            if layer:
                dense.append((layer * n * n, gate, 1.0))
            dense.append((gate, n if layer == config.layers - 1 else n * n, 0.01))
        dense.append((module, outputs, 0.1))
        tensors = [task_vectors(ensemble, tasks, width, rng), torch.zeros(ensemble, 1, 1, width)]
        tensors += [t for a, b, gain in dense for t in linear(ensemble, a, b, rng, gain)]
        layered = [(width if layer == 0 else module, module) for layer in range(config.layers)]
        for a, b in layered:
            tensors += [t.unflatten(0, (ensemble, n)) for t in linear(ensemble * n, a, b, rng)]
        products = sum(a * b for a, b, _ in dense) + n * sum(a * b for a, b in layered), inputs * width
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
        of_task, of_all, *rest = tensors
        split = len(rest) - 2 * self._layers
        pairs = list(zip(rest[:split:2], rest[1:split:2], strict=True))
        modules = list(zip(rest[split::2], rest[split + 1 :: 2], strict=True))
        first, second, gate_in, gate_out, *routing, head = pairs
        observation = shared(self.activated(shared(x, *first)), *second)
        embedding = self.activated(observation * (of_task + of_all))
        embedding = shared(self.activated(shared(embedding, *gate_in)), *gate_out)
        shares = self._routes(embedding, routing)
        h = self.activated(observation).flatten(1, 2).unsqueeze(1)
        for (weight, bias), share in zip(modules, shares, strict=True):
            # (ensemble, 1 or modules, rows, in) -> (ensemble, modules, rows, out), then one sum per receiver.
            out = h @ weight + bias
            h = self.activated(torch.einsum("erji,eird->ejrd", share.flatten(1, 2), out))
        return shared(h[:, 0].unflatten(1, (x.shape[1], -1)), *head)

    def _routes(self, embedding: Tensor, layers: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """(ensemble, tasks, batch, receivers, modules) per layer: softmax over the modules that are summed."""
        n = self._modules_per_layer
        shares = [torch.softmax(shared(self.activated(embedding), *layers[0]).unflatten(-1, (-1, n)), -1)]
        for condition, weights in zip(layers[1::2], layers[2::2], strict=True):
            known = torch.cat([share.flatten(-2) for share in shares], -1)
            conditioned = self.activated(shared(known, *condition) * embedding)
            shares.append(torch.softmax(shared(conditioned, *weights).unflatten(-1, (-1, n)), -1))
        return shares
