"""The modular network of MEGA: modules shared by all tasks, mixed by weights that evolution gives.

- h_0 = embedding(input, task one-hot), two layers of 400 [P].
- Module k maps 400 -> 128 -> 400 ([P] the sizes, [R] the two layers); its input is sum_j w_kj h_j over the initial
  input and all earlier modules [P], module 1 reads h_0 [R].
- Output = head(sum_j o_j h_j) over h_0 .. h_N [P].
- ReLU follows every linear layer but the head [O].

A task uses the modules of its stage alone: tasks are ordered by stage, so that those that use module k are the first
ones and every module runs once, for them only. The whole network is one autograd function (``_Pass``) with a
backward of its own: sums of many inputs are accumulated in place, in both directions, where autograd would keep and
add a copy for every term. It gives the gradient with respect to the routing's weights where they require one.
"""

from __future__ import annotations

import functools
import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genoevo_mega.config.networks import Network
from genoevo_mega.networks.layers import Block, linear
from genoevo_mega.networks.routing import Routing

_THIN = 16


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
    precision
        Of the arithmetic; parameters, input, output and gradients are float32.

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
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.config, self.ensemble, self.precision = config, ensemble, precision
        widths = [inputs] + [config.width] * config.embedding_layers
        embedding = [tensor for a, b in pairwise(widths) for tensor in linear(ensemble, a, b, rng)]
        # The columns of the first layer that a one-hot would pick: one bias per task.
        bound = math.sqrt(6 / (inputs + tasks))
        task_bias = torch.empty(ensemble, tasks, 1, config.width).uniform_(-bound, bound, generator=rng)
        self.pool = nn.ModuleList(self._module(rng) for _ in range(modules))
        self.core = Block([task_bias, *embedding, *linear(ensemble, config.width, outputs, rng, gain=0.1)])
        self._last: tuple[Routing, _Mixing] | None = None

    def _module(self, rng: torch.Generator) -> Block:
        width, hidden = self.config.width, self.config.hidden
        return Block(linear(self.ensemble, width, hidden, rng) + linear(self.ensemble, hidden, width, rng))

    @property
    def parameter_count(self) -> int:
        """Numbers in all members of the ensemble."""
        return sum(parameter.numel() for parameter in self.parameters())

    def grow(self, rng: torch.Generator) -> None:
        """Add a module to the pool, on the CPU; all other parameters are kept."""
        self.pool.append(self._module(rng))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        blocks = [self.core, *self.pool[: max(routing.stages)]]
        mixing = self._mixing(routing)
        return _Pass.apply(x, mixing.inputs, mixing.output, mixing, blocks, *(block.flat for block in blocks))

    def _mixing(self, routing: Routing) -> _Mixing:
        """That of *routing*, whose tensors must not change in place; the last one's is kept for a second pass."""
        last = self._last
        if last is not None and last[0] is routing:
            return last[1]
        mixing = _Mixing.of(routing, self.precision)
        # What belongs to a graph is for one pass.
        asked = routing.inputs.requires_grad or routing.output.requires_grad
        self._last = None if asked else (routing, mixing)
        return mixing

    def operations(self, stages: tuple[int, ...], *, first_layer: bool = True) -> float:
        """Floating-point operations of all members' matrix products for one row of input of every task, forward."""
        core = sum(shape.numel() for shape in self.core.shapes[1 if first_layer else 3 :: 2])
        module = sum(shape.numel() for shape in self.pool[0].shapes[::2])
        return 2.0 * sum(core + stage * module for stage in stages)


