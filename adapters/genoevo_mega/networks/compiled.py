"""Networks whose passes are compiled functions: one call for forward and one for back.

The definitions are :mod:`genoevo_mega.networks.residual` and :mod:`genoevo_mega.networks.modular`.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genoevo_mega.kernels import ADDRESS, SIZE, address, addresses, kernels
from genoevo_mega.networks.routing import Routing

Gradients = tuple[Tensor | None, list[tuple[nn.Parameter, Tensor | None]]]
"""The gradient of an input, and parameters with theirs; None for those that nobody needs."""
Back = Callable[[Tensor, bool, bool], Gradients]
"""A function of the gradient of a network's output, and whether those of its input and its weights are needed."""


class ResidualSizes(ctypes.Structure):
    """The sizes of a residual perceptron and its input, in the order of ``Residual`` in ``kernels/residual.h``."""

    _fields_ = [(name, SIZE) for name in ["ensemble", "tasks", "batch", "inputs", "width", "outputs", "blocks"]]


class ModularSizes(ctypes.Structure):
    """The sizes of a modular network and its input, in the order of ``Modular`` in ``kernels/modular.h``."""

    _fields_ = [
        (name, SIZE)
        for name in (
            *("ensemble", "tasks", "genotypes", "batch", "inputs", "width", "hidden", "outputs", "layers"),
            *("layer_norm", "modules", "stride"),
        )
    ]


class _RoutingAddresses(ctypes.Structure):
    _fields_ = [(name, ADDRESS) for name in ("inputs", "output", "stages")]


class ResidualRun:
    """What :func:`run_residual` keeps for the way back."""

    def __init__(self, x: Tensor, sizes: ResidualSizes, flat: Tensor, kept: Tensor) -> None:
        self._x, self._sizes, self._flat, self._kept = x, sizes, flat, kept

    def backward(self, gradient: Tensor, needs_x: bool, needs_flat: bool) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of input and parameter, each None if it is not needed."""
        library, own = kernels(), ctypes.byref(self._sizes)
        x, flat, gradient = self._x, self._flat, gradient.contiguous()
        of_x = torch.empty_like(x) if needs_x else None
        of_flat = torch.empty_like(flat) if needs_flat else None
        scratch = x.new_empty(library.residual_scratch(own))
        given = (x, flat, self._kept, gradient, scratch, of_flat, of_x)
        library.residual_backward(own, *map(address, given))
        return of_x, of_flat


def run_residual(x: Tensor, sizes: ResidualSizes, flat: Tensor) -> tuple[Tensor, ResidualRun]:
    """Return the output (ensemble, tasks, batch, outputs) of a residual perceptron, and the way back."""
    library, own = kernels(), ctypes.byref(sizes)
    x = x.contiguous()
    kept = x.new_empty(library.residual_memory(own))
    out = x.new_empty(sizes.ensemble, sizes.tasks, sizes.batch, sizes.outputs)
    library.residual_forward(own, x.data_ptr(), flat.data_ptr(), kept.data_ptr(), out.data_ptr())
    return out, ResidualRun(x, sizes, flat, kept)


class ResidualPass(torch.autograd.Function):
    """The residual perceptron as a function of its input (tasks, batch, inputs) and its flat parameter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: ResidualSizes, flat: Tensor) -> Tensor:  # noqa: D102
        out, ctx.run = run_residual(x.detach(), sizes, flat.detach())
        ctx.save_for_backward(x, flat)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:  # noqa: D102
        _ = ctx.saved_tensors  # an error if they have changed
        needs_x, _, needs_flat = ctx.needs_input_grad
        of_x, of_flat = ctx.run.backward(gradient, needs_x, needs_flat)
        return of_x, None, of_flat


class ModularRun:
    """What :func:`run_modular` keeps for the way back."""

    def __init__(
        self,
        x: Tensor,
        sizes: ModularSizes,
        routing: tuple[Any, Sequence[Tensor]],
        routes: tuple[Tensor, int],
        flat: Sequence[Tensor],
        kept: Tensor,
    ) -> None:
        self._x, self._sizes, self._routing, self._routes = x, sizes, routing, routes
        self._flat, self._kept = flat, kept

    def backward(
        self, gradient: Tensor, needs_x: bool, needs_core: bool, needs_pool: bool
    ) -> tuple[Tensor | None, Tensor | None, Sequence[Tensor | None]]:
        """Return the gradients of input, core and modules, each None if it is not needed."""
        library, own = kernels(), ctypes.byref(self._sizes)
        x, (core, *pool), (routes, slots) = self._x, self._flat, self._routes
        gradient, scratch = gradient.contiguous(), x.new_empty(library.modular_scratch(own))
        of_x = torch.empty_like(x) if needs_x else None
        of_core = torch.empty_like(core) if needs_core else None
        of_pool: Sequence[Tensor] = x.new_empty(len(pool), pool[0].numel()).unbind() if needs_pool else ()
        places = (x, core), (self._kept, gradient, scratch, of_core), (of_x,)
        library.modular_backward(
            own,
            ctypes.byref(self._routing[0]),
            routes.data_ptr(),
            slots,
            *map(address, places[0]),
            addresses(pool),
            *map(address, places[1]),
            addresses(of_pool) if needs_pool else None,
            *map(address, places[2]),
        )
        return of_x, of_core, of_pool or [None] * len(pool)


def run_modular(
    x: Tensor, sizes: ModularSizes, routing: Routing, flat: Sequence[Tensor]
) -> tuple[Tensor, ModularRun]:
    """Return the output (ensemble, tasks, batch, outputs) of a modular network, and the way back.

    *flat* are the parameters of the core, then those of the modules up to the highest stage.
    """
    library, own = kernels(), ctypes.byref(sizes)
    x = x.contiguous()
    weights = [each.detach().contiguous() for each in (routing.inputs, routing.output)]
    held = [*weights, _stages(routing.stages)]
    places = _RoutingAddresses(*(tensor.data_ptr() for tensor in held))
    routes = torch.empty(sizes.tasks * sizes.genotypes * (sizes.modules + 1), dtype=torch.int32)
    slots = library.modular_routes(own, ctypes.byref(places), routes.data_ptr())
    kept = x.new_empty(library.modular_memory(own, slots))
    scratch = x.new_empty(library.modular_scratch(own))
    out = x.new_empty(sizes.ensemble, *x.shape[:2], sizes.outputs)
    core, *pool = flat
    library.modular_forward(
        own,
        ctypes.byref(places),
        routes.data_ptr(),
        slots,
        x.data_ptr(),
        core.data_ptr(),
        addresses(pool),
        kept.data_ptr(),
        scratch.data_ptr(),
        out.data_ptr(),
    )
    return out, ModularRun(x, sizes, (places, held), (routes, slots), flat, kept)


class ModularPass(torch.autograd.Function):
    """The modular network with residual modules as a function of its input and its blocks' flat parameters.

    The core's parameter comes first, then those of the modules up to the highest stage.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: ModularSizes, routing: Routing, *flat: Tensor) -> Tensor:  # noqa: D102
        out, ctx.run = run_modular(x.detach(), sizes, routing, [each.detach() for each in flat])
        ctx.save_for_backward(x, *flat)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        _ = ctx.saved_tensors  # an error if they have changed
        needs_x, _, _, needs_core, *needs_pool = ctx.needs_input_grad
        of_x, of_core, of_pool = ctx.run.backward(gradient, needs_x, needs_core, any(needs_pool))
        return of_x, None, None, of_core, *of_pool


@functools.lru_cache(maxsize=256)
def _stages(stages: tuple[int, ...]) -> Tensor:
    return torch.tensor(stages)
