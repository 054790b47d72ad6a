"""What TensorRT would fold by itself, folded in float64 before any weight is rounded to 16 bits."""

import numpy as np
import onnx

from cardiacseg.export.passes.graph import Wiring, add_constant, attribute, replace_nodes


def fold_constants(graph: onnx.GraphProto) -> None:
    """Fold batch norm into the convolution before it, and the transposition of weights into the weights.

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
