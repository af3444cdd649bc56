"""The modular network of MEGA: modules shared by all tasks, mixed by weights that evolution gives.

- h_0 = embedding(input, task one-hot), two layers of 400 [P].
- Module k maps 400 -> 128 -> 400 ([P] the sizes, [R] the two layers); its input is sum_j w_kj h_j over the initial
  input and all earlier modules [P], module 1 reads h_0 [R].
- Output = head(sum_j o_j h_j) over h_0 .. h_N [P].
- ReLU follows every linear layer but the head [O].

A task uses the modules of its stage alone: tasks are ordered by stage, so that those that use module k are the first
ones and every module runs once, for them only. The whole network is one autograd function (:class:`_Pass`) with a
backward of its own: sums of many inputs are accumulated in place, in both directions, where autograd would keep and
add a copy for every term.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
    """Weights of an ensemble of linear layers, (ensemble, in, out) and (ensemble, 1, out).

    Weights are He-uniform for ReLU, scaled by *gain*; biases start at zero.
    """

    def __init__(self, ensemble: int, inputs: int, outputs: int, rng: torch.Generator, gain: float = 1.0) -> None:
        super().__init__()
        bound = gain * math.sqrt(6 / inputs)
        self.weight = nn.Parameter(torch.empty(ensemble, inputs, outputs).uniform_(-bound, bound, generator=rng))
        self.bias = nn.Parameter(torch.zeros(ensemble, 1, outputs))


class Module(nn.Module):
    """One module: width -> hidden -> width, ReLU after both."""

    def __init__(self, ensemble: int, config: Network, rng: torch.Generator) -> None:
        super().__init__()
        self.inner = Linear(ensemble, config.width, config.hidden, rng)
        self.outer = Linear(ensemble, config.hidden, config.width, rng)


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
        stages, bias = routing.stages, self.task_bias
        order = sorted(range(len(stages)), key=lambda task: -stages[task])
        ordered = len(set(stages)) == 1
        if not ordered:
            by_stage = torch.tensor(order, device=x.device)
            in_order = tuple(stages[task] for task in order)
            routing = Routing(routing.inputs[by_stage], routing.output[by_stage], in_order)
            x, bias = x[by_stage], bias.index_select(1, by_stage)
        depth = routing.stages[0]
        layers = [*self.embedding, *(layer for module in self.pool[:depth] for layer in module.children()), self.head]
        parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
        out = _Pass.apply(x, bias, _Mixing.of(routing), *parameters)
        return out if ordered else out.index_select(1, torch.argsort(by_stage))


class _Mixing(NamedTuple):
    """A routing of tasks in falling order of their stages, as factors of (ensemble, tasks, batch, width).

    ``inputs`` (M - 1, M, tasks, B, 1): [k - 2, j] weighs h_j in module k. ``output`` (M + 1, tasks, B, 1).
    ``users``: the tasks that have h_0, h_1 .. each; they are the first ones.
    """

    inputs: Tensor
    output: Tensor
    users: list[int]

    @classmethod
    def of(cls, routing: Routing) -> _Mixing:
        users = [sum(stage >= module for stage in routing.stages) for module in range(routing.stages[0] + 1)]
        inputs, output = routing.inputs.permute(2, 3, 0, 1), routing.output.permute(2, 0, 1)
        return cls(inputs.unsqueeze(-1), output.unsqueeze(-1), users)

    def input_of(self, module: int, hidden: list[Tensor]) -> Tensor:
        """The input of a module from h_0 .. h_(module - 1)."""
        if module == 1:
            return hidden[0]
        users = self.users[module]
        weights = self.inputs[module - 2, :module, :users].unbind()
        total = hidden[0][:, :users] * weights[0]
        for h, weight in zip(hidden[1:], weights[1:], strict=True):
            total.addcmul_(h[:, :users], weight)
        return total

    def output_of(self, hidden: list[Tensor]) -> Tensor:
        """The head's input from every h_j."""
        weights = self.output.unbind()
        total = hidden[0] * weights[0]
        for j in range(1, len(hidden)):
            users = self.users[j]
            total[:, :users].addcmul_(hidden[j], weights[j][:users])
        return total

    def gradient_of(self, j: int, of_inputs: dict[int, Tensor], of_output: Tensor) -> Tensor:
        """The gradient of h_j from those of the sums that it is a term of."""
        users = self.users[j]
        total = of_output[:, :users] * self.output[j, :users]
        for module, gradient in of_inputs.items():
            users = self.users[module]
            if module == 1:
                total.add_(gradient)
            else:
                total[:, :users].addcmul_(gradient, self.inputs[module - 2, j, :users])
        return total


