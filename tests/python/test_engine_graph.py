"""The graphs that go to TensorRT: what they compute, in which precision, and in which operators."""

import numpy as np
import onnx
import pytest
import torch
from engine_graphs import assert_known_to_8_5, run_graph, run_in_pieces

from cardiacseg.export.bundle import load_bundle_weights
from cardiacseg.export.engine_agreement import StageAgreement, add_rounding, largest_values, open_graph, stage_cases
from cardiacseg.export.engine_graph import EngineGraphError, engine_graph
from cardiacseg.export.graph_passes import FLOAT, FLOAT16, Wiring, infer_types
from cardiacseg.export.onnx import example_input, stage_graphs
from cardiacseg.segmenter import bundle_folder
from cardiacseg.training.data import prepare_stack

STAGES = ("locate", "seg", "ref")
OPSETS = (20, 17)
FRAMES, SLICES = 2, 3


@pytest.fixture(scope="module")
def files(tiny_bundle):
    return {stage: (tiny_bundle / f"{stage}.onnx").read_bytes() for stage in STAGES}


@pytest.fixture(scope="module")
def cases(tiny_model):
    """Inputs of each stage by their names, and PyTorch's outputs."""
    cases = {}
    for stage, graph in stage_graphs(tiny_model).items():
        given = example_input(graph.eval(), SLICES, (48, 64), FRAMES)
        with torch.inference_mode():
            expected = graph(given)
        expected = expected if isinstance(expected, tuple) else (expected,)
        cases[stage] = {graph.inputs[0]: given.numpy()}, [part.numpy() for part in expected]
    return cases


def assert_same(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32 and np.abs(ours - theirs).max() <= 1e-4


def taker_of(model, weight):
    (node,) = Wiring(model.graph).consumers[weight]
    return node


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("stage", STAGES)
def test_in_float32_it_is_pytorchs_network(stage, opset, files, cases):
    inputs, expected = cases[stage]
    graph = engine_graph(files[stage], precision="fp32", plugin=False, opset=opset)
    assert list(graph.inputs) == list(inputs) and graph.float32_nodes == []
    assert_same(run_graph(graph.onnx, **inputs), expected)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("stage", ["seg", "ref"])
def test_with_our_attention_it_is_pytorchs_network(stage, opset, files, cases):
    inputs, expected = cases[stage]
    graph = engine_graph(files[stage], precision="fp32", plugin=True, opset=opset)
    assert_same(run_in_pieces(graph.onnx, FRAMES, SLICES, **inputs), expected)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_attention_nodes_are_as_the_plugin_takes_them(precision, files):
    graph = engine_graph(files["ref"], precision=precision, plugin=True)
    model = onnx.load_model_from_string(graph.onnx)
    assert graph.inputs == {"seg_logits": (None, None, 4, None, None), "cu_slices": (None,)}
    assert graph.outputs == ["logits", "presence"]
    cu_slices = model.graph.input[1].type.tensor_type
    assert cu_slices.elem_type == onnx.TensorProto.INT32 and len(cu_slices.shape.dim) == 1
    kinds, types = [node.op_type for node in model.graph.node], infer_types(model)
    assert kinds.count("SliceAttention") == 2 and kinds.count("Softmax") == 1  # that of the probabilities
    for across, node in zip((1, 0), (node for node in model.graph.node if node.domain), strict=True):
        settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        expected = {"heads": 2, "across_slices": across, "plugin_version": b"1", "plugin_namespace": b""}
        assert (node.op_type, node.domain, settings) == ("SliceAttention", "cardiacseg", expected)
        assert Wiring(model.graph).producers[node.input[0]].op_type == "Add" and node.input[1] == "cu_slices"
        for name in (node.input[0], node.output[0]):
            assert types[name].elem_type == (FLOAT if precision == "fp32" else FLOAT16)


def test_a_network_without_attention_gets_no_cu_slices(files):
    graph = engine_graph(files["locate"], precision="fp16", plugin=True)
    assert graph == engine_graph(files["locate"], precision="fp16", plugin=False)
    assert (graph.inputs, graph.outputs) == ({"image": (None, None, 1, None, None)}, ["heart"])


@pytest.mark.parametrize("opset", OPSETS)
def test_what_must_stay_in_32_bits_does(opset, files):
    model = onnx.load_model_from_string(engine_graph(files["ref"], precision="fp16", plugin=False, opset=opset).onnx)
    types = infer_types(model)
    head = taker_of(model, "network.head.weight")
    wide = [*head.input, *head.output, *(value.name for value in (*model.graph.input, *model.graph.output))]
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "ReduceMean", "Gemm") or "seg_logits" in node.input:
            wide += [name for name in (*node.input, *node.output) if types[name].elem_type != onnx.TensorProto.INT64]
    (soft,) = [node for node in model.graph.node if node.op_type == "Softmax" and node.input[0] == "seg_logits"]
    assert soft.output[0] in wide and len(wide) > 60
    assert {name: types[name].elem_type for name in wide if types[name].elem_type != FLOAT} == {}
    kinds = ("Conv", "ConvTranspose", "MatMul", "MaxPool")
    first, *layers = [node for node in model.graph.node if node.op_type in kinds]
    assert {types[name].elem_type for name in (*first.input, *first.output)} == {FLOAT}
    narrow = [name for node in layers if node.name != head.name for name in (*node.input, *node.output)]
    assert len(narrow) > 150 and {types[name].elem_type for name in narrow} == {FLOAT16}


