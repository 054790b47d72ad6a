"""Attention cores as nodes of the kernel library's operation (ops/slice_attention.h), for the plugin."""

from collections.abc import Callable
from typing import NamedTuple

import onnx

from cardiacseg.export.passes.graph import EngineGraphError, Wiring, infer_types, replace_nodes

DOMAIN = "cardiacseg"
CU_SLICES = "cu_slices"
KINDS = {".intra_slice.attention.qkv.bias": False, ".inter_slice.attention.qkv.bias": True}


class _Core(NamedTuple):
    """From the output of the qkv layer to the input of the projection's."""

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
    """The core after the Add of a qkv layer: reshaped into heads, split, two products round a softmax, and back."""
    into = _walk(layer, lambda node: _only(wiring.takers[node.output[0]]), "Split", layer)
    projection = _projection(layer, wiring)
    back = _walk(projection, lambda node: wiring.makers.get(node.input[0]), "MatMul", layer)
    turns = [[node.op_type for node in path].count("Transpose") for path in (into, back)]
    if turns != ([1, 2] if across else [0, 1]):
        raise EngineGraphError(
            f"the attention at node {layer.name!r} does not take its tokens as [slices, positions, channels]: the "
            "bundle was exported by an older version; export it again, or build without the plugin"
        )
    return _Core(layer.output[0], projection.input[0], _heads(into[-2], wiring, layer), across)


def _only(nodes: list[onnx.NodeProto]) -> onnx.NodeProto | None:
    return nodes[0] if len(nodes) == 1 else None


def _walk(start: onnx.NodeProto, step: Callable, wanted: str, layer: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes after ``start`` up to the first of type ``wanted``; all before it change the layout only."""
    path = [step(start)]
    while path[-1] is not None and path[-1].op_type in ("Reshape", "Transpose"):
        path.append(step(path[-1]))
    if path[-1] is None or path[-1].op_type != wanted or len(path) == 1:
        found = "nothing" if path[-1] is None else f"node {path[-1].name!r}, {path[-1].op_type}"
        raise EngineGraphError(
            f"wanted the attention at node {layer.name!r} to go on with Reshape, Transpose and {wanted}, found {found}"
        )
    return path


def _projection(layer: onnx.NodeProto, wiring: Wiring) -> onnx.NodeProto:
    """The MatMul of the projection that belongs to a qkv layer, by its bias's name."""
    bias = next(name for name in layer.input if name.endswith(".qkv.bias")).replace(".qkv.", ".project.")
    makers = [wiring.makers.get(name) for node in wiring.takers[bias] for name in node.input]
    found = [maker for maker in makers if maker is not None and maker.op_type == "MatMul"]
    if len(found) != 1:
        raise EngineGraphError(f"wanted one MatMul before {bias!r} for the attention at node {layer.name!r}")
    return found[0]


def _heads(reshape: onnx.NodeProto, wiring: Wiring, layer: onnx.NodeProto) -> int:
    """The last but one entry of the shape ``[..., 3, heads, channels / heads]``."""
    maker = wiring.makers.get(reshape.input[1])
    names = maker.input[-3:] if maker and maker.op_type == "Concat" else reshape.input[1:2]
    parts = [wiring.constant(name) for name in names]
    shape = [] if any(part is None for part in parts) else [int(size) for part in parts for size in part]
    if shape[-3:-2] != [3]:
        raise EngineGraphError(f"node {reshape.name!r}, after {layer.name!r}: wanted a shape [..., 3, heads, size]")
    return shape[-2]


def _replace_core(graph: onnx.GraphProto, core: _Core) -> None:
    maker = next(index for index, node in enumerate(graph.node) if core.output in node.output)
    graph.node[maker].CopyFrom(
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
    """Drop the nodes that nothing takes any more."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    replace_nodes(graph, kept[::-1])
