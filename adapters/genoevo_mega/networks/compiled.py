"""Networks whose passes are compiled functions: one call for forward, one for back, and one for a step of critics.

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
Step = Callable[[Tensor], Gradients]
"""The long call of the critics' loss: writes two sums (2,) float64, returns the gradients."""


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


class Routes:
    """A routing, the modules that each genotype's output depends on, and how many these are together."""

    def __init__(self, sizes: ModularSizes, routing: Routing) -> None:
        weights = [each.detach().contiguous() for each in (routing.inputs, routing.output)]
        self._held = [*weights, _stages(routing.stages)]
        self._places = _RoutingAddresses(*(tensor.data_ptr() for tensor in self._held))
        self._modules = torch.empty(sizes.tasks * sizes.genotypes * (sizes.modules + 1), dtype=torch.int32)
        self.slots = kernels().modular_routes(ctypes.byref(sizes), ctypes.byref(self._places), address(self._modules))

    def given(self) -> tuple[Any, ...]:
        """Return what compiled functions take; it is valid as long as this object."""
        return ctypes.byref(self._places), self._modules.data_ptr(), self.slots


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


def residual_step(
    sizes: ResidualSizes, x: Tensor, next_x: Tensor, flat: nn.Parameter, target: Tensor, loss: Any, needs_x: bool
) -> Step:
    """Return the call that differentiates *loss* with respect to *flat* and, if needed, *x* (tasks, n, inputs)."""
    library, own, of_loss = kernels(), ctypes.byref(sizes), ctypes.byref(loss)
    x, next_x = x.contiguous(), next_x.contiguous()
    of_flat, of_x = torch.empty_like(flat), torch.empty_like(x) if needs_x else None
    memory = x.new_empty(library.residual_step_memory(own))

    def step(found: Tensor) -> Gradients:
        places = map(address, (x, next_x, flat, target, memory, of_flat, of_x, found))
        library.residual_step(own, of_loss, *places)
        return of_x, [(flat, of_flat)]

    return step


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

    def __init__(self, x: Tensor, sizes: ModularSizes, routes: Routes, flat: Sequence[Tensor], kept: Tensor) -> None:
        self._x, self._sizes, self._routes, self._flat, self._kept = x, sizes, routes, flat, kept

    def backward(
        self, gradient: Tensor, needs_x: bool, needs_core: bool, needs_pool: bool
    ) -> tuple[Tensor | None, Tensor | None, Sequence[Tensor | None]]:
        """Return the gradients of input, core and modules, each None if it is not needed."""
        library, own, gradient = kernels(), ctypes.byref(self._sizes), gradient.contiguous()
        x, (core, *pool) = self._x, self._flat
        scratch = x.new_empty(library.modular_scratch(own))
        of_x = torch.empty_like(x) if needs_x else None
        of_core = torch.empty_like(core) if needs_core else None
        of_pool = _like_rows(pool) if needs_pool else ()
        library.modular_backward(
            *(own, *self._routes.given()),
            *(address(x), address(core), addresses(pool)),
            *map(address, (self._kept, gradient, scratch, of_core)),
            addresses(of_pool) if needs_pool else None,
            address(of_x),
        )
        return of_x, of_core, of_pool or [None] * len(pool)


def run_modular(
    x: Tensor, sizes: ModularSizes, routing: Routing, flat: Sequence[Tensor]
) -> tuple[Tensor, ModularRun]:
    """Return the output (ensemble, tasks, batch, outputs) of a modular network, and the way back.

    *flat* are the parameters of the core, then those of the modules up to the highest stage.
    """
    library, own, routes = kernels(), ctypes.byref(sizes), Routes(sizes, routing)
    x, (core, *pool) = x.contiguous(), flat
    kept, scratch = x.new_empty(library.modular_memory(own, routes.slots)), x.new_empty(library.modular_scratch(own))
    out = x.new_empty(sizes.ensemble, *x.shape[:2], sizes.outputs)
    places = address(x), address(core), addresses(pool), *map(address, (kept, scratch, out))
    library.modular_forward(own, *routes.given(), *places)
    return out, ModularRun(x, sizes, routes, flat, kept)


def modular_step(
    sizes: ModularSizes,
    routing: Routing,
    x: Tensor,
    next_x: Tensor,
    flat: Sequence[nn.Parameter],
    target: Sequence[Tensor],
    loss: Any,
    needs_x: bool,
) -> Step:
    """Return what :func:`residual_step` does; *flat* and *target* are as :func:`run_modular` takes them."""
    library, own, of_loss, routes = kernels(), ctypes.byref(sizes), ctypes.byref(loss), Routes(sizes, routing)
    x, next_x, (core, *pool), (target_core, *target_pool) = x.contiguous(), next_x.contiguous(), flat, target
    of_core, of_pool, of_x = torch.empty_like(core), _like_rows(pool), torch.empty_like(x) if needs_x else None
    memory = x.new_empty(library.modular_step_memory(own, routes.slots))

    def step(found: Tensor) -> Gradients:
        library.modular_step(
            *(own, *routes.given(), of_loss, address(x), address(next_x)),
            *(address(core), addresses(pool), address(target_core), addresses(target_pool)),
            *(address(memory), address(of_core), addresses(of_pool), address(of_x), address(found)),
        )
        return of_x, list(zip(flat, [of_core, *of_pool], strict=True))

    return step


def _like_rows(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return as many new tensors as *tensors*, which are all of one size."""
    return tensors[0].new_empty(len(tensors), tensors[0].numel()).unbind()


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
