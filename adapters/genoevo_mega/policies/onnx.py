"""A task's policy as an ONNX graph.

MEGA's network is run on names of nodes, which onnx's own helpers make: a few matrix products and sums. torch's
exporters take seconds for them; one needs another package, and one is to be removed. The other architectures, whose
operations are many, are left to the one that needs no package.
"""

from __future__ import annotations

import io
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from genoevo_mega.networks.modular import hidden_layers
from genoevo_mega.networks.module_graph import Edges, ModuleGraph
from genoevo_mega.networks.single_task import Residual, TaskPolicy
from genoevo_mega.policies.own_units import OwnUnits

INPUT, OUTPUT = "observation", "action"
_OPSET, _IR = 13, 8  # every onnxruntime since 2021 and 2022 reads these


def write_onnx(policy: OwnUnits, path: Path, notes: dict[str, str]) -> None:
    """Write *policy*, float32: ``observation`` (batch, inputs) in, ``action`` (batch, outputs) out."""
    model = _node_by_node(policy, policy.policy) if isinstance(policy.policy, TaskPolicy) else _by_torch(policy)
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _by_torch(policy: OwnUnits) -> onnx.ModelProto:
    file = io.BytesIO()
    names = {"input_names": [INPUT], "output_names": [OUTPUT]}
    axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
    with warnings.catch_warnings():
        # torch advises its newer exporter, which needs onnxscript.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        example = (torch.zeros(1, policy.inputs),)
        torch.onnx.export(policy, example, file, dynamo=False, opset_version=_OPSET, dynamic_axes=axes, **names)
    return onnx.load_from_string(file.getvalue())


def _node_by_node(own: OwnUnits, policy: TaskPolicy) -> onnx.ModelProto:
    builder = _Builder(policy.graph)
    embedding = partial(builder.layers, policy.embedding, "embedding")
    pool = [partial(builder.layers, m, f"module{k}") for k, m in zip(policy.graph.inputs, policy.pool, strict=True)]
    mixed = builder.mix_output(hidden_layers(embedding, pool, builder.padded(own, INPUT), builder))
    out = builder.layers([*policy.before_head, policy.head], "head", mixed)
    builder.own_actions(own, out, OUTPUT)
    sizes = ((INPUT, own.inputs), (OUTPUT, own.outputs))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in sizes]
    return helper.make_model(
        helper.make_graph(builder.nodes, "policy", ends[:1], ends[1:], builder.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="genoevo",
    )


class _Builder:
    """The nodes and constants so far; every method returns the name of the node that it adds.

    Layers and mixing take names and return names: the network's own definition decides their order.
    """

    def __init__(self, graph: ModuleGraph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], name: str, **attributes: int | list[int]) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: np.ndarray, name: str) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def layers(self, layers: nn.Sequential | list[nn.Module], name: str, source: str) -> str:
        """Add linear layers, normalisations and rectifiers, one after the other, and a sum if they are residual."""
        first = source
        for i, layer in enumerate(layers):
            source = self._layer(layer, f"{name}.{i}", source)
        return self.node("Add", [first, source], f"{name}.sum") if isinstance(layers, Residual) else source

    def _layer(self, layer: nn.Module, name: str, source: str) -> str:
        if isinstance(layer, nn.Linear):
            own = [self.constant(getattr(layer, part).numpy(), f"{name}.{part}") for part in ("weight", "bias")]
            return self.node("Gemm", [source, *own], name, transB=1)
        if isinstance(layer, nn.LayerNorm):
            return self._layer_norm(layer, name, source)
        return self.node("Relu", [source], name)

    def _layer_norm(self, layer: nn.LayerNorm, name: str, source: str) -> str:
        """Add the operations of LayerNorm, which is not one of its own in this version of the format."""
        eps = self.constant(np.array(layer.eps, np.float32), f"{name}.eps")
        mean = self.node("ReduceMean", [source], f"{name}.mean", axes=[-1], keepdims=1)
        centred = self.node("Sub", [source, mean], f"{name}.centred")
        square = self.node("Mul", [centred, centred], f"{name}.square")
        variance = self.node("ReduceMean", [square], f"{name}.variance", axes=[-1], keepdims=1)
        scale = self.node("Sqrt", [self.node("Add", [variance, eps], f"{name}.shifted")], f"{name}.scale")
        return self.node("Div", [centred, scale], name)

    def padded(self, own: OwnUnits, source: str) -> str:
        """Add the zeros that an observation of the task lacks, if it does."""
        if not own.padding:
            return source
        pads = self.constant(np.array([0, 0, 0, own.padding], np.int64), "padding")
        return self.node("Pad", [source, pads], "padded")

    def own_actions(self, own: OwnUnits, source: str, name: str) -> str:
        """Add the squashing of actions, and their own number and bounds, if they have any."""
        if not own.space.scaled:
            return self.node("Tanh", [source], name)
        ends = [self.constant(np.array([end], np.int64), f"slice{end}") for end in (0, own.outputs)]
        axis = self.constant(np.array([1], np.int64), "slice.axis")
        own_part = self.node("Slice", [self.node("Tanh", [source], "squashed"), *ends, axis], "own")
        low, high, centre, reach = (
            self.constant(getattr(own, part).numpy(), part) for part in ("low", "high", "centre", "reach")
        )
        scaled = self.node("Add", [centre, self.node("Mul", [own_part, reach], "product")], "scaled")
        if own.space.whole:
            scaled = self.node("Round", [scaled], "rounded")
        return self.node("Min", [self.node("Max", [scaled, low], "bounded"), high], name)

    def mix_inputs(self, k: int, hidden: list[str]) -> str:
        """Add the input of the k-th module of the graph."""
        number = self.graph.numbers[k]
        return self._weighted(self.graph.inputs[number], hidden, f"input{number}")

    def mix_output(self, hidden: list[str]) -> str:
        """Add the head's input."""
        return self._weighted(self.graph.output, hidden, "mixed")

    def _weighted(self, edges: Edges, layers: list[str], name: str) -> str:
        hidden, total = dict(zip(self.graph.numbers, layers, strict=False)), ""
        for j, weight in edges.items():
            term = hidden[j]
            if weight != 1.0:
                factor = self.constant(np.array(weight, np.float32), f"{name}.weight{j}")
                term = self.node("Mul", [term, factor], f"{name}.term{j}")
            total = self.node("Add", [total, term], f"{name}.sum{j}") if total else term
        return total
