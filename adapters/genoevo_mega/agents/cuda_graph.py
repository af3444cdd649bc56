"""A function of tensors as one CUDA graph: launched once, not kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor

Outputs = dict[str, Tensor]
_WARM_UP = 3


class Graph(Protocol):
    """What :class:`Captured` asks of a graph."""

    def warm(self, function: Callable[[], Outputs]) -> Outputs:
        """Run *function* as it is, where it disturbs no capture that follows."""

    def capture(self, function: Callable[[], Outputs]) -> Outputs:
        """Record what *function* launches, without running it; its outputs, which :meth:`replay` fills."""

    def replay(self) -> None:
        """Run what was recorded on whatever its tensors hold by now."""


class CudaGraph:
    """torch's, warmed up on a stream of its own as torch.cuda.graph asks."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm(self, function: Callable[[], Outputs]) -> Outputs:  # noqa: D102
        side, here = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            outputs = function()
        here.wait_stream(side)
        return outputs

    def capture(self, function: Callable[[], Outputs]) -> Outputs:  # noqa: D102
        with torch.cuda.graph(self._graph):
            return function()

    def replay(self) -> None:  # noqa: D102
        self._graph.replay()


class Captured:
    """``function(key, *tensors) -> {name: tensor}`` as a graph on static copies of its tensors.

    The first calls with a key, or with other shapes, run as they are, each for real: kernels are chosen and lazy
    state such as Adam's moments is made. The next call captures; from then on calls copy their tensors and replay.
    Whatever else the function reads or changes must stay where it is in memory for as long as the key does not
    change: growth changes it. Outputs are copies.
    """

    def __init__(self, function: Callable[..., Outputs], graph: Callable[[], Graph] = CudaGraph) -> None:
        self._function, self._new_graph = function, graph
        self._key: Hashable = None

    def __call__(self, key: Hashable, *tensors: Tensor) -> Outputs:
        """Run it; *key* is passed on."""
        if self._key != (whole := (key, tuple(tensor.shape for tensor in tensors))):
            self._key, self._graph, self._before = whole, self._new_graph(), _WARM_UP
            self._inputs: list[Tensor] = []
        if self._before:
            self._before -= 1
            return self._graph.warm(lambda: self._function(key, *tensors))
        if not self._inputs:
            self._inputs = [tensor.clone() for tensor in tensors]
            self._outputs = self._graph.capture(lambda: self._function(key, *self._inputs))
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return {name: value.clone() for name, value in self._outputs.items()}
