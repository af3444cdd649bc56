"""A function of tensors as one CUDA graph: launched once, not kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

Inputs = TypeVar("Inputs")
Outputs = TypeVar("Outputs")
_WARM_UP = 3


class Recorder(Protocol):
    """The means by which :class:`Captured` records a function."""

    def warm(self, function: Callable[[], Outputs]) -> Outputs:
        """Run *function* as it is, without disturbing a capture that follows."""

    def capture(self, function: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Record what *function* launches, without running it; return its outputs, which :meth:`replay` fills."""

    def replay(self) -> None:
        """Run what was recorded on whatever its tensors hold by now."""


class CudaGraph:
    """torch's CUDA graph, warmed up on a stream of its own as torch.cuda.graph requires."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm(self, function: Callable[[], Outputs]) -> Outputs:  # noqa: D102
        side, here = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            outputs = function()
        here.wait_stream(side)
        return outputs

    def capture(self, function: Callable[[], list[Tensor]]) -> list[Tensor]:  # noqa: D102
        with torch.cuda.graph(self._graph):
            return function()

    def replay(self) -> None:  # noqa: D102
        self._graph.replay()


class Captured(Generic[Inputs, Outputs]):
    """A function of a tree of tensors as a graph on static copies of them.

    Inputs and outputs are tensors in tuples, named tuples, lists and dicts, beside values that are not tensors. Calls
    with the same such values, shapes and requires_grad share a graph. The first ones run as they are: kernels are
    chosen and lazy state such as Adam's moments is made. The next call captures. From then on calls copy their
    tensors and replay. Whatever else the function reads or changes must stay at its place in memory until an input
    that is not a tensor changes, as with growth of the networks, or until :meth:`forget`. Outputs are copies.
    """

    def __init__(self, function: Callable[[Inputs], Outputs], recorder: Callable[[], Recorder] = CudaGraph) -> None:
        self._function, self._new_recorder = function, recorder
        self._key: list[Any] | None = None

    def forget(self) -> None:
        """Drop the graph: what it reads or changes has lost its place in memory."""
        self._key = None

    def __call__(self, inputs: Inputs) -> Outputs:
        """Return ``function(inputs)``."""
        tensors = _tensors(inputs)
        if self._key != (key := _key(inputs)):
            self._key, self._recorder, self._before = key, self._new_recorder(), _WARM_UP
            self._static: list[Tensor] = []
        if self._before:
            self._before -= 1
            self._outputs = self._recorder.warm(lambda: self._function(inputs))
            return self._outputs
        if not self._static:
            static = self._static = [t.detach().clone().requires_grad_(t.requires_grad) for t in tensors]
            # A new tree for every run: the function may keep what it makes of its inputs by their identity.
            self._filled = self._recorder.capture(lambda: _tensors(self._function(_refilled(inputs, iter(static)))))
        with torch.no_grad():
            for own, given in zip(self._static, tensors, strict=True):
                own.copy_(given, non_blocking=True)
        self._recorder.replay()
        outputs: Outputs = _refilled(self._outputs, (value.clone() for value in self._filled))
        return outputs


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from _leaves(branch)
    else:
        yield tree


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in _leaves(tree) if isinstance(leaf, Tensor)]


def _key(tree: Any) -> list[Any]:
    return [(leaf.shape, leaf.requires_grad) if isinstance(leaf, Tensor) else leaf for leaf in _leaves(tree)]


def _refilled(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """Return *tree* with *tensors*, in order, in place of its own."""
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, dict):
        return {name: _refilled(branch, tensors) for name, branch in tree.items()}
    if isinstance(tree, (tuple, list)):
        branches = [_refilled(branch, tensors) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    return tree
