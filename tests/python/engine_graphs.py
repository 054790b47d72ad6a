"""Helpers for tests of the graphs that go to TensorRT."""

import host_ops
import numpy as np
import onnx

from cardiacseg.export.engine_agreement import open_graph

# Of the operators of TensorRT 8.5's parser (onnx-tensorrt 8.5-GA, docs/operators.md) those that the models need.
_NAMES = """
Abs Add AveragePool Cast Clip Concat Conv ConvTranspose Div Erf Expand Gather Gemm Greater GridSample
InstanceNormalization LeakyRelu LessOrEqual MatMul Max MaxPool Min Mul Pow Range ReduceMax ReduceMean ReduceMin
ReduceSum Relu Reshape Shape Sigmoid Softmax Split Sqrt Squeeze Sub Transpose Unsqueeze Where
"""
KNOWN_TO_8_5 = {*_NAMES.split(), "SliceAttention"}


def assert_known_to_8_5(onnx_file):
    """A graph holds operators of opset 17 alone, and nothing that the parser of 8.5 would leave out without a word."""
    model = onnx.load_model_from_string(onnx_file)
    assert model.opset_import[0].version == 17
    for node in model.graph.node:
        assert node.op_type in KNOWN_TO_8_5
        attributes = {entry.name for entry in node.attribute}
        assert node.op_type != "Shape" or not attributes
        assert node.op_type != "Split" or (len(node.input) == 2 and "num_outputs" not in attributes)
        assert node.op_type not in ("ReduceMean", "ReduceMax", "ReduceMin") or "axes" in attributes


def run_graph(onnx_file, **inputs):
    """A graph's outputs by ONNX Runtime."""
    return open_graph(onnx_file).run(None, inputs)


def run_in_pieces(onnx_file, frames, slices, **inputs):
    """Outputs of a graph with SliceAttention nodes: those by the host's kernels, what lies between by ONNX Runtime."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(onnx_file))
    extractor = onnx.utils.Extractor(model)
    cu_slices = slices * np.arange(frames + 1, dtype=np.int32)
    known = dict(inputs)
    nodes = [node for node in model.graph.node if node.op_type == "SliceAttention"]
    assert len(nodes) == 2
    for node in nodes:
        (qkv,) = run_graph(_piece(extractor, known, [node.input[0]]), **known)
        known[node.output[0]] = attend(node, qkv, cu_slices)
    outputs = [value.name for value in model.graph.output]
    return run_graph(_piece(extractor, known, outputs), **known)


def _piece(extractor, known, outputs):
    piece = extractor.extract_model(list(known), outputs)
    return piece.SerializeToString()


def attend(node, qkv, cu_slices):
    """What a SliceAttention node stands for, on the host."""
    settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    slices, positions, channels = qkv.shape
    cu_slices = cu_slices if settings["across_slices"] else None
    rows = host_ops.slice_attention(
        qkv.reshape(slices * positions, channels), "float32", positions, settings["heads"], cu_slices, 1
    )
    return rows.reshape(slices, positions, channels // 3)
