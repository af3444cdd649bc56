"""What the learner computes beside networks, by compiled functions.

The definitions are in :mod:`genoevo_mega.agents.distribution`, :mod:`genoevo_mega.agents.value` and
:mod:`genoevo_mega.agents.optimizers`. Whatever the functions cannot compute, the definitions do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genoevo_mega.agents import distribution
from genoevo_mega.agents.distribution import BOUNDS, Bounds
from genoevo_mega.agents.value import Compared, Prediction
from genoevo_mega.kernels import address, kernels, usable


class _Optimized(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int64)] + [
        (name, ctypes.c_void_p) for name in ("parameter", "gradient", "mean", "square", "steps")
    ]


class _Averaged(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int64), ("average", ctypes.c_void_p), ("parameter", ctypes.c_void_p)]


def tanh_gaussian(output: Tensor, noise: Tensor, bounds: Bounds = BOUNDS) -> tuple[Tensor, Tensor]:
    """Return what :func:`genoevo_mega.agents.distribution.tanh_gaussian` does."""
    if not usable(output, noise):
        return distribution.tanh_gaussian(output, noise, bounds)
    found: tuple[Tensor, Tensor] = _Squashed.apply(output, noise, bounds)
    return found


def squashed(output: Tensor, noise: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Return actions (..., size) and log probabilities (...) of an actor's output, of any shape; no gradients."""
    output, noise = output.contiguous(), noise.contiguous()
    action, log_prob = torch.empty_like(noise), noise.new_empty(noise.shape[:-1])
    given = output.data_ptr(), noise.data_ptr(), *bounds, action.data_ptr(), log_prob.data_ptr()
    kernels().squashed(log_prob.numel(), noise.shape[-1], *given)
    return action, log_prob


def through_squashed(
    output: Tensor, noise: Tensor, bounds: Bounds, action: Tensor, of_action: Tensor, of_log_prob: Tensor
) -> Tensor:
    """Return the gradient of an actor's output from those of what :func:`squashed` returned."""
    held = [each.contiguous() for each in (output, noise, action, of_action, of_log_prob)]
    found = torch.empty_like(held[0])
    output_at, noise_at, *others = (each.data_ptr() for each in (*held, found))
    kernels().through_squashed(of_log_prob.numel(), noise.shape[-1], output_at, noise_at, *bounds, *others)
    return found


class _Squashed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, noise: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        action, log_prob = squashed(output, noise, bounds)
        ctx.bounds = bounds
        ctx.save_for_backward(output, noise, action)
        return action, log_prob

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_action: Tensor, of_log_prob: Tensor) -> tuple[Tensor, None, None]:
        output, noise, action = ctx.saved_tensors
        return through_squashed(output, noise, ctx.bounds, action, of_action, of_log_prob), None, None


class CompiledPrediction(Prediction):
    """A :class:`~genoevo_mega.agents.value.Prediction` whose probabilities and cross-entropy are compiled."""

    def value(self, outputs: Tensor) -> Tensor:  # noqa: D102
        if self.outputs == 1 or not usable(outputs):
            return super().value(outputs)
        found: Tensor = _Mean.apply(outputs, self.numbers)
        return found

    def compared(self, outputs: Tensor, target: Tensor) -> Compared:  # noqa: D102
        if self.outputs == 1 or not usable(outputs, target):
            return super().compared(outputs, target)
        return (_CrossEntropy.apply(outputs, self.numbers, self.distribution(target)),), _as_it_is

    def joined_and_gradient(self, outputs: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Return one value (tasks, n) of both critics, and the outputs' gradient of *factor* times their sum."""
        if self.outputs == 1:
            values = outputs[..., 0]
        else:
            probabilities, values, _ = _categorical(outputs, self.numbers)
        joined = self.joined(values)
        if self.settings.twins == "mean":
            of_values = torch.full_like(values, factor / len(values))
        else:  # equal values share it
            least = (values == joined).float()
            of_values = least * (factor / least.sum(0))
        if self.outputs == 1:
            return joined, of_values.unsqueeze(-1)
        gradient = torch.empty_like(probabilities)
        places = map(address, (probabilities, self.numbers, values, of_values, gradient))
        kernels().through_value(values.numel(), len(self.numbers), *places)
        return joined, gradient


def compiled_prediction(prediction: Prediction) -> Prediction:
    """Return a compiled form of a prediction; itself if it is of another class."""
    if type(prediction) is not Prediction:
        return prediction
    return CompiledPrediction(prediction.settings, prediction.numbers.device)


def _as_it_is(loss: Tensor) -> Tensor:
    return loss


def _categorical(outputs: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return probabilities (..., bins), their means (...) and the logarithms (...) of what they were divided by."""
    probabilities, means = torch.empty_like(outputs), outputs.new_empty(outputs.shape[:-1])
    logarithms = torch.empty_like(means)
    places = (tensor.data_ptr() for tensor in (outputs, numbers, probabilities, means, logarithms))
    kernels().categorical(means.numel(), len(numbers), *places)
    return probabilities, means, logarithms


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, numbers: Tensor) -> Tensor:
        probabilities, means, _ = _categorical(outputs.contiguous(), numbers)
        ctx.save_for_backward(probabilities, numbers, means)
        return means

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        probabilities, numbers, means = ctx.saved_tensors
        gradient, found = gradient.contiguous(), torch.empty_like(probabilities)
        places = (tensor.data_ptr() for tensor in (probabilities, numbers, means, gradient, found))
        kernels().through_value(means.numel(), len(numbers), *places)
        return found, None


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, numbers: Tensor, goal: Tensor) -> Tensor:
        outputs, goal = outputs.contiguous(), goal.contiguous()
        probabilities, loss, logarithms = _categorical(outputs, numbers)
        ctx.sizes = len(outputs), loss[0].numel(), len(numbers)
        places = (tensor.data_ptr() for tensor in (outputs, logarithms, goal, loss))
        kernels().cross_entropy(*ctx.sizes, *places)
        ctx.save_for_backward(probabilities, goal)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        probabilities, goal = ctx.saved_tensors
        gradient, found = gradient.contiguous(), torch.empty_like(probabilities)
        places = (tensor.data_ptr() for tensor in (probabilities, goal, gradient, found))
        kernels().through_cross_entropy(*ctx.sizes, *places)
        return found, None, None


def adam_step(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    gradients: Sequence[Tensor | None],
    clip: float,
) -> Tensor:
    """Make a step of AdamW on the gradient, clipped to a norm, and return the norm before, 0-d."""
    rows, kept = [], []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        state = optimizer.state[parameter]
        if not state:  # as torch's Adam begins
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        kept.append(gradient.contiguous())
        moments = state["exp_avg"], state["exp_avg_sq"], state["step"]
        rows.append((parameter.numel(), *map(address, (parameter, kept[-1], *moments))))
    settings = optimizer.param_groups[0]
    rate, decay, epsilon = (settings[name] for name in ("lr", "weight_decay", "eps"))
    table = (_Optimized * len(rows))(*rows)
    norm = kernels().adam(len(rows), table, rate, decay, clip, *settings["betas"], epsilon)
    return torch.tensor(norm, dtype=torch.float32)


@torch.no_grad()
def polyak_update(average: list[nn.Parameter], weights: list[nn.Parameter], share: float) -> None:
    """Do what :func:`genoevo_mega.agents.optimizers.polyak_update` does."""
    rows = [(p.numel(), a.data_ptr(), p.data_ptr()) for a, p in zip(average, weights, strict=True)]
    kernels().polyak(len(rows), (_Averaged * len(rows))(*rows), share)
