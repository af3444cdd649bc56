"""D2R: each module reads the few earlier modules that a routing network chooses (He et al. 2024, AAAI).

Module 1 reads the embedded observation; the input of module i > 1 is the sum of ``sources`` of the modules before it,
with the largest routing logits, weighted by their softmax; the head reads such a sum over all modules. A module
that nothing chooses is skipped, so depth follows the task. *ResRouting*: through a source whose routing probability
is at most 1 / (number of candidates + 1) no gradient reaches that module's weights, only its shortcut.

Departures:

1. Routes are not sampled. The authors' code samples them when acting, by temperatures that follow each task's SAC
   temperature ("automatic route-balancing"). It stores them with the transitions and repeats them in the actor's
   loss. Here every row takes its best route, in acting and in learning: actions explore, routes do not.
2. The authors mask the loss of tasks that explode, weigh losses by temperature and scale rewards by 0.1: the
   learner is the same for every architecture.
3. Initial weights are the same for every network here: He-uniform, bias 0, head a tenth of that.
4. The rule that a source's gradient needs more than 1 / (candidates + 1) is the one of the authors' code.
5. Skipped modules are computed and given weight 0, as in the authors' code.

With 16 modules of width 128 on MT10 the actor has 684,240 parameters; the authors' code has 10 more numbers, the
temperatures of departure 1, which no gradient trains.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genoevo_mega.config.networks import D2r
from genoevo_mega.networks.fixed import FixedNetwork, task_vectors
from genoevo_mega.networks.layers import linear, shared


class D2rNetwork(FixedNetwork):
    """See the head of this file."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        ensemble: int,
        config: D2r,
        rng: torch.Generator,
        precision: torch.dtype = torch.float32,
        layer_norm: bool = False,
    ) -> None:
        self._count, self._sources = config.modules, config.sources
        width, module, gate, n = config.width, config.module_width, config.gating_width, config.modules
        dense = [(inputs, width, 1.0), (width, width, 1.0)]
        dense += [(width, gate, 1.0), (gate, gate, 1.0), (gate, n * (n + 1) // 2, 1.0)]
        dense += [(width, module, 1.0), *[(module, module, 1.0)] * (n - 1), (module, outputs, 0.1)]
        tensors = [task_vectors(ensemble, tasks, width, rng), torch.zeros(ensemble, 1, 1, width)]
        tensors += [t for a, b, gain in dense for t in linear(ensemble, a, b, rng, gain)]
        products = sum(a * b for a, b, _ in dense), inputs * width
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
        first, second, *gates, entry = list(zip(rest[:12:2], rest[1:12:2], strict=True))
        *modules, head = list(zip(rest[12::2], rest[13::2], strict=True))
        observation = shared(self.activated(shared(x, *first)), *second)
        gate = observation * (of_task + of_all)
        for layer in gates[:-1]:
            gate = self.activated(shared(gate, *layer))
        logits = shared(gate, *gates[-1]).split(list(range(1, self._count + 1)), -1)
        out = self.activated(shared(self.activated(observation), *entry))
        outputs, blocked = [out], [out.detach()]
        for layer, of_module in zip(modules, logits, strict=False):
            source, shortcut = self._mixed(outputs, blocked, of_module)
            out = self.activated(shared(source, *layer))
            outputs.append(out + shortcut)
            blocked.append(out.detach() + shortcut)
        return shared(self._mixed(outputs, blocked, logits[-1])[0], *head)

    def _mixed(self, outputs: list[Tensor], blocked: list[Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the chosen sources twice: under ResRouting, and with every gradient."""
        chosen, index = logits.topk(min(self._sources, len(outputs)), -1)
        share = torch.softmax(chosen, -1).unsqueeze(-2)
        likely = torch.softmax(logits, -1).gather(-1, index) > 1 / (len(outputs) + 1)
        index = index.unsqueeze(-1).expand(-1, -1, -1, -1, outputs[0].shape[-1])
        free, cut = (torch.stack(sources, -2).gather(-2, index) for sources in (outputs, blocked))
        return (share @ torch.where(likely.unsqueeze(-1), free, cut)).squeeze(-2), (share @ free).squeeze(-2)
