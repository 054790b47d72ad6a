"""The graph that TensorRT gets, from the one that a bundle holds.

The bundle's graph is float32 and of opset 20. If types are strong (TensorRT 10 and later, TensorRT-RTX), an
engine has the precision of its graph. If they are weak (8 and 9), the graph stays float32 and the builder gets a list
of nodes that must stay in float32. docs/engines.md says which nodes these are, and why.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx

from cardiacseg.export.graph_passes import (
    EngineGraphError,
    Wiring,
    add_constant,
    attribute,
    float32_islands,
    infer_types,
    lower_to_opset17,
    replace_nodes,
    to_float16,
)

__all__ = ["PRECISIONS", "EngineGraph", "EngineGraphError", "engine_graph"]

PRECISIONS = ("fp16", "fp32")
OPSET = 20


class EngineGraph(NamedTuple):
    """A graph for TensorRT.

    ``float32_nodes`` are for weak types; empty if the graph itself has the precision. ``inputs``: shapes by name, with
    None for an axis that may vary.
    """

    onnx: bytes
    float32_nodes: list[str]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]


def engine_graph(onnx_file: bytes, *, precision: str, plugin: bool, opset: int = 20, weak: bool = False) -> EngineGraph:
    """Rewrite the ONNX graph of a bundle's stage.

    With ``plugin`` each attention core becomes a SliceAttention node, and ``cu_slices`` an input if there is such a
    core. ``opset`` is the largest that the parser accepts; it decides whether the graph is of opset 20 or 17. Inputs
    and outputs are float32 in every case. Raises :class:`EngineGraphError` for a graph that is not one of this
    package's networks.
    """
    if precision not in PRECISIONS:
        raise EngineGraphError(f"precision must be fp16 or fp32, got {precision!r}")
    if opset < 17:
        raise EngineGraphError(f"expected a parser that accepts ONNX opset 17 or later, got one up to {opset}")
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

    TensorRT would fold them itself, but after rounding the weights to 16 bits; here they are folded first, in float64.
    A running variance of 1e-7 and an epsilon of 1e-5 are below or near the smallest normal number of 16 bits; the
    scale computed from them is not.
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
    """The convolution with constant weights whose result only ``norm`` uses, or None."""
    producer = wiring.producers.get(norm.input[0])
    alone = len(wiring.consumers[norm.input[0]]) == 1
    return (
        producer if alone and producer and producer.op_type == "Conv" and producer.input[1] in wiring.weights else None
    )


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


# Attention cores as nodes of the kernel library's operation (ops/slice_attention.h), for the plugin.
DOMAIN = "cardiacseg"
CU_SLICES = "cu_slices"
KINDS = {".intra_slice.attention.qkv.bias": False, ".inter_slice.attention.qkv.bias": True}


class _Core(NamedTuple):
    """The nodes from the output of the qkv layer to the input of the projection layer."""

    qkv: str
    output: str
    heads: int
    across_slices: bool


def use_slice_attention(model: onnx.ModelProto) -> None:
    """Replace each attention core of ``model`` by a SliceAttention node, and add the input ``cu_slices``, int32
    ``[frames + 1]``. A graph without attention stays as it is. Raises :class:`EngineGraphError`.
    """
    graph = model.graph
    wiring = Wiring(graph)
    cores = [
        _find_core(node, across, wiring)
        for node in graph.node
        for name in node.input
        for ending, across in KINDS.items()
        if name.endswith(ending)
    ]
    if not cores:
        return
    types = infer_types(model)
    for core in cores:
        _replace_core(graph, core)
        graph.value_info.append(
            onnx.ValueInfoProto(name=core.output, type=onnx.TypeProto(tensor_type=types[core.output]))
        )
    _drop_unused(graph)
    graph.input.append(onnx.helper.make_tensor_value_info(CU_SLICES, onnx.TensorProto.INT32, ["stacks_and_one"]))
    model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))


def _find_core(layer: onnx.NodeProto, across: bool, wiring: Wiring) -> _Core:
    """The core after the Add of a qkv layer: reshape into heads, split, product, softmax, product, reshape back."""
    into = _walk(layer, lambda node: _only(wiring.consumers[node.output[0]]), "Split", layer)
    projection = _projection(layer, wiring)
    back = _walk(projection, lambda node: wiring.producers.get(node.input[0]), "MatMul", layer)
    turns = [[node.op_type for node in path].count("Transpose") for path in (into, back)]
    if turns != ([1, 2] if across else [0, 1]):
        raise EngineGraphError(
            f"the attention at node {layer.name!r} does not take its tokens as [slices, positions, channels]: the "
            "bundle was exported by an older version; export it again, or build without the plugin"
        )
    return _Core(layer.output[0], projection.input[0], _heads(into[-2], wiring, layer), across)


def _only(nodes: list[onnx.NodeProto]) -> onnx.NodeProto | None:
    return nodes[0] if len(nodes) == 1 else None


def _walk(start: onnx.NodeProto, step: Callable, expected: str, layer: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes after ``start`` up to the first of type ``expected``; the nodes before it change only the layout."""
    path = [step(start)]
    while path[-1] is not None and path[-1].op_type in ("Reshape", "Transpose"):
        path.append(step(path[-1]))
    if path[-1] is None or path[-1].op_type != expected or len(path) == 1:
        found = "nothing" if path[-1] is None else f"node {path[-1].name!r}, {path[-1].op_type}"
        raise EngineGraphError(
            f"expected Reshape, Transpose and {expected} after the attention at node {layer.name!r}, got {found}"
        )
    return path


def _projection(layer: onnx.NodeProto, wiring: Wiring) -> onnx.NodeProto:
    """The MatMul of the projection that belongs to a qkv layer, by its bias's name."""
    bias = next(name for name in layer.input if name.endswith(".qkv.bias")).replace(".qkv.", ".project.")
    producers = [wiring.producers.get(name) for node in wiring.consumers[bias] for name in node.input]
    found = [producer for producer in producers if producer is not None and producer.op_type == "MatMul"]
    if len(found) != 1:
        raise EngineGraphError(
            f"expected one MatMul before {bias!r} for the attention at node {layer.name!r}, got {len(found)}"
        )
    return found[0]


def _heads(reshape: onnx.NodeProto, wiring: Wiring, layer: onnx.NodeProto) -> int:
    """The last but one entry of the shape ``[..., 3, heads, channels / heads]``."""
    producer = wiring.producers.get(reshape.input[1])
    names = producer.input[-3:] if producer and producer.op_type == "Concat" else reshape.input[1:2]
    parts = [wiring.constant(name) for name in names]
    shape = [] if any(part is None for part in parts) else [int(size) for part in parts for size in part]
    if shape[-3:-2] != [3]:
        raise EngineGraphError(
            f"node {reshape.name!r}, after {layer.name!r}: expected a shape [..., 3, heads, size], got {shape}"
        )
    return shape[-2]


def _replace_core(graph: onnx.GraphProto, core: _Core) -> None:
    producer = next(index for index, node in enumerate(graph.node) if core.output in node.output)
    graph.node[producer].CopyFrom(
        onnx.helper.make_node(
            "SliceAttention",
            [core.qkv, CU_SLICES],
            [core.output],
            name=f"slice_attention_{'inter' if core.across_slices else 'intra'}_{core.qkv}",
            domain=DOMAIN,
            heads=core.heads,
            across_slices=int(core.across_slices),
            plugin_version="1",
            plugin_namespace="",
        )
    )


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove the nodes whose outputs nothing uses any more."""
    used = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            kept.append(node)
            used.update(node.input)
    replace_nodes(graph, kept[::-1])