class _Pass(torch.autograd.Function):
    """The whole network as one function of the input, the task bias, and weight and bias of every layer in order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, task_bias: Tensor, mixing: _Mixing, *parameters: Tensor) -> Tensor:
        layers = list(zip(parameters[::2], parameters[1::2], strict=True))
        modules = len(mixing.users) - 1
        embedding, pool, head = layers[: -1 - 2 * modules], layers[-1 - 2 * modules : -1], layers[-1]
        tape: list[tuple[Tensor, Tensor]] = []  # input and output of every layer but the head, as rows

        def layer(rows: Tensor, weight: Tensor, bias: Tensor, task_bias: Tensor | None = None) -> Tensor:
            out = torch.baddbmm(bias, rows, weight)
            if task_bias is not None:
                out.view(shape).add_(task_bias)
            tape.append((rows, out.relu_()))
            return out

        shape = len(task_bias), *x.shape[:2], -1
        rows = layer(x.flatten(0, 1).expand(len(task_bias), -1, -1), *embedding[0], task_bias)
        for parameters_of_layer in embedding[1:]:
            rows = layer(rows, *parameters_of_layer)
        hidden = [rows.view(shape)]
        for module in range(1, modules + 1):
            mixed = mixing.input_of(module, hidden)
            inner, outer = pool[2 * module - 2 : 2 * module]
            hidden.append(layer(layer(mixed.flatten(1, 2), *inner), *outer).view_as(mixed))
        mixed = mixing.output_of(hidden).flatten(1, 2)
        weight, bias = head
        ctx.save_for_backward(*parameters[::2])
        ctx.mixing, ctx.tape, ctx.mixed = mixing, tape, mixed
        return torch.baddbmm(bias, mixed, weight).view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mixing, tape, weights = ctx.mixing, list(ctx.tape), list(ctx.saved_tensors)
        needs_x, needs_weights = ctx.needs_input_grad[:2]
        found: list[Tensor | None] = []  # gradients of bias and weight, the last layer's first

        def through(rows: Tensor, of_output: Tensor) -> Tensor:
            found.append(of_output.sum(1, keepdim=True) if needs_weights else None)
            found.append(torch.bmm(rows.transpose(1, 2), of_output) if needs_weights else None)
            return torch.bmm(of_output, weights.pop().transpose(1, 2))

        def through_relu(of_output: Tensor) -> Tensor:
            rows, out = tape.pop()
            return through(rows, _relu_gradient(of_output, out))

        of_mixed = through(ctx.mixed, gradient.flatten(1, 2)).view(*gradient.shape[:3], -1)
        of_inputs: dict[int, Tensor] = {}
        for module in range(len(mixing.users) - 1, 0, -1):
            of_hidden = mixing.gradient_of(module, of_inputs, of_mixed)
            of_inputs[module] = through_relu(through_relu(of_hidden.flatten(1, 2))).view_as(of_hidden)
        rows = mixing.gradient_of(0, of_inputs, of_mixed).flatten(1, 2)
        while len(tape) > 1:
            rows = through_relu(rows)
        [(x, out)] = tape
        rows = _relu_gradient(rows, out)
        of_x = through(x, rows)
        of_task_bias = rows.view_as(of_mixed).sum(2, keepdim=True) if needs_weights else None
        return of_x.sum(0).view(*gradient.shape[1:3], -1) if needs_x else None, of_task_bias, None, *reversed(found)


def _relu_gradient(of_output: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(of_output, out, 0)
