"""What 16 bits do to a graph, on a machine that computes in 32.

ONNX Runtime computes the 16-bit nodes of a graph on a CPU in 32 bits and leaves out the roundings between them, so that
its answer says little about a GPU's. Here each of those roundings is a pair of casts, which it keeps.
"""

import numpy as np
import onnx

from cardiacseg.export.passes.graph import FLOAT, FLOAT16, infer_types


def say_rounding(onnx_file: bytes) -> bytes:
    """A float32 graph that rounds every result to 16 bits where ``onnx_file``'s nodes give 16 bits.

    Sums inside a node are in 32 bits, as in a GPU's matrix units. The graph may have standard operators only.
    """
    model = onnx.load_model_from_string(onnx_file)
    narrow = {name for name, kind in infer_types(model).items() if kind.elem_type == FLOAT16}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Cast" and node.attribute[0].i == FLOAT:
            node.op_type = "Identity"
            del node.attribute[:]
        elif narrow.intersection(node.output):
            nodes.extend(_round_outputs(node, narrow))
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT16:
            widened = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(widened, tensor.name))
    return model.SerializeToString()


def _round_outputs(node: onnx.NodeProto, narrow: set[str]) -> list[onnx.NodeProto]:
    """Rename the node's narrow outputs, and give the casts that make the old ones of them."""
    casts = []
    for index, name in enumerate(node.output):
        if name not in narrow:
            continue
        there, back = f"{name}.rounded", name
        if node.op_type == "Cast":  # to 16 bits, the first of the pair already
            there = node.output[index] = f"{name}.rounded"
        else:
            node.output[index] = f"{name}.exact"
            casts.append(onnx.helper.make_node("Cast", [f"{name}.exact"], [there], to=FLOAT16))
        casts.append(onnx.helper.make_node("Cast", [there], [back], to=FLOAT))
    return casts
