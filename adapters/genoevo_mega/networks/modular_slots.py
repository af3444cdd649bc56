"""The modular network along the tasks' routes: each task computes the modules that its output depends on, no others.

It computes what :class:`~genoevo_mega.networks.modular.ModularNetwork` defines, for one genotype per task, or for
several with some rows each, which are as many tasks here:

- The modules that a task reaches, those on a path of weights above 0 to the output, are its *slots*, in rising order.
  So the k-th slot is another module for each task. The depth is the largest number of slots of any task, however
  large the pool is.
- Tasks are ordered by falling number of slots. The k-th slot is computed for the first tasks only. There is no
  padding, and a module that overflows spoils the tasks that reach it alone.
- The parameters of the pool are stacked, and each slot selects the modules of its tasks. If they all have the same
  module, it is applied to them together.
- A module that no task reaches has a gradient of 0, as by the definition.

The slots are read from the numbers in the routing, and the shapes depend on them. A captured graph on CUDA has fixed
shapes and reads no number, so the definition computes there. It also computes routings of one genotype per transition
and those that require grad, and whatever is traced or compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genoevo_mega.networks.layers import Block, separate, shared
from genoevo_mega.networks.modular_layers import Form
from genoevo_mega.networks.routing import Routing, reached_by_edges
from genoevo_runs.arrays import Floats, Ints

_KEPT = 4

Terms = dict[int, Tensor | None]
"""The terms of a sum: the weights (users, 1, 1) of each hidden layer by its number; None if all are 1."""


def usable(x: Tensor, routing: Routing) -> bool:
    """Return whether slots can compute this call; see the head of this file."""
    followed = torch.jit.is_tracing() or torch.compiler.is_compiling()
    genotypes = routing.output.shape[1]
    for_rows = genotypes == 1 or genotypes < x.shape[1]
    return for_rows and not routing.requires_grad and x.device.type == "cpu" and not followed


class Slots(NamedTuple):
    """The slots of the tasks of one routing, in falling order of their number.

    ``modules`` holds each slot's modules in the pool, counted from 0: one number for all its tasks, or (users,)
    int64. ``inputs`` are the terms of each slot's input, ``output`` those of the head's input; hidden layer 0 is the
    embedding. ``users`` is the number of tasks that have each hidden layer. ``order`` (tasks,) int64 are the tasks in
    falling order of their slots, and ``inverse`` undoes it; both are None if the tasks are in this order. Each of the
    ``genotypes`` of a task counts as a task of its own.
    """

    modules: list[int | Tensor]
    inputs: list[Terms]
    output: Terms
    users: list[int]
    order: Tensor | None
    inverse: Tensor | None
    genotypes: int

    @classmethod
    def of(cls, routing: Routing, precision: torch.dtype) -> Slots:
        """Return the slots of a routing, with weights in *precision*."""
        edges = routing.edges()
        reached = reached_by_edges(edges)
        counts = reached.sum(axis=1)
        order = np.argsort(-counts, kind="stable")
        edges, reached, counts = edges[order], reached[order], counts[order]
        # A pool that no task reaches has a slot without tasks, through which its modules get a gradient of 0.
        depth = max(int(counts.max()), 1)
        modules = np.argsort(~reached, axis=1, kind="stable")[:, :depth]
        users = [len(counts), *(int((counts > slot).sum()) for slot in range(depth))]
        weights = _between_slots(edges, modules)

        def terms(of_sum: int, sources: int, size: int) -> Terms:
            columns = [weights[: min(size, users[j]), of_sum, j] for j in range(sources)]
            return {j: _factors(w, precision) for j, w in enumerate(columns) if j == 0 or w.any() or not len(w)}

        # Modules that no task reaches have a gradient only as a part of all stacked modules.
        in_use = bool(reached.any(axis=0).all())
        in_order = bool((order[1:] > order[:-1]).all())
        return cls(
            modules=[_numbers(modules[: users[slot + 1], slot], in_use) for slot in range(depth)],
            inputs=[terms(slot, slot + 1, users[slot + 1]) for slot in range(depth)],
            output=terms(depth, depth + 1, users[0]),
            users=users,
            order=None if in_order else torch.from_numpy(order),
            inverse=None if in_order else torch.from_numpy(np.argsort(order)),
            genotypes=routing.output.shape[1],
        )

    def ordered(self, x: Tensor) -> Tensor:
        """Return h_0 (ensemble, tasks, batch, width) with its tasks in falling order of their slots."""
        x = x.unflatten(2, (self.genotypes, -1)).flatten(1, 2)
        return x if self.order is None else x.index_select(1, self.order)

    def layers(self, pool: Sequence[Block], form: Form, precision: torch.dtype) -> list[Callable[[Tensor], Tensor]]:
        """Return the function of each slot, from its input (ensemble, users, batch, width) to its output."""
        tensors = [block.tensors(block.flat.to(precision)) for block in pool]
        stacked: list[Tensor] = []
        if not all(isinstance(module, int) for module in self.modules):
            stacked = [torch.stack(same, dim=1) for same in zip(*tensors, strict=True)]

        def layer(module: int | Tensor) -> Callable[[Tensor], Tensor]:
            if isinstance(module, int):
                return partial(form.module, tensors=tensors[module], layer=shared)
            own = [each.index_select(1, module) for each in stacked]
            return partial(form.module, tensors=own, layer=separate)

        return [layer(module) for module in self.modules]

    def mix_inputs(self, k: int, hidden: list[Tensor]) -> Tensor:
        """Return the input of the *k*-th slot, the first being 1, from the embedding and the outputs before it."""
        (_, weights), *others = self.inputs[k - 1].items()
        h = _first(hidden[0], self.users[k])
        total = h if weights is None else h * weights
        for j, weights in others:
            h = _first(hidden[j], self.users[k])
            total = total + h if weights is None else torch.addcmul(total, h, weights)
        return total

    def mix_output(self, hidden: list[Tensor]) -> Tensor:
        """Return the head's input (ensemble, tasks, batch, width), the tasks in their own order."""
        # From the layer that the fewest tasks have: every sum is as short as its tasks are few.
        terms = [h if (w := self.output[j]) is None else h * w for j, h in enumerate(hidden) if j in self.output]
        total = terms.pop()
        for term in reversed(terms):
            users = total.shape[1]
            total = total + _first(term, users)
            if users < term.shape[1]:
                total = torch.cat([total, term[:, users:]], dim=1)
        total = total if self.inverse is None else total.index_select(1, self.inverse)
        return total.unflatten(1, (-1, self.genotypes)).flatten(2, 3)


