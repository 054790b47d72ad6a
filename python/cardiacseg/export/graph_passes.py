"""Rewriting of ONNX graphs for TensorRT: what all passes use, opset 20 to 17, and 32 to 16 bits.

Each pass changes the model that it is given.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

FLOAT, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


class EngineGraphError(ValueError):
    """A graph that cannot be made ready for TensorRT."""


class Wiring:
    """The node that produces each tensor of a graph, and the nodes that use it, at the time of construction."""

    def __init__(self, graph: onnx.GraphProto):
        self.producers = {output: node for node in graph.node for output in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.consumers[name].append(node)
        self.weights = {tensor.name: tensor for tensor in graph.initializer}

    def constant(self, name: str) -> np.ndarray | None:
        """The values of an initializer; None if ``name`` is not one."""
        return onnx.numpy_helper.to_array(self.weights[name]) if name in self.weights else None


def attribute(node: onnx.NodeProto, name: str, default):
    """An attribute's value, or ``default``."""
    found = [onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name]
    return found[0] if found else default


def replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Replace the graph's nodes by ``nodes``, and remove initializers that none of them uses."""
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)


def add_constant(graph: onnx.GraphProto, name: str, values: np.ndarray) -> str:
    """Add an initializer, and return its name."""
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def infer_types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto.Tensor]:
    """Element type and shape of every tensor, as far as shape inference finds them."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer:
        known[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims).tensor_type
    return known


_LOWERED_OPSET, _LOWERED_IR_VERSION = 17, 8
_MODES = {b"linear": "bilinear", b"cubic": "bicubic"}


def lower_to_opset17(model: onnx.ModelProto) -> None:
    """Rewrite the model in operators of opset 17 that the parsers of TensorRT 8 and 9 know.

    These parsers ignore what later opsets added: ``Shape`` gives all axes whatever its start and end are, and
    ``ReduceMean`` takes its axes from an attribute or reduces all axes. 8.5 has no ``LayerNormalization``. New nodes
    are named NODE/part. Raises :class:`EngineGraphError`.
    """
    lowering = _Lowering(model)
    for node in model.graph.node:
        lowering.lower.get(node.op_type, lowering.nodes.append)(node)
    replace_nodes(model.graph, lowering.nodes)
    next(entry for entry in model.opset_import if not entry.domain).version = _LOWERED_OPSET
    model.ir_version = _LOWERED_IR_VERSION


class _Lowering:
    """The nodes of the new graph, and a function for each operator that needs another form."""

    def __init__(self, model: onnx.ModelProto):
        self.graph, self.wiring, self.types = model.graph, Wiring(model.graph), infer_types(model)
        self.nodes: list[onnx.NodeProto] = []
        self.lower = {
            "Shape": self._shape,
            **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceMin"), self._reduce),
            "Split": self._split,
            "GridSample": self._grid_sample,
            "Gelu": self._gelu,
            "LayerNormalization": self._layer_norm,
        }

    def _make(self, old: onnx.NodeProto, part: str, operator: str, inputs: list[str], output: str = "", **attributes):
        """Add a node named OLD/part, and return the name of its output."""
        output = output or f"{old.output[0]}/{part}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{old.name}/{part}", **attributes))
        return output

    def _constant(self, old: onnx.NodeProto, part: str, values: np.ndarray) -> str:
        return add_constant(self.graph, f"{old.output[0]}/{part}", values)

    def _number(self, old: onnx.NodeProto, part: str, value: float) -> str:
        """A constant of the type of the node's input."""
        kind = helper.tensor_dtype_to_np_dtype(self.types[old.input[0]].elem_type)
        return self._constant(old, part, np.array(value, kind))

    def _shape(self, node: onnx.NodeProto) -> None:
        rank = len(self.types[node.input[0]].shape.dim)
        axes = range(rank)[slice(attribute(node, "start", 0), attribute(node, "end", rank))]
        whole = self._make(node, "whole", "Shape", [node.input[0]])
        self._make(node, "part", "Gather", [whole, self._constant(node, "axes", np.array(axes))], node.output[0])

    def _reduce(self, node: onnx.NodeProto) -> None:
        axes = self.wiring.constant(node.input[1]) if len(node.input) > 1 else None
        if axes is None or not len(axes):
            raise EngineGraphError(f"node {node.name!r}, {node.op_type}: expected constant axes")
        keep = attribute(node, "keepdims", 1)
        reduced = helper.make_node(node.op_type, node.input[:1], node.output, node.name, axes=axes, keepdims=keep)
        self.nodes.append(reduced)

    def _split(self, node: onnx.NodeProto) -> None:
        axis, count = attribute(node, "axis", 0), len(node.output)
        length = self.types[node.input[0]].shape.dim[axis].dim_value
        if len(node.input) == 1:
            if not length or length % count:
                raise EngineGraphError(f"node {node.name!r}, Split: expected a known length in {count} equal parts")
            node.input.append(self._constant(node, "lengths", np.full(count, length // count)))
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("axis", axis))
        self.nodes.append(node)

    def _grid_sample(self, node: onnx.NodeProto) -> None:
        for entry in node.attribute:
            if entry.name == "mode":
                entry.s = _MODES.get(entry.s, entry.s.decode()).encode()
        self.nodes.append(node)

    def _gelu(self, node: onnx.NodeProto) -> None:
        """x / 2 (1 + erf(x / sqrt 2))"""
        if attribute(node, "approximate", b"none") != b"none":
            raise EngineGraphError(f"node {node.name!r}, Gelu: expected no approximation")
        x = node.input[0]
        scaled = self._make(node, "scaled", "Mul", [x, self._number(node, "root_half", math.sqrt(0.5))])
        error = self._make(node, "erf", "Erf", [scaled])
        more = self._make(node, "more", "Add", [error, self._number(node, "one", 1.0)])
        half = self._make(node, "half", "Mul", [x, self._number(node, "one_half", 0.5)])
        self._make(node, "gelu", "Mul", [half, more], node.output[0])

    def _layer_norm(self, node: onnx.NodeProto) -> None:
        """(x - mean) / sqrt(variance + epsilon) * scale + bias, over the last axis."""
        if attribute(node, "axis", -1) != -1 or len(node.output) != 1 or len(node.input) != 3:
            raise EngineGraphError(f"node {node.name!r}, LayerNormalization: expected scale and bias on the last axis")
        x, scale, bias = node.input
        mean = self._make(node, "mean", "ReduceMean", [x], axes=[-1], keepdims=1)
        centered = self._make(node, "centered", "Sub", [x, mean])
        square = self._make(node, "square", "Mul", [centered, centered])
        variance = self._make(node, "variance", "ReduceMean", [square], axes=[-1], keepdims=1)
        epsilon = self._number(node, "epsilon", attribute(node, "epsilon", 1e-5))
        deviation = self._make(node, "deviation", "Sqrt", [self._make(node, "shifted", "Add", [variance, epsilon])])
        unit = self._make(node, "unit", "Div", [centered, deviation])
        scaled = self._make(node, "scaled", "Mul", [unit, scale])
        self._make(node, "biased", "Add", [scaled, bias], node.output[0])


LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# sums over many elements, which an engine could otherwise compute in 16 bits
WIDE = ("LayerNormalization", "InstanceNormalization", "BatchNormalization", "ReduceMean")
LAST_LAYERS = re.compile(r"(^|\.)(head|classifier|seg_layers)\.")
LARGEST = 6e4  # 65504 is the largest number of 16 bits


def float32_islands(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that stay in 32 bits in a graph of 16 bits:

    the nodes before the first layer (Ref's softmax over probabilities) and that layer (rounding its weights would
    shift a map that is 0 or 1 almost everywhere by the same amount everywhere); the last layer of a network, its
    presence classifier, and the nodes after them up to the next layer (logits, the sigmoids); norms and means.
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
    """Compute all nodes except ``islands`` in 16 bits; inputs and outputs stay float32.

    Raises :class:`EngineGraphError`.
    """
    _Narrowing(model, islands).run()


class _Narrowing:
    """One run over the nodes in order; ``width`` is the current type of each float tensor."""

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
                raise EngineGraphError(
                    f"expected a last layer in 32 bits before the output {value.name!r}, got 16 bits"
                )
        for value in self.graph.value_info:
            value.type.tensor_type.elem_type = self.width[value.name]
        replace_nodes(self.graph, self.nodes)

    def _fit(self, node: onnx.NodeProto) -> None:
        """Give the node inputs of its own width; a node without float outputs, such as a comparison, is wide."""
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
        """The name of the tensor in the width ``kind``; adds a cast or rounded weights if there is none yet."""
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
            raise EngineGraphError(
                f"weights {name!r} do not fit into 16 bits: expected at most {LARGEST:g} in magnitude"
            )
        return add_constant(self.graph, f"{name}_float16", values.astype(np.float16))
