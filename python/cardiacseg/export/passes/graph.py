"""Looking round in an ONNX graph, and what all passes raise."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx

FLOAT, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


class EngineGraphError(ValueError):
    """A graph that cannot be made ready for TensorRT."""


class Wiring:
    """Who makes and who takes each tensor of a graph, as it was when this was made."""

    def __init__(self, graph: onnx.GraphProto):
        self.makers = {output: node for node in graph.node for output in node.output}
        self.takers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.takers[name].append(node)
        self.weights = {tensor.name: tensor for tensor in graph.initializer}

    def constant(self, name: str) -> np.ndarray | None:
        """The values of an initializer; None where ``name`` is none."""
        return onnx.numpy_helper.to_array(self.weights[name]) if name in self.weights else None


def attribute(node: onnx.NodeProto, name: str, default):
    """An attribute's value, or ``default``."""
    found = [onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name]
    return found[0] if found else default


def replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Make ``nodes`` the graph's, and drop initializers that none of them takes."""
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
    """Element type and shape of every tensor, as far as they can be told."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer:
        known[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims).tensor_type
    return known
