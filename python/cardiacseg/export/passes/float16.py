"""Sixteen bits, with islands of thirty-two: which nodes stay wide, and the casts between."""

import re

import numpy as np
import onnx

from cardiacseg.export.passes.graph import (
    FLOAT,
    FLOAT16,
    EngineGraphError,
    Wiring,
    add_constant,
    infer_types,
    replace_nodes,
)

LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# sums over many elements, which an engine may take in 16 bits otherwise
WIDE = ("LayerNormalization", "InstanceNormalization", "BatchNormalization", "ReduceMean")
LAST_LAYERS = re.compile(r"(^|\.)(head|classifier|seg_layers)\.")
LARGEST = 6e4  # 65504 is the largest number of 16 bits


def float32_islands(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that stay in 32 bits where the rest is in 16.

    What comes before the first layer (Ref's softmax over probabilities) and that layer: rounded, its weights would
    shift a map that is 0 or 1 almost everywhere by the same amount everywhere. The last layer of a network, its
    presence classifier, and what comes after them up to the next layer (logits, the sigmoids). Norms and means.
    """
    floats = {name for name, kind in infer_types(model).items() if kind.elem_type == FLOAT}
    behind_layers: set[str] = set()
    behind_last: set[str] = set()
    islands = set()
    for node in model.graph.node:
        layer = node.op_type in LAYERS
        last = any(LAST_LAYERS.search(name) for name in node.input)
        if last or (not layer and behind_last.intersection(node.input)):
            behind_last.update(node.output)
        narrow = behind_layers.intersection(node.input) and not behind_last.intersection(node.output)
        if layer or behind_layers.intersection(node.input):
            behind_layers.update(node.output)
        if floats.intersection(node.output) and (node.op_type in WIDE or not narrow):
            islands.add(node.name)
    return islands


def to_float16(model: onnx.ModelProto, islands: set[str]) -> None:
    """Compute in 16 bits all but ``islands``; inputs and outputs stay float32. Raises :class:`EngineGraphError`."""
    _Narrowing(model, islands).run()


class _Narrowing:
    """One run over the nodes in order, which knows of every float tensor in which width it is there."""

    def __init__(self, model: onnx.ModelProto, islands: set[str]):
        self.graph, self.islands = model.graph, islands
        self.weights = Wiring(model.graph).weights
        self.width = {name: FLOAT for name, tensor in infer_types(model).items() if tensor.elem_type == FLOAT}
        self.known: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type != "Shape" and any(name in self.width for name in node.input):
                self._fit(node)
            self.nodes.append(node)
        for value in self.graph.output:
            if self.width[value.name] != FLOAT:
                raise EngineGraphError(f"wanted a last layer that stays in 32 bits before the output {value.name!r}")
        for value in self.graph.value_info:
            value.type.tensor_type.elem_type = self.width[value.name]
        replace_nodes(self.graph, self.nodes)

    def _fit(self, node: onnx.NodeProto) -> None:
        """Give the node inputs of its width; one that gives no floats, as a comparison, is wide."""
        narrow = node.name not in self.islands and any(name in self.width for name in node.output)
        kind = FLOAT16 if narrow else FLOAT
        node.input[:] = [self._as(name, kind) if name in self.width else name for name in node.input]
        for name in node.output:
            if name in self.width:
                self.width[name] = kind
        for entry in node.attribute:
            if node.op_type == "Cast" and entry.name == "to" and entry.i == FLOAT:
                entry.i = kind

    def _as(self, name: str, kind: int) -> str:
        """The name under which the tensor is there in the width ``kind``; cast or rounded if need be."""
        if self.width[name] == kind:
            return name
        if (name, kind) not in self.known:
            self.known[name, kind] = self._rounded(name) if name in self.weights else self._cast(name, kind)
        return self.known[name, kind]

    def _cast(self, name: str, kind: int) -> str:
        to = f"{name}_{'float32' if kind == FLOAT else 'float16'}"
        self.nodes.append(onnx.helper.make_node("Cast", [name], [to], name=f"cast_{to}", to=kind))
        return to

    def _rounded(self, name: str) -> str:
        values = onnx.numpy_helper.to_array(self.weights[name])
        if not np.abs(values).max(initial=0) <= LARGEST:
            raise EngineGraphError(f"weights {name!r} do not fit into 16 bits: wanted at most {LARGEST:g} in size")
        return add_constant(self.graph, f"{name}_float16", values.astype(np.float16))