@pytest.mark.parametrize("stage", STAGES)
def test_where_types_are_weak_the_graph_stays_wide_and_names_what_must(stage, files, cases):
    inputs, expected = cases[stage]
    graph = engine_graph(files[stage], precision="fp16", plugin=False, opset=17, weak=True)
    assert graph.onnx == engine_graph(files[stage], precision="fp32", plugin=False, opset=17).onnx
    assert_same(run_graph(graph.onnx, **inputs), expected)
    model = onnx.load_model_from_string(graph.onnx)
    types = infer_types(model)
    named = [node for node in model.graph.node if node.name in set(graph.float32_nodes)]
    assert len(named) == len(graph.float32_nodes) and taker_of(model, "network.head.weight") in named
    assert all(types[name].elem_type == FLOAT for node in named for name in node.output)
    kinds = {node.op_type for node in named}
    assert kinds >= {"locate": {"Sigmoid"}, "seg": {"Sqrt"}, "ref": {"Softmax", "Gemm", "Sqrt"}}[stage] | {"ReduceMean"}
    assert "MaxPool" not in kinds and "ConvTranspose" not in kinds


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("plugin", [True, False])
def test_opset_17_has_only_what_tensorrt_8_5_knows(stage, plugin, files):
    graph = engine_graph(files[stage], precision="fp16", plugin=plugin, opset=17, weak=True)
    assert_known_to_8_5(graph.onnx)


@pytest.fixture(scope="module")
def heart():
    """The default bundle's stages, each with its input from a synthetic heart and what it gives in float32."""
    from cardiacseg.phantom import beating_heart

    phantom = beating_heart(frames=1, slices=4, size=(176, 192), spacing=(8.0, 1.5, 1.5), seed=7)
    folder = bundle_folder("default")
    preprocessing = load_bundle_weights(folder).preprocessing
    stack = prepare_stack("heart", phantom.image[0], phantom.labels[0], (1.5, 1.5), preprocessing)
    files = {stage: (folder / f"{stage}.onnx").read_bytes() for stage in STAGES}
    sessions = {stage: open_graph(content) for stage, content in files.items()}
    return files, stage_cases(sessions, stack, preprocessing, 8), (stack, preprocessing)


@pytest.mark.parametrize("stage", STAGES)
def test_rounded_to_16_bits_it_gives_the_same_labels(stage, heart):
    files, cases, _ = heart
    inputs, expected = cases[stage]
    graph = engine_graph(files[stage], precision="fp16", plugin=False)
    found = run_graph(add_rounding(graph.onnx), **inputs)
    assert all(np.isfinite(part).all() for part in found)
    assert 1e-4 < np.abs(found[0] - expected[0]).max() < 0.5  # it was rounded
    agreement = StageAgreement()
    agreement.add(found, expected)
    assert agreement.difference < 0.02
    if stage != "locate":
        assert agreement.voxels == 4 * 128 * 128 and min(agreement.counts[:, 0]) > 200
        assert agreement.differing <= 5e-4 * agreement.voxels and agreement.gap < 0.05
        assert min(agreement.dice) >= 0.999


def test_the_largest_values_are_those_of_the_graph(heart):
    files, cases, (stack, preprocessing) = heart
    found = largest_values(files, [stack], preprocessing, 8)["locate"]
    assert float(cases["locate"][1][0].max()) <= found["Sigmoid"] + 1e-6 <= 1 + 1e-6  # of the map and of its gates
    assert found["sum over a map"] > 100 * found["ReduceMean"] > 0
    assert 0.1 < found["weights"] < 60000


def test_agreement_is_counted():
    expected = np.zeros((1, 1, 4, 1, 8), np.float32)
    for column, label in enumerate([0, 0, 1, 1, 2, 2, 3, 3]):
        expected[0, 0, label, 0, column] = 4
    found = expected.copy()
    found[0, 0, 2, 0, 3] = 5  # one pixel of RV becomes myocardium
    agreement = StageAgreement()
    agreement.add([found, np.float32([[[0.75, 0.5, 1.0]]])], [expected, np.float32([[[0.75, 0.75, 1.0]]])])
    agreement.add([expected], [expected])
    assert (agreement.voxels, agreement.differing, agreement.gap, agreement.difference) == (16, 1, 4.0, 0.25)
    np.testing.assert_allclose(agreement.dice, [6 / 7, 8 / 9, 1])
    assert agreement.worst_dice == pytest.approx(2 / 3)


