"""The graphs parse and build with TensorRT-RTX, which needs no GPU for that. Nothing here runs an engine."""

import pytest

from cardiacseg.export.engine_graph import engine_graph
from cardiacseg.export.engine_options import EngineOptions, input_ranges
from cardiacseg.segmenter import bundle_folder

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (pip package tensorrt-rtx-cu13)")

STAGES = ("locate", "seg", "ref")
CAPABILITIES = ("8.0", "8.6", "8.9", "12.0")
PREPROCESSING = {"crop_pixels": 128, "locate": {"size_multiple": 8}}


def build(graph, stage, capabilities=()):
    """Build a graph for the default options' shapes, and return the plan's length."""
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(graph.onnx), [parser.get_error(index).desc() for index in range(parser.num_errors)]
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for name, shapes in input_ranges(stage, graph.inputs, EngineOptions(), PREPROCESSING).items():
        profile.set_shape(name, *shapes)
    config.add_optimization_profile(profile)
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}"), index)
    plan = builder.build_serialized_network(network, config)
    assert plan is not None
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    assert {tensor.dtype for tensor in (network.get_input(0), *outputs)} == {trt.float32}
    return plan.nbytes


@pytest.mark.parametrize("stage", STAGES)
def test_the_default_bundle_builds(stage):
    onnx_file = (bundle_folder("default") / f"{stage}.onnx").read_bytes()
    narrow = build(engine_graph(onnx_file, precision="fp16", plugin=False), stage)
    if stage == "seg":
        wide = build(engine_graph(onnx_file, precision="fp32", plugin=False), stage)
        assert narrow < 0.7 * wide


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_model_builds_for_every_gpu(capability, tiny_bundle):
    graph = engine_graph((tiny_bundle / "ref.onnx").read_bytes(), precision="fp16", plugin=False)
    build(graph, "ref", [capability])


def test_one_engine_for_several_gpus(tiny_bundle):
    graph = engine_graph((tiny_bundle / "ref.onnx").read_bytes(), precision="fp16", plugin=False)
    build(graph, "ref", CAPABILITIES)


def test_the_plugins_node_is_what_the_parser_asks_a_plugin_for(tiny_bundle):
    graph = engine_graph((tiny_bundle / "seg.onnx").read_bytes(), precision="fp16", plugin=True)
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert not parser.parse(graph.onnx)
    messages = [parser.get_error(index) for index in range(parser.num_errors)]
    assert messages and {error.node_operator() for error in messages} == {"SliceAttention"}
