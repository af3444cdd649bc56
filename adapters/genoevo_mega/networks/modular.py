"""The modular network of MEGA: modules shared by all tasks, mixed by weights that evolution gives.

- h_0 = embedding(input, task one-hot), two layers of 400 [P].
- Module k maps 400 -> 128 -> 400 ([P] the sizes, [R] the two layers); its input is sum_j w_kj h_j over the initial
  input and all earlier modules [P], module 1 reads h_0 [R].
- Output = head(sum_j o_j h_j) over h_0 .. h_N [P].
- ReLU follows every linear layer but the head [O].

A task uses the modules of its stage alone: tasks are ordered by stage, so that those that use module k are the first
ones and every module runs once, for them only.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoevo_mega.config import Network


class Routing(NamedTuple):
    """Decoded weights, for each task one genotype's (B = 1) or one per transition (B = batch).

    Shapes
    ------
    inputs
        (tasks, B, M - 1, M) float32: row k - 2 holds the weights of module k's inputs h_0 .. h_(k-1), then zeros.
    output
        (tasks, B, M + 1) float32: the weights of h_0 .. h_N in the output, then zeros.
    stages
        One int per task: the modules it uses.

    """

    inputs: Tensor
    output: Tensor
    stages: tuple[int, ...]


class Linear(nn.Module):
    """An ensemble of linear layers: (ensemble, rows, in) -> (ensemble, rows, out).

    Weights are He-uniform for ReLU, scaled by *gain*; biases start at zero.
    """

    def __init__(self, ensemble: int, inputs: int, outputs: int, rng: torch.Generator, gain: float = 1.0) -> None:
        super().__init__()
        bound = gain * math.sqrt(6 / inputs)
        self.weight = nn.Parameter(torch.empty(ensemble, inputs, outputs).uniform_(-bound, bound, generator=rng))
        self.bias = nn.Parameter(torch.zeros(ensemble, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.baddbmm(self.bias, x, self.weight)


class Module(nn.Module):
    """One module: width -> hidden -> width, ReLU after both."""

    def __init__(self, ensemble: int, config: Network, rng: torch.Generator) -> None:
        super().__init__()
        self.inner = Linear(ensemble, config.width, config.hidden, rng)
        self.outer = Linear(ensemble, config.hidden, config.width, rng)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        rows = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.relu_(self.outer(torch.relu_(self.inner(rows)))).view_as(x)


class ModularNetwork(nn.Module):
    """See the head of this file.

    Parameters
    ----------
    inputs, outputs
        Features in and out, the task one-hot not counted.
    tasks
        Width of the one-hot.
    modules
        Modules at the start; :meth:`grow` adds more.
    ensemble
        Independent copies that run as one batched product.
    config
        Sizes.
    rng
        Draws the initial weights.

    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        tasks: int,
        modules: int,
        ensemble: int,
        config: Network,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.config, self.ensemble = config, ensemble
        widths = [inputs] + [config.width] * config.embedding_layers
        self.embedding = nn.ModuleList(Linear(ensemble, a, b, rng) for a, b in pairwise(widths))
        # The columns of the first layer that a one-hot would pick: one bias per task.
        bound = math.sqrt(6 / (inputs + tasks))
        one_hot = torch.empty(ensemble, tasks, 1, config.width).uniform_(-bound, bound, generator=rng)
        self.task_bias = nn.Parameter(one_hot)
        self.pool = nn.ModuleList(Module(ensemble, config, rng) for _ in range(modules))
        self.head = Linear(ensemble, config.width, outputs, rng, gain=0.1)

    @property
    def parameter_count(self) -> int:
        """Numbers in all members of the ensemble."""
        return sum(parameter.numel() for parameter in self.parameters())

    def grow(self, rng: torch.Generator) -> list[nn.Parameter]:
        """Add a module to the pool; its parameters, for the optimiser. All other parameters are kept."""
        module = Module(self.ensemble, self.config, rng)
        self.pool.append(module)
        return list(module.parameters())

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        order = sorted(range(len(routing.stages)), key=lambda task: -routing.stages[task])
        stages = [routing.stages[task] for task in order]
        inputs, output, bias = routing.inputs, routing.output, self.task_bias
        ordered = len(set(stages)) == 1
        if not ordered:
            by_stage = torch.tensor(order)
            x, inputs, output, bias = x[by_stage], inputs[by_stage], output[by_stage], bias[:, by_stage]
        hidden = [self._embed(x, bias)]
        for module in range(1, stages[0] + 1):
            users = sum(stage >= module for stage in stages)
            mixed = hidden[0]
            if module > 1:
                mixed = _mix([h[:, :users] for h in hidden], inputs[:users, :, module - 2])
            hidden.append(self.pool[module - 1](mixed))
        parts, start = [], 0
        while start < len(stages):
            stage = stages[start]
            stop = start + stages.count(stage)
            parts.append(_mix([h[:, start:stop] for h in hidden[: stage + 1]], output[start:stop]))
            start = stop
        mixed = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        rows = self.head(mixed.flatten(1, 2)).view(*mixed.shape[:3], -1)
        return rows if ordered else rows[:, torch.argsort(by_stage)]

    def _embed(self, x: Tensor, task_bias: Tensor) -> Tensor:
        first, *others = self.embedding
        flat = x.flatten(0, 1).expand(self.ensemble, -1, -1)
        h = first(flat).view(self.ensemble, *x.shape[:2], -1) + task_bias
        h = torch.relu_(h)
        for layer in others:
            h = torch.relu_(layer(h.flatten(1, 2))).view_as(h)
        return h


def _mix(hidden: list[Tensor], weights: Tensor) -> Tensor:
    """sum_j weights[..., j] * hidden[j]: hidden (ensemble, tasks, batch, width), weights (tasks, B, j)."""
    total = hidden[0] * weights[None, :, :, 0, None]
    for j, h in enumerate(hidden[1:], 1):
        total = torch.addcmul(total, h, weights[None, :, :, j, None])
    return total