def test_a_structure_behind_a_shut_gate_has_no_labels():
    expected = np.zeros((1, 1, 4, 1, 2), np.float32)
    expected[0, 0, 1, 0] = [4, 1]  # RV, by a lead of 4 and of 1
    found = expected.copy()
    found[0, 0, 1, 0, 0] = -1  # and now background
    presence = np.float32([[[0.5, 1.0, 1.0]]])
    agreement = StageAgreement()
    agreement.add([found, presence], [expected, presence])
    assert (agreement.voxels, agreement.differing) == (2, 0)
    agreement.add([found, presence], [expected, np.float32([[[0.51, 1.0, 1.0]]])])
    assert (agreement.voxels, agreement.differing, agreement.gap) == (4, 1, 4.0)


def test_saying_rounding_rounds():
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20]> g (float[N] x) => (float[N] y, float[N] z) {
            narrow = Cast<to = 10>(x)
            square = Mul(narrow, narrow)
            y = Cast<to = 1>(square)
            z = Mul(y, y)
        }"""
    )
    x = np.array([0.1234567, 2049.3, 1.0009], np.float32)
    y, z = run_graph(add_rounding(model.SerializeToString()), x=x)
    with np.errstate(over="ignore"):
        expected = np.square(x.astype(np.float16)).astype(np.float32)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(z, expected * expected)


def renamed(onnx_file, old, new):
    """The graph with part of the names of its initialisers changed."""
    model = onnx.load_model_from_string(onnx_file)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace(old, new)
    for node in model.graph.node:
        node.input[:] = [name.replace(old, new) for name in node.input]
    return model.SerializeToString()


def test_attention_in_the_layout_of_older_bundles_is_refused(files):
    older = files["seg"]
    for old, new in (("intra_slice", "first"), ("inter_slice", "intra_slice"), ("first", "inter_slice")):
        older = renamed(older, old, new)
    with pytest.raises(EngineGraphError, match=r"'node_linear' does not take .* export it again, or build without"):
        engine_graph(older, precision="fp32", plugin=True)
    engine_graph(older, precision="fp32", plugin=False)


def test_attention_that_is_not_ours_is_refused_with_the_node(files):
    model = onnx.load_model_from_string(files["seg"])
    wiring = Wiring(model.graph)
    (layer,) = wiring.consumers["network.fusion.intra_slice.attention.qkv.bias"]
    (reshape,) = wiring.consumers[layer.output[0]]
    reshape.op_type, reshape.name = "Expand", "odd"
    with pytest.raises(EngineGraphError, match=rf"attention at node '{layer.name}', got node 'odd', Expand"):
        engine_graph(model.SerializeToString(), precision="fp32", plugin=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"precision": "int8"}, "precision must be fp16 or fp32, got 'int8'"),
        ({"opset": 16}, "opset 17 or later, got one up to 16"),
    ],
)
def test_options_that_are_none_are_refused(options, complaint, files):
    with pytest.raises(EngineGraphError, match=complaint):
        engine_graph(files["locate"], **{"precision": "fp32", "plugin": False, **options})


def test_graphs_that_are_none_of_ours_are_refused(files):
    lowered = engine_graph(files["locate"], precision="fp32", plugin=False, opset=17).onnx
    with pytest.raises(EngineGraphError, match=r"opset 20 and no other operators, got \{'': 17\}"):
        engine_graph(lowered, precision="fp32", plugin=False)
    with pytest.raises(EngineGraphError, match="last layer in 32 bits before the output 'heart'"):
        engine_graph(renamed(files["locate"], "network.head", "network.tail"), precision="fp16", plugin=False)
    model = onnx.load_model_from_string(files["locate"])
    weight = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("squeeze.weight"))
    weight.CopyFrom(onnx.numpy_helper.from_array(7e4 * np.ones(weight.dims, np.float32), weight.name))
    with pytest.raises(EngineGraphError, match=r"weights '.*squeeze.weight' do not fit into 16 bits"):
        engine_graph(model.SerializeToString(), precision="fp16", plugin=False)


def test_the_transformer_is_blind_to_the_order_that_its_tokens_lie_in(tiny_model):
    """The same blocks on [positions, slices, C], as weights of older bundles were trained."""
    fusion = tiny_model.seg.fusion
    features = torch.randn(FRAMES, SLICES, 32, 3, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = fusion(features)
        tokens = features.flatten(3).permute(0, 3, 1, 2).reshape(FRAMES * 12, SLICES, 32)
        tokens = fusion.inter_slice(tokens).reshape(FRAMES, 12, SLICES, 32).transpose(1, 2)
        tokens = fusion.intra_slice(tokens.reshape(FRAMES * SLICES, 12, 32))
    expected = tokens.transpose(1, 2).reshape(features.shape)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)