class _Mixing(NamedTuple):
    """A routing of tasks in falling order of their stages, as factors of (ensemble, tasks, batch, width).

    ``inputs`` (M - 1, M, tasks, B, 1): [k - 2, j] weighs h_j in module k. ``output`` (M + 1, tasks, B, 1).
    ``users``: the tasks that have h_0, h_1 .. each; they are the first ones. ``order`` (tasks,) int64: the tasks so
    ordered, None where they are already. ``of_inputs`` and ``of_output``: the weights of h_0, h_1 .. in the input of
    each module from the second on, and in the output, for their users.
    """

    inputs: Tensor
    output: Tensor
    users: list[int]
    order: Tensor | None
    of_inputs: list[tuple[Tensor, ...]]
    of_output: list[Tensor]

    @classmethod
    def of(cls, routing: Routing, precision: torch.dtype) -> _Mixing:
        order = _falling(routing.stages, routing.output.device)
        users = [sum(stage >= module for stage in routing.stages) for module in range(max(routing.stages) + 1)]
        inputs, output = routing.inputs.to(precision), routing.output.to(precision)
        if order is not None:
            inputs, output = inputs[order], output[order]
        inputs, output = inputs.permute(2, 3, 0, 1).unsqueeze(-1), output.permute(2, 0, 1).unsqueeze(-1)
        constant = inputs.detach()
        of_inputs = [constant[module - 2, :module, : users[module]].unbind() for module in range(2, len(users))]
        of_output = [_first(weight, count, 0) for weight, count in zip(output.detach(), users, strict=False)]
        return cls(inputs, output, users, order, of_inputs, of_output)

    def ordered(self, x: Tensor, dim: int) -> Tensor:
        """*x* with its tasks in falling order of their stages."""
        return x if self.order is None else x.index_select(dim, self.order)

    def restored(self, x: Tensor, dim: int) -> Tensor:
        """The inverse of :meth:`ordered`."""
        return x if self.order is None else torch.empty_like(x).index_copy_(dim, self.order, x)

    def input_of(self, module: int, hidden: list[Tensor]) -> Tensor:
        """The input of a module from h_0 .. h_(module - 1)."""
        if module == 1:
            return hidden[0]
        users, weights = self.users[module], self.of_inputs[module - 2]
        total = _first(hidden[0], users) * weights[0]
        for h, weight in zip(hidden[1:], weights[1:], strict=True):
            total.addcmul_(_first(h, users), weight)
        return total

    def output_of(self, hidden: list[Tensor]) -> Tensor:
        """The head's input from every h_j."""
        total = hidden[0] * self.of_output[0]
        for h, weight, users in zip(hidden[1:], self.of_output[1:], self.users[1:], strict=True):
            _first(total, users).addcmul_(h, weight)
        return total

    def gradient_of(self, j: int, of_inputs: dict[int, Tensor], of_output: Tensor) -> Tensor:
        """The gradient of h_j from those of the sums that it is a term of."""
        total = _first(of_output, self.users[j]) * self.of_output[j]
        for module, gradient in of_inputs.items():
            if module == 1:
                total.add_(gradient)
            else:
                _first(total, self.users[module]).addcmul_(gradient, self.of_inputs[module - 2][j])
        return total

    def gradients_of_weights(
        self, hidden: list[Tensor], of_inputs: dict[int, Tensor], of_output: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The gradients of ``inputs`` and ``output`` from those of the sums and every h_j; 0 for what is not used."""
        gradients = torch.zeros_like(self.inputs), torch.zeros_like(self.output)

        def put(where: Tensor, of_sum: Tensor, h: Tensor) -> None:
            # (users, B, 1): a weight is a factor of all of a row, of every member, and, where B = 1, of every row.
            of_rows = (of_sum * h).sum(-1, keepdim=True).sum(0)
            where[: len(of_rows)] = of_rows if where.shape[1] > 1 else of_rows.sum(1, keepdim=True)

        for j, h in enumerate(hidden):
            put(gradients[1][j], of_output[:, : self.users[j]], h)
            for module, of_sum in of_inputs.items():
                if module > max(j, 1):
                    put(gradients[0][module - 2, j], of_sum, h[:, : self.users[module]])
        return gradients


class _Pass(torch.autograd.Function):
    """The whole network as one function of its input, the mixing's weights and its blocks' flat parameters.

    The core's parameters come first. The weights are those of *mixing* itself, named so that autograd knows of them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, inputs: Tensor, output: Tensor, mixing: _Mixing, blocks: list[Block], *flat: Tensor
    ) -> Tensor:
        precision = mixing.output.dtype
        (task_bias, *core), *pool = (block.own_tensors(precision) for block in blocks)
        tape: list[tuple[Tensor, Tensor, Tensor]] = []  # input, output and weight of every layer but the head

        def layer(rows: Tensor, weight: Tensor, bias: Tensor, task_bias: Tensor | None = None) -> Tensor:
            out = torch.baddbmm(bias, rows, weight)
            if task_bias is not None:
                out.view(shape).add_(task_bias)
            tape.append((rows, out.relu_(), weight))
            return out

        shape = len(task_bias), *x.shape[:2], -1
        rows = mixing.ordered(x.to(precision), 0).flatten(0, 1).expand(len(task_bias), -1, -1)
        rows = layer(rows, *core[:2], mixing.ordered(task_bias, 1))
        for i in range(2, len(core) - 2, 2):
            rows = layer(rows, *core[i : i + 2])
        hidden = [rows.view(shape)]
        for module, (inner, inner_bias, outer, outer_bias) in enumerate(pool, 1):
            mixed = mixing.input_of(module, hidden)
            rows = layer(layer(mixed.flatten(1, 2), inner, inner_bias), outer, outer_bias)
            hidden.append(rows.view_as(mixed))
        mixed = mixing.output_of(hidden).flatten(1, 2)
        head, bias = core[-2:]
        ctx.mixing, ctx.blocks = mixing, blocks
        ctx.save_for_backward(*flat, mixed, head, *(tensor for entry in tape for tensor in entry))
        return mixing.restored((_thin_products(mixed, head) + bias).view(shape), 1).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mixing, needs_x, needs_weights = ctx.mixing, ctx.needs_input_grad[0], any(ctx.needs_input_grad[5:])
        needs_mixing = any(ctx.needs_input_grad[1:3])
        mixed, head, *taped = ctx.saved_tensors[len(ctx.blocks) :]
        tape = list(zip(taped[::3], taped[1::3], taped[2::3], strict=True))
        # h_0 is the embedding's last output, each h_j that of a module's second layer.
        hidden = [out for _, out, _ in tape][len(tape) + 1 - 2 * len(mixing.users) :: 2]
        outside, gradient = gradient.dtype, gradient.to(mixing.output.dtype)
        flat: list[Tensor] = []
        found: list[Tensor] = []  # where the layers' gradients go, in the order of the tape and then the head
        if needs_weights:
            flat = [gradient.new_empty(block.flat.shape) for block in ctx.blocks]
            (of_task_bias, *core), *pool = (block.tensors(own) for block, own in zip(ctx.blocks, flat, strict=True))
            found = core[:-2] + [tensor for module in pool for tensor in module] + core[-2:]

        def to_weights(rows: Tensor, of_output: Tensor) -> None:
            if found:
                of_bias, of_weight = found.pop(), found.pop()
                torch.sum(of_output, 1, keepdim=True, out=of_bias)
                if of_output.shape[2] > _THIN:
                    torch.bmm(rows.transpose(1, 2), of_output, out=of_weight)
                else:
                    of_weight.copy_(_thin_products(rows.transpose(1, 2), of_output))

        def through_layer(of_output: Tensor) -> Tensor:
            rows, out, weight = tape.pop()
            of_output = _through_relu_(of_output, out)
            to_weights(rows, of_output)
            return torch.bmm(of_output, weight.transpose(1, 2))

        of_output = mixing.ordered(gradient, 1).flatten(1, 2)
        to_weights(mixed, of_output)
        of_mixed = _thin_products(of_output, head.transpose(1, 2)).view(*gradient.shape[:3], -1)
        of_inputs: dict[int, Tensor] = {}
        for module in range(len(mixing.users) - 1, 0, -1):
            of_hidden = mixing.gradient_of(module, of_inputs, of_mixed)
            of_inputs[module] = through_layer(through_layer(of_hidden.flatten(1, 2))).view_as(of_hidden)
        of_weights: tuple[Tensor | None, Tensor | None] = (None, None)
        if needs_mixing:
            shaped = [
                h.view(len(h), users, *of_mixed.shape[2:]) for h, users in zip(hidden, mixing.users, strict=True)
            ]
            of_weights = mixing.gradients_of_weights(shaped, of_inputs, of_mixed)
        rows = mixing.gradient_of(0, of_inputs, of_mixed).flatten(1, 2)
        while len(tape) > 1:
            rows = through_layer(rows)
        [(x, out, weight)] = tape
        rows = _through_relu_(rows, out)
        to_weights(x, rows)
        if needs_weights:
            of_task_bias.copy_(mixing.restored(rows.view_as(of_mixed).sum(2, keepdim=True), 1))
        of_x = None
        if needs_x:
            of_x = torch.bmm(rows, weight.transpose(1, 2)).sum(0).view(*gradient.shape[1:3], -1)
            of_x = mixing.restored(of_x, 0).to(outside)
        of_flat = [own.to(outside) for own in flat] if needs_weights else [None] * len(ctx.blocks)
        return of_x, *of_weights, None, None, *of_flat


@functools.cache
def _falling(stages: tuple[int, ...], device: torch.device) -> Tensor | None:
    # Tasks by falling stage, None where they are. Kept for good: a copy from the host cannot be recorded in a CUDA
    # graph, and the graph reads it where it is. The calls before the capture make it.
    if all(a >= b for a, b in pairwise(stages)):
        return None
    return torch.tensor(sorted(range(len(stages)), key=lambda task: -stages[task]), device=device)


def _first(x: Tensor, count: int, dim: int = 1) -> Tensor:
    # A slice of all costs as much as any.
    return x if x.shape[dim] == count else x.narrow(dim, 0, count)


def _thin_products(a: Tensor, b: Tensor) -> Tensor:
    # A batched product with a side of one costs ten times as much as its members one after the other.
    return torch.stack([torch.mm(x, y) for x, y in zip(a, b, strict=True)])


def _through_relu_(of_output: Tensor, out: Tensor) -> Tensor:
    # In place: memory of this size is cheaper to reuse than to get.
    return torch.ops.aten.threshold_backward.grad_input(of_output, out, 0, grad_input=of_output)