class RecentSlots:
    """The slots of the last few routings, which all networks of an agent share.

    Actor and critics get equal routings in an update, and the same genotypes act for a whole episode. The routing's
    tensors must not change in place.
    """

    def __init__(self) -> None:
        self._recent: tuple[tuple[Routing, torch.dtype, Slots], ...] = ()

    def of(self, routing: Routing, precision: torch.dtype) -> Slots:
        """Return :meth:`Slots.of`, made anew unless the numbers are those of a recent call."""
        for earlier, its_precision, slots in self._recent:
            if precision == its_precision and _are_equal(routing, earlier):
                return slots
        slots = Slots.of(routing, precision)
        # In one assignment: the threads of an update share this object.
        self._recent = ((routing, precision, slots), *self._recent)[:_KEPT]
        return slots


recent_slots = RecentSlots()


def _are_equal(a: Routing, b: Routing) -> bool:
    if a is b:
        return True
    return a.stages == b.stages and torch.equal(a.output, b.output) and torch.equal(a.inputs, b.inputs)


def _between_slots(edges: Floats, modules: Ints) -> Floats:
    """Return the weights between a task's slots, (tasks, slots + 1, slots + 1).

    The second axis is what is summed up, the input of each slot and then the output; the last one what is summed, the
    embedding and then each slot.
    """
    tasks = np.arange(len(edges))
    sums = np.column_stack([modules, np.full(len(edges), edges.shape[1] - 1)])
    sources = np.column_stack([np.zeros(len(edges), np.int64), modules + 1])
    between: Floats = edges[tasks[:, None, None], sums[:, :, None], sources[:, None, :]]
    return between


def _numbers(modules: Ints, in_use: bool) -> int | Tensor:
    if in_use and (modules == modules[0]).all():
        return int(modules[0])
    return torch.from_numpy(np.ascontiguousarray(modules))


def _factors(weights: Floats, precision: torch.dtype) -> Tensor | None:
    if len(weights) and (weights == 1).all():
        return None
    return torch.from_numpy(np.ascontiguousarray(weights)).to(precision)[:, None, None]


def _first(x: Tensor, tasks: int) -> Tensor:
    return x if x.shape[1] == tasks else x.narrow(1, 0, tasks)
