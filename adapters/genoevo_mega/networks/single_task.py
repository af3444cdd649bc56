"""One task's policy as a network of its own.

Training computes all tasks in one pass. :class:`TaskPolicy` is the plain modular network for a single task, made of
ordinary layers: the genotype's weights are constants, the task's one-hot is part of a bias, and modules that are not
on a path of any weight to the output are left out. :class:`FixedPolicy` is the network of another architecture,
without what belongs to the other tasks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from genoevo_mega.networks.fixed import FixedNetwork
from genoevo_mega.networks.input_map import InputMap
from genoevo_mega.networks.modular import ModularNetwork, hidden_layers
from genoevo_mega.networks.modular_layers import Form
from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_runs.errors import UserError


class TaskPolicy(nn.Module):
    """The first *outputs* outputs of an actor for one task: (batch, observation_size) -> (batch, outputs).

    Plain linear layers and additions in fp32, a static graph. With *squash* the outputs pass through tanh and are the
    greedy action. *ahead*, what the actor sees of an observation, becomes part of the first layer.
    """

    def __init__(
        self,
        network: ModularNetwork,
        task: int,
        graph: ModuleGraph,
        outputs: int,
        *,
        squash: bool,
        ahead: InputMap | None = None,
    ) -> None:
        super().__init__()
        task_bias, *core = [tensor.detach()[0] for tensor in network.core.tensors()]
        layers = [core[i : i + 2] for i in range(0, len(core), 2)]
        layers[0] = [layers[0][0], layers[0][1] + task_bias[task]]
        if ahead is not None:
            layers[0] = ahead.folded(*layers[0])
        self.graph, self.squash = graph, squash
        self.embedding = nn.Sequential(*(part for layer in layers[:-1] for part in _activated(network.form, *layer)))
        self.pool = nn.ModuleList(_module(network, k) for k in graph.inputs)
        head, bias = layers[-1]
        self.head = _linear(head[:, :outputs], bias[:, :outputs])
        self.before_head = nn.Sequential(*([] if network.form.is_plain else [_normal(self.head.in_features)]))

    @classmethod
    def of_whole_pool(cls, network: ModularNetwork, outputs: int, ahead: InputMap | None = None) -> TaskPolicy:
        """Return a greedy policy that uses every module of the pool and every edge: none costs more."""
        return cls(network, 0, ModuleGraph.full(len(network.pool)), outputs, squash=True, ahead=ahead)

    def hidden(self, observations: Tensor) -> dict[int, Tensor]:
        """Return the outputs of the embedding (number 0) and every module of the graph, (batch, width) each."""
        layers = hidden_layers(self.embedding, self.pool, observations, self.graph)
        return dict(zip(self.graph.numbers, layers, strict=True))

    def output(self, hidden: dict[int, Tensor]) -> Tensor:
        """Return the output from what :meth:`hidden` returns."""
        out = self.head(self.before_head(self.graph.mix_output(list(hidden.values()))))
        return torch.tanh(out) if self.squash else out

    def forward(self, observations: Tensor) -> Tensor:
        """See the class."""
        return self.output(self.hidden(observations))

    @property
    def parameter_count(self) -> int:
        """The number of parameters in all layers."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds for one observation: the layers', and one for each number that a weight scales.

        LayerNorm and the additions of residual modules are not counted.
        """
        products = sum(layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear))
        sums = [*self.graph.inputs.values(), self.graph.output]
        scaled = sum(len(edges) for edges in sums if list(edges.values()) != [1.0])
        return products + scaled * self.head.in_features


class Residual(nn.Sequential):
    """Layers whose output is added to their input."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x + super().forward(x)


class FixedPolicy(nn.Module):
    """A :class:`TaskPolicy` for an architecture whose structure does not evolve.

    It takes *inputs* numbers of an observation. UserError if the network still answers for several tasks: its
    ``by_task`` then names too few tensors.
    """

    def __init__(
        self,
        network: FixedNetwork,
        task: int,
        inputs: int,
        outputs: int,
        *,
        squash: bool,
        ahead: InputMap | None = None,
    ) -> None:
        super().__init__()
        self.squash, self.inputs, self._outputs, self._compute = squash, inputs, outputs, network.compute
        for i, tensor in enumerate(network.alone(task)):
            self.register_buffer(f"tensor{i}", tensor)
        self._tensors = len(list(self.buffers()))
        self.scaled, self.extended = (part is not None for part in ahead or (None, None))
        if ahead is not None and ahead.scaled is not None:
            self.register_buffer("mean", ahead.scaled[0])
            self.register_buffer("scale", ahead.scaled[1])
        if ahead is not None and ahead.constants is not None:
            self.register_buffer("constants", ahead.constants[None])
        answers = self._answers(torch.zeros(1, inputs))
        if answers.shape[1] != 1:
            raise UserError(
                f"{type(network).__name__}: by_task must name every tensor whose second axis is the tasks"
            )

    def forward(self, observations: Tensor) -> Tensor:
        """See :class:`TaskPolicy`."""
        out = self._answers(observations)[0, 0, :, : self._outputs]
        return torch.tanh(out) if self.squash else out

    def _answers(self, rows: Tensor) -> Tensor:
        if self.scaled:
            rows = (rows - self.mean) * self.scale
        if self.extended:
            rows = torch.cat([rows, self.constants.expand(rows.shape[0], -1)], dim=1)
        return self._compute(rows[None, None], list(self.buffers())[: self._tensors])

    @property
    def parameter_count(self) -> int:
        """The numbers in all tensors, including the part of the head for the standard deviation."""
        return sum(tensor.numel() for tensor in self.buffers())

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of all matrix products for one observation."""
        with FlopCounterMode(display=False) as counter:
            self(torch.zeros(1, self.inputs))
        return counter.get_total_flops() // 2


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape, device="meta")
    layer.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.reshape(-1).clone(), requires_grad=False)
    return layer


def _normal(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, elementwise_affine=False)


def _activated(form: Form, weight: Tensor, bias: Tensor) -> list[nn.Module]:
    """Return a layer and its activation."""
    layer = _linear(weight, bias)
    return [layer, *([_normal(layer.out_features)] if form.layer_norm else []), nn.ReLU()]


def _module(network: ModularNetwork, number: int) -> nn.Sequential:
    inner, inner_bias, outer, outer_bias = [tensor.detach()[0] for tensor in network.pool[number - 1].tensors()]
    if network.form.residual:
        first = _linear(inner, inner_bias)
        return Residual(_normal(first.in_features), first, nn.ReLU(), _linear(outer, outer_bias))
    return nn.Sequential(*_activated(network.form, inner, inner_bias), *_activated(network.form, outer, outer_bias))
