"""The modular network as one autograd function with a backward pass of its own.

It computes what :class:`~genoevo_mega.networks.modular.ModularNetwork` defines, in less time and memory:

- Sums of many inputs are accumulated in place, forward and back; autograd keeps and adds a copy for every term.
- Tasks are ordered by stage. Those that use module k are the first ones, and it runs once, for them only.
- Gradients of the routing's weights are computed only if they require grad.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genoevo_mega.networks.layers import Block
from genoevo_mega.networks.routing import Routing

_THIN = 16


class FusedModular:
    """A network's fast path: its forward and backward pass as one autograd function.

    The weights of the last routing are kept in the form that the pass reads, for the next pass with the same object.
    """

    def __init__(self) -> None:
        self._last: tuple[Routing, _Mixing] | None = None

    @staticmethod
    def usable() -> bool:
        """Return whether it can compute now: tracing and compiling follow plain operations only."""
        return not (torch.jit.is_tracing() or torch.compiler.is_compiling())

    def __call__(self, x: Tensor, routing: Routing, blocks: list[Block], precision: torch.dtype) -> Tensor:
        """Return the output (ensemble, tasks, batch, outputs) for *x* (tasks, batch, inputs).

        *blocks* are the core and the modules up to the highest stage. The routing's tensors must not change in place.
        """
        mixing = self._mixing(routing, precision)
        out: Tensor = _Pass.apply(x, mixing.inputs, mixing.output, mixing, blocks, *(block.flat for block in blocks))
        return out

    def _mixing(self, routing: Routing, precision: torch.dtype) -> _Mixing:
        last = self._last
        if last is not None and last[0] is routing:
            return last[1]
        mixing = _Mixing.of(routing, precision)
        # Weights with a graph are for one pass.
        self._last = None if routing.requires_grad else (routing, mixing)
        return mixing


class _Mixing(NamedTuple):
    """A routing of tasks in falling order of their stages, as factors of (ensemble, tasks, batch, width).

    ``inputs`` (M - 1, M, tasks, B, 1): [k - 2, j] weighs h_j in module k. ``output`` (M + 1, tasks, B, 1).
    ``users``: the number of tasks that have h_0, h_1 .. each; they are the first ones. ``order`` (tasks,) int64: the
    tasks in this order, None if they are already in it. ``of_inputs`` and ``of_output``: the weights of h_0, h_1 ..
    in the input of each module from the second on, and in the output, for their users.
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
        """Return *x* with its tasks in falling order of their stages."""
        return x if self.order is None else x.index_select(dim, self.order)

    def restored(self, x: Tensor, dim: int) -> Tensor:
        """Return the inverse of :meth:`ordered`."""
        return x if self.order is None else torch.empty_like(x).index_copy_(dim, self.order, x)

    def input_of(self, module: int, hidden: list[Tensor]) -> Tensor:
        """Return the input of a module from h_0 .. h_(module - 1)."""
        if module == 1:
            return hidden[0]
        users, weights = self.users[module], self.of_inputs[module - 2]
        total = _first(hidden[0], users) * weights[0]
        for h, weight in zip(hidden[1:], weights[1:], strict=True):
            total.addcmul_(_first(h, users), weight)
        return total

    def output_of(self, hidden: list[Tensor]) -> Tensor:
        """Return the head's input from every h_j."""
        total = hidden[0] * self.of_output[0]
        for h, weight, users in zip(hidden[1:], self.of_output[1:], self.users[1:], strict=True):
            _first(total, users).addcmul_(h, weight)
        return total

    def gradient_of(self, j: int, of_inputs: dict[int, Tensor], of_output: Tensor) -> Tensor:
        """Return the gradient of h_j from the gradients of the sums that it is a term of."""
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
        """Return the gradients of ``inputs`` and ``output`` from the sums' and every h_j; 0 for unused weights."""
        gradients = torch.zeros_like(self.inputs), torch.zeros_like(self.output)

        def put(where: Tensor, of_sum: Tensor, h: Tensor) -> None:
            # (users, B, 1): a weight is a factor of all of a row, of every member and, if B = 1, of every row.
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

    The core's parameters come first. *inputs* and *output* are the weights in *mixing*, as autograd must see them.
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
        # h_0 is the embedding's last output, each h_j the output of a module's second layer.
        hidden = [out for _, out, _ in tape][len(tape) + 1 - 2 * len(mixing.users) :: 2]
        outside, gradient = gradient.dtype, gradient.to(mixing.output.dtype)
        flat: list[Tensor] = []
        targets: list[Tensor] = []  # where the layers' gradients go, in the order of the tape and then the head
        if needs_weights:
            flat = [gradient.new_empty(block.flat.shape) for block in ctx.blocks]
            (of_task_bias, *core), *pool = (block.tensors(own) for block, own in zip(ctx.blocks, flat, strict=True))
            targets = core[:-2] + [tensor for module in pool for tensor in module] + core[-2:]

        def to_weights(rows: Tensor, of_output: Tensor) -> None:
            if targets:
                of_bias, of_weight = targets.pop(), targets.pop()
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
    # Tasks by falling stage, None if they are in this order already. Cached for good: a copy from the host cannot be
    # recorded in a CUDA graph, and the graph reads the tensor at its address. The calls before the capture make it.
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
