"""The modular network of MEGA: modules shared by all tasks, mixed by weights that evolution gives.

- h_0 = embedding(input, task one-hot), two layers of 400 [P].
- Module k maps 400 -> 128 -> 400 ([P] the sizes, [R] the two layers); its input is sum_j w_kj h_j over the initial
  input and all earlier modules [P], module 1 reads h_0 [R].
- Output = head(sum_j o_j h_j) over h_0 .. h_N [P].
- ReLU follows every linear layer but the head [O]. Residual modules and LayerNorm change the layers [O]:
  :mod:`genoevo_mega.networks.modular_layers`.

This file is the definition. Training computes the same by :mod:`genoevo_mega.networks.modular_fused` if the layers
are plain and genotypes leave no module out, else by :mod:`genoevo_mega.networks.modular_slots`. If asked to, it
computes residual modules by :mod:`genoevo_mega.networks.compiled`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from genoevo_mega import kernels
from genoevo_mega.config.networks import Network
from genoevo_mega.networks.compiled import Back, Gradients, ModularPass, ModularSizes, Step, modular_step, run_modular
from genoevo_mega.networks.layers import Block, linear, shared
from genoevo_mega.networks.modular_fused import FusedModular
from genoevo_mega.networks.modular_layers import Form, ModuleLayers
from genoevo_mega.networks.modular_slots import recent_slots, usable
from genoevo_mega.networks.routing import Routing

Hidden = TypeVar("Hidden")


class Mixing(Protocol[Hidden]):
    """The part of a routing that the network needs."""

    def mix_inputs(self, k: int, hidden: list[Hidden]) -> Hidden:
        """Return the input of module *k* from h_0 .. h_(k-1)."""


def hidden_layers(
    embedding: Callable[[Hidden], Hidden],
    pool: Iterable[Callable[[Hidden], Hidden]],
    x: Hidden,
    mixing: Mixing[Hidden],
) -> list[Hidden]:
    """Return h_0 .. h_N, the outputs of the embedding and of every module, whatever the layers are made of."""
    hidden = [embedding(x)]
    for k, module in enumerate(pool, start=1):
        hidden.append(module(mixing.mix_inputs(k, hidden)))
    return hidden


class ModularNetwork(nn.Module):
    """The modular network for all tasks.

    Tasks of a lower stage compute the modules above it too, with weight 0. The fused pass does not: if such a module
    overflows, the plain one gives 0 * inf, not a number, to a task that does not use it.

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
        Sizes, and the kind of the modules.
    rng
        Draws the initial weights.
    layer_norm
        Whether LayerNorm comes before every ReLU.
    sparse
        Whether genotypes leave modules out, so that slots are worth while for plain layers, too.
    precision
        Of the arithmetic; parameters, input, output and gradients are float32.

    Attributes
    ----------
    form
        The form of the layers.
    fused
        The fast path of plain layers; None for no such path.
    slots
        Whether to compute by slots if they can compute a call; otherwise the fast path or the definition does.
    compiled
        Whether compiled functions compute the calls that they can, before all others are asked.

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
        layer_norm: bool = False,
        sparse: bool = False,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.config, self.ensemble, self.precision = config, ensemble, precision
        self.form = Form(config.modules == "residual", layer_norm)
        widths = [inputs] + [config.width] * config.embedding_layers
        embedding = [tensor for a, b in pairwise(widths) for tensor in linear(ensemble, a, b, rng)]
        # The columns of the first layer that a one-hot would pick: one bias per task.
        bound = math.sqrt(6 / (inputs + tasks))
        task_bias = torch.empty(ensemble, tasks, 1, config.width).uniform_(-bound, bound, generator=rng)
        self.pool = nn.ModuleList(self._module(rng) for _ in range(modules))
        self.core = Block([task_bias, *embedding, *linear(ensemble, config.width, outputs, rng, gain=0.1)])
        self.fused: FusedModular | None = FusedModular() if self.form.is_plain else None
        self.slots = sparse or not self.form.is_plain
        self.compiled = False

    def _module(self, rng: torch.Generator) -> ModuleLayers:
        return ModuleLayers(self.ensemble, self.config.width, self.config.hidden, self.form, rng)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """(tasks, batch, inputs) -> (ensemble, tasks, batch, outputs)."""
        if self.is_compiled_for(x, routing):
            if not torch.is_grad_enabled():
                return self.recorded(x, routing)[0]
            flat, sizes = self._compiled_call(x, routing)
            out: Tensor = ModularPass.apply(x, sizes, routing, *flat)
            return out
        pool = self.pool[: max(routing.stages)]
        if self.slots and usable(x, routing):
            slots = recent_slots.of(routing, self.precision)
            layers = slots.layers(list(pool), self.form, self.precision)
            hidden = hidden_layers(lambda rows: slots.ordered(self.embedding(rows)), layers, x, slots)
            return self.head(slots.mix_output(hidden)).to(x.dtype)
        routing = routing.for_rows(x.shape[1])
        if self.fused is not None and self.fused.usable():
            return self.fused(x, routing, [self.core, *pool], self.precision)
        hidden = hidden_layers(self.embedding, pool, x, routing)
        return self.head(routing.mix_output(hidden)).to(x.dtype)

    def is_compiled_for(self, x: Tensor, routing: Routing) -> bool:
        """Return whether compiled functions compute this call."""
        if not (self.compiled and self.form.residual and self.precision == torch.float32):
            return False
        return kernels.usable(x, routing.output, self.core.flat) and usable(x, routing)

    def recorded(self, x: Tensor, routing: Routing) -> tuple[Tensor, Back]:
        """Return the output of :meth:`forward` and the function of its gradient; autograd sees neither."""
        flat, sizes = self._compiled_call(x, routing)
        out, run = run_modular(x, sizes, routing, flat)

        def back(gradient: Tensor, needs_x: bool, needs_weights: bool) -> Gradients:
            of_x, of_core, of_pool = run.backward(gradient, needs_x, needs_weights, needs_weights)
            return of_x, list(zip(flat, [of_core, *of_pool], strict=True))

        return out, back

    def step(
        self, targets: ModularNetwork, x: Tensor, next_x: Tensor, routing: Routing, loss: Any, needs_x: bool
    ) -> Step:
        """Return the one long call of the critics' loss and its gradient, for this network and its *targets*."""
        flat, sizes = self._compiled_call(x, routing)
        target, _ = targets._compiled_call(x, routing)
        return modular_step(sizes, routing, x, next_x, flat, target, loss, needs_x)

    def _compiled_call(self, x: Tensor, routing: Routing) -> tuple[list[nn.Parameter], ModularSizes]:
        pool = [module.flat for module in islice(self.pool, max(routing.stages))]
        tasks, genotypes, width = routing.output.shape
        sizes = ModularSizes(
            ensemble=self.ensemble,
            tasks=tasks,
            genotypes=genotypes,
            batch=x.shape[1] // genotypes,
            inputs=x.shape[2],
            width=self.config.width,
            hidden=self.config.hidden,
            outputs=self.core.shapes[-1][-1],
            layers=self.config.embedding_layers,
            layer_norm=self.form.layer_norm,
            modules=len(pool),
            stride=width - 1,
        )
        return [self.core.flat, *pool], sizes

    def embedding(self, x: Tensor) -> Tensor:
        """Return h_0 (ensemble, tasks, batch, width) of the input (tasks, batch, inputs)."""
        task_bias, weight, bias, *others = self._core_tensors()[:-2]
        rows = x.to(self.precision).expand(self.ensemble, *x.shape)
        h = self.form.activate(shared(rows, weight, bias) + task_bias)
        for weight, bias in zip(others[::2], others[1::2], strict=True):
            h = self.form.activate(shared(h, weight, bias))
        return h

    def head(self, mixed: Tensor) -> Tensor:
        """Return the output (ensemble, tasks, batch, outputs) of the mixed hidden layers."""
        return shared(self.form.head_input(mixed), *self._core_tensors()[-2:])

    def _core_tensors(self) -> list[Tensor]:
        return self.core.tensors(self.core.flat.to(self.precision))

    @property
    def parameter_count(self) -> int:
        """The number of parameters in all members of the ensemble."""
        return sum(parameter.numel() for parameter in self.parameters())

    def grow(self, rng: torch.Generator) -> None:
        """Add a module to the pool, on the CPU; all other parameters are kept."""
        self.pool.append(self._module(rng))

    def shrink(self) -> None:
        """Remove the last module of the pool; all other parameters are kept."""
        self.pool = self.pool[:-1]

    def operations(self, stages: tuple[int, ...], *, first_layer: bool = True) -> float:
        """Return the operations of all members' matrix products for one row of input of every task, forward."""
        core = sum(shape.numel() for shape in self.core.shapes[1 if first_layer else 3 :: 2])
        module = sum(shape.numel() for shape in self.pool[0].shapes[::2])
        return 2.0 * sum(core + stage * module for stage in stages)
