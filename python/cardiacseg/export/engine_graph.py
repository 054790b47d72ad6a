"""The graph that TensorRT gets, from the one that a bundle holds.

The bundle's graph is float32 and of opset 20. Where types are strong (TensorRT 10 and later, TensorRT-RTX) the
precision of an engine is that of its graph; where they are weak (8 and 9) the graph stays float32 and the builder is
told which nodes must not be narrowed. docs/engines.md says which nodes those are, and why.
"""

from typing import NamedTuple

import numpy as np
import onnx

from cardiacseg.export.passes.float16 import float32_islands, to_float16
from cardiacseg.export.passes.graph import EngineGraphError, Wiring, add_constant, attribute, replace_nodes
from cardiacseg.export.passes.opset17 import lower_to_opset17
from cardiacseg.export.passes.slice_attention import DOMAIN, use_slice_attention

__all__ = ["PRECISIONS", "EngineGraph", "EngineGraphError", "engine_graph"]

PRECISIONS = ("fp16", "fp32")
OPSET = 20


class EngineGraph(NamedTuple):
    """A graph for TensorRT.

    ``float32_nodes`` are for weak types, empty where the graph itself says the precision. ``inputs`` are their shapes
    by name, with None for an axis that may vary.
    """

    onnx: bytes
    float32_nodes: list[str]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]


def engine_graph(onnx_file: bytes, *, precision: str, plugin: bool, opset: int = 20, weak: bool = False) -> EngineGraph:
    """Rewrite the ONNX graph of a bundle's stage.

    With ``plugin`` each attention core is a SliceAttention node and, where there is one, ``cu_slices`` an input. The
    largest ``opset`` that the parser takes decides whether the graph is of opset 20 or 17. Inputs and outputs are
    float32 in every case. Raises :class:`EngineGraphError` for a graph that is not one of this package's networks.
    """
    if precision not in PRECISIONS:
        raise EngineGraphError(f"precision must be fp16 or fp32, got {precision!r}")
    if opset < 17:
        raise EngineGraphError(f"expected a parser that takes ONNX opset 17 or later, got one up to {opset}")
    model = onnx.load_model_from_string(onnx_file)
    if (found := {entry.domain: entry.version for entry in model.opset_import}) != {"": OPSET}:
        raise EngineGraphError(f"expected a graph of ONNX opset {OPSET} and no other operators, got {found}")
    del model.graph.value_info[:]
    fold_constants(model.graph)
    if plugin:
        use_slice_attention(model)
    islands = float32_islands(model) if precision == "fp16" else set()
    if islands and not weak:
        to_float16(model, islands)
    if opset < OPSET:
        lower_to_opset17(model)
    return _finish(model, islands if weak else set())


def _finish(model: onnx.ModelProto, islands: set[str]) -> EngineGraph:
    if all(entry.domain != DOMAIN for entry in model.opset_import):
        onnx.checker.check_model(model, full_check=True)
    return EngineGraph(
        model.SerializeToString(),
        [node.name for node in model.graph.node if node.name.split("/")[0] in islands],
        {value.name: _shape(value) for value in model.graph.input},
        [value.name for value in model.graph.output],
    )


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in value.type.tensor_type.shape.dim)


def fold_constants(graph: onnx.GraphProto) -> None:
    """Fold batch norm into the convolution before it, and the transposition of weights into the weights.

    TensorRT would fold them by itself, but after weights are rounded to 16 bits; here it is done before, in float64.
    A running variance of 1e-7 and an epsilon of 1e-5 are below or near the smallest normal number of 16 bits; the
    scale that they make is not.
    """
    wiring = Wiring(graph)
    nodes = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in wiring.weights:
            values = np.transpose(wiring.constant(node.input[0]), attribute(node, "perm", None))
            add_constant(graph, node.output[0], values)
        elif node.op_type == "BatchNormalization" and (convolution := _convolution_before(node, wiring)):
            _fold_norm(graph, convolution, node, wiring)
        else:
            nodes.append(node)
    replace_nodes(graph, nodes)


def _convolution_before(norm: onnx.NodeProto, wiring: Wiring) -> onnx.NodeProto | None:
    """The convolution whose result goes to ``norm`` alone, if there is one that has constant weights."""
    maker = wiring.makers.get(norm.input[0])
    alone = len(wiring.takers[norm.input[0]]) == 1
    return maker if alone and maker and maker.op_type == "Conv" and maker.input[1] in wiring.weights else None


def _fold_norm(graph: onnx.GraphProto, convolution: onnx.NodeProto, norm: onnx.NodeProto, wiring: Wiring) -> None:
    gain, shift, mean, variance = (wiring.constant(name).astype(np.float64) for name in norm.input[1:])
    scale = gain / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
    weight = wiring.constant(convolution.input[1]).astype(np.float64)
    bias = wiring.constant(convolution.input[2]).astype(np.float64) if len(convolution.input) > 2 else 0.0
    name = convolution.input[1]
    folded = add_constant(graph, f"{name}.folded", (weight * scale[:, None, None, None]).astype(np.float32))
    added = add_constant(graph, f"{name}.folded_bias", ((bias - mean) * scale + shift).astype(np.float32))
    convolution.input[:] = [convolution.input[0], folded, added]
    convolution.output[0] = norm.output[0]
