"""Opset 20 to 17, for the parsers of TensorRT 8 and 9.

They do not look at what came later: `Shape` gives all axes whatever its start and end are, `ReduceMean` takes its axes
from an attribute or reduces all of them, and 8.5 has no `LayerNormalization`. So nothing of that may be left.
"""

import math

import numpy as np
import onnx
from onnx import helper

from cardiacseg.export.passes.graph import (
    EngineGraphError,
    Wiring,
    add_constant,
    attribute,
    infer_types,
    replace_nodes,
)

OPSET, IR_VERSION = 17, 8
_MODES = {b"linear": "bilinear", b"cubic": "bicubic"}


def lower_to_opset17(model: onnx.ModelProto) -> None:
    """Say it in operators of opset 17 that TensorRT 8.5 knows. New nodes are named NODE/part. Raises
    :class:`EngineGraphError`.
    """
    lowering = _Lowering(model)
    for node in model.graph.node:
        lowering.lower.get(node.op_type, lowering.nodes.append)(node)
    replace_nodes(model.graph, lowering.nodes)
    next(entry for entry in model.opset_import if not entry.domain).version = OPSET
    model.ir_version = IR_VERSION


class _Lowering:
    """The nodes so far, and how each operator is said that must be said otherwise."""

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
            raise EngineGraphError(f"node {node.name!r}, {node.op_type}: wanted constant axes")
        keep = attribute(node, "keepdims", 1)
        reduced = helper.make_node(node.op_type, node.input[:1], node.output, node.name, axes=axes, keepdims=keep)
        self.nodes.append(reduced)

    def _split(self, node: onnx.NodeProto) -> None:
        axis, count = attribute(node, "axis", 0), len(node.output)
        length = self.types[node.input[0]].shape.dim[axis].dim_value
        if len(node.input) == 1:
            if not length or length % count:
                raise EngineGraphError(f"node {node.name!r}, Split: wanted a known length in {count} equal parts")
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
            raise EngineGraphError(f"node {node.name!r}, Gelu: wanted no approximation")
        x = node.input[0]
        scaled = self._make(node, "scaled", "Mul", [x, self._number(node, "root_half", math.sqrt(0.5))])
        error = self._make(node, "erf", "Erf", [scaled])
        more = self._make(node, "more", "Add", [error, self._number(node, "one", 1.0)])
        half = self._make(node, "half", "Mul", [x, self._number(node, "one_half", 0.5)])
        self._make(node, "gelu", "Mul", [half, more], node.output[0])

    def _layer_norm(self, node: onnx.NodeProto) -> None:
        """(x - mean) / sqrt(variance + epsilon) * scale + bias, over the last axis."""
        if attribute(node, "axis", -1) != -1 or len(node.output) != 1 or len(node.input) != 3:
            raise EngineGraphError(f"node {node.name!r}, LayerNormalization: wanted scale and bias on the last axis")
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
